"""python -m training: the same as limen-train."""

from training.cli import main

main(prog_name="limen-train")
