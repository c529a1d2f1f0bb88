"""The converters print much from C++ and from Python; it belongs into a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def output_into(path: Path) -> Iterator[None]:
    """Redirect stdout and stderr of this process, C++ included, to a file while the block runs."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    with path.open("wb") as log:
        try:
            for descriptor in kept:
                os.dup2(log.fileno(), descriptor)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, copy in kept.items():
                os.dup2(copy, descriptor)
                os.close(copy)
