"""Damaged files that were set aside, each with its log of writes: another may take its place, and nothing is deleted.

What is in them cannot be read, so who is removed cannot be taken out of them: then all of them are overwritten.
"""

import glob
import os
from contextlib import suppress
from pathlib import Path

KEPT = 3
LOG = "-wal"


def set_aside(path: Path) -> Path:
    """Give a file, and its log, a name that is free; the oldest beyond KEPT is erased. Raises OSError."""
    before = files_set_aside(path)
    number = 1 + max((number_of(one) for one in before), default=0)
    aside = path.with_name(f"{path.name}.damaged-{number}")
    path.rename(aside)
    for suffix, place in ((LOG, aside.with_name(f"{aside.name}{LOG}")), ("-shm", None)):
        beside = path.with_name(f"{path.name}{suffix}")
        with suppress(FileNotFoundError):
            beside.unlink() if place is None else beside.rename(place)
    for one in before[: len(before) + 1 - KEPT]:
        erase(one)
    return aside


def files_set_aside(path: Path) -> list[Path]:
    """Those of a path, the oldest first."""
    found = path.parent.glob(f"{glob.escape(path.name)}.damaged-*")
    return sorted((one for one in found if number_of(one)), key=number_of)


def erase(aside: Path) -> None:
    """Overwrite a file that was set aside, and its log, and delete both. Raises OSError."""
    for one in (aside, aside.with_name(f"{aside.name}{LOG}")):
        with suppress(FileNotFoundError), one.open("r+b", buffering=0) as file:
            file.write(bytes(one.stat().st_size))
            os.fsync(file.fileno())
            one.unlink()


def number_of(aside: Path) -> int:
    """The number in its name; 0 where there is none, as of a log."""
    number = aside.name.rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() else 0
