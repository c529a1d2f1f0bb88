"""Python's garbage collection, held off where an input uses up the stack."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage is collected within: at the limit of recursion the finalizers of what other tests left behind fail.

    pytest reports that as a failure of whichever test runs then.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
