"""`python -m rpgan` is the command line."""

from rpgan.cli import main

main()
