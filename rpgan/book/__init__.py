"""The Jupyter Book: chapters executed, claims judged, pages written and built."""
