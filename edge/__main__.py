"""`python -m edge` is `limen`."""

from edge.cli import main

main()
