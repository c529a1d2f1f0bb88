import os

import pytest

from training.data.cores import cores


@pytest.mark.parametrize(
    ("value", "expected"), [("1", 1), ("3", 3), ("", None), ("0", None), ("5,1", 5), ("many", None)]
)
def test_a_teacher_uses_the_threads_that_it_is_given_or_all(monkeypatch, value, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert cores() == (expected or os.cpu_count())


def test_without_the_variable_a_teacher_uses_all(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert cores() == os.cpu_count()
