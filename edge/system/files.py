"""What is at a path. A folder that may not be entered is an error; Python 3.14 would say that nothing is there."""

from pathlib import Path
from stat import S_ISDIR, S_ISREG


def is_file(path: Path) -> bool:
    """Whether a file is there. Raises PermissionError where this user may not know."""
    return S_ISREG(mode_of(path))


def is_dir(path: Path) -> bool:
    """Whether a folder is there. Raises PermissionError where this user may not know."""
    return S_ISDIR(mode_of(path))


def exists(path: Path) -> bool:
    """Whether anything is there. Raises PermissionError where this user may not know."""
    return mode_of(path) != 0


def mode_of(path: Path) -> int:
    """st_mode of what is there, 0 where nothing is. Raises PermissionError where this user may not know."""
    try:
        return path.stat().st_mode
    except PermissionError:
        raise
    except (OSError, ValueError):  # ValueError: a name with a null byte
        return 0
