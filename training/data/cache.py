"""Arrays that take long to compute, on disk, and what names them; of several processes one computes, others wait."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock

from edge.errors import DataError


def compute_once(path: Path, compute: Callable[[Path], None]) -> Path:
    """Return the path of the file; compute it first if it does not exist.

    compute: writes to the path that it gets. A kill half way leaves no file that looks complete.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.is_file():
                partial = path.with_suffix(".partial.npy")
                try:
                    compute(partial)
                    partial.replace(path)
                finally:
                    partial.unlink(missing_ok=True)
    return path


def load_cached(path: Path, mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    """Load an array of the cache. Raises DataError where it cannot be read, with the remedy."""
    try:
        array: np.ndarray = np.load(path, mmap_mode=mmap_mode)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"cached {path} cannot be read ({error}): remove it, and it is computed again") from error
    return array


@cache
def file_digest(path: Path) -> str:
    """Twelve hex digits of the SHA-256 of a file that does not change, a model."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
