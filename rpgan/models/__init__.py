"""Networks: buckets, generators, discriminators, classifiers."""
