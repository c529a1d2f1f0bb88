"""What is at a path. A folder that may not be entered is an error; Python 3.14 would say that nothing is there."""

from pathlib import Path
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFSOCK, S_ISDIR, S_ISREG

KINDS = {S_IFDIR: "a folder", S_IFCHR: "a device", S_IFBLK: "a device", S_IFIFO: "a pipe", S_IFSOCK: "a socket"}


def is_file(path: Path) -> bool:
    """Whether a file is there. Raises PermissionError where this user may not know."""
    return S_ISREG(mode_of(path))


def is_dir(path: Path) -> bool:
    """Whether a folder is there. Raises PermissionError where this user may not know."""
    return S_ISDIR(mode_of(path))


def exists(path: Path) -> bool:
    """Whether anything is there. Raises PermissionError where this user may not know."""
    return mode_of(path) != 0


def other_kind(path: Path) -> str | None:
    """What is there in place of a file, in words; None for a file and for nothing. Raises PermissionError."""
    mode = mode_of(path)
    return None if not mode or S_ISREG(mode) else KINDS.get(S_IFMT(mode), "no file")


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another that takes its place; None where nothing is, or this user may not know."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def mode_of(path: Path) -> int:
    """st_mode of what is there, 0 where nothing is. Raises PermissionError where this user may not know."""
    try:
        return path.stat().st_mode
    except PermissionError:
        raise
    except (OSError, ValueError):  # ValueError: a name with a null byte
        return 0
