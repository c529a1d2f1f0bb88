"""How many processor cores a teacher may use."""

import os


def cores() -> int:
    """OMP_NUM_THREADS where it is set to a number, as beside other work, else all cores."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else os.cpu_count() or 1
