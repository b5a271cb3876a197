"""What the paper concludes from trained generators, one file a section."""
