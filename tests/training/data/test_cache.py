"""Arrays that are computed once."""

import threading
import time

import numpy as np
import pytest

from edge.errors import DataError
from training.data.cache import compute_once, load_cached


def test_threads_that_need_a_file_at_once_get_the_one_that_the_first_computed(tmp_path):
    path, made, seen = tmp_path / "deep" / "numbers.npy", [], []

    def make(target):
        made.append(target)
        time.sleep(0.2)
        np.save(target, np.arange(3))

    def want():
        seen.append(load_cached(compute_once(path, make)).tolist())

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [[0, 1, 2]] * 4
    assert len(made) == 1


def test_a_computation_that_fails_leaves_no_file_that_looks_complete(tmp_path):
    path = tmp_path / "numbers.npy"

    def fail(target):
        target.write_bytes(b"half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        compute_once(path, fail)
    assert not path.exists()
    path.write_bytes(b"half")
    with pytest.raises(DataError, match=r"numbers\.npy cannot be read .*: remove it, and it is computed again"):
        load_cached(path)
