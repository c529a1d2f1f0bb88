"""How many processor cores a teacher may use."""

import os


def cores() -> int:
    """The number in OMP_NUM_THREADS, of a list the first (OpenMP), else all cores."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(wanted) if wanted.isdecimal() and int(wanted) else os.cpu_count() or 1
