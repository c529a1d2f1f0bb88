"""`python -m edge` is `limen`."""

from edge.commands.main import main

main()
