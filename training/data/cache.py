"""Arrays that take long to make, made once, by whichever process comes first."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock

from edge.errors import DataError


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """The file; made if it is not there, while every other process that wants it waits.

    make: writes to the path it is given. What was killed half way leaves nothing behind that looks whole.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.is_file():
                partial = path.with_suffix(".partial.npy")
                try:
                    make(partial)
                    partial.replace(path)
                finally:
                    partial.unlink(missing_ok=True)
    return path


def load_cached(path: Path, mmap_mode: str | None = None) -> np.ndarray:
    """An array of the cache. Raises DataError that says to remove it where it cannot be read."""
    try:
        return np.load(path, mmap_mode=mmap_mode)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"cached {path} cannot be read ({error}): remove it, and it is made again") from error
