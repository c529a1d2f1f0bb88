"""The faces that are kept are those that the teacher finds; any others are found once."""

from itertools import islice

import numpy as np
import pytest
from safetensors import safe_open

from tests.bench.evaluation_faces import agree, pictures
from training.data import face_labels
from training.data.face_labels import KEPT, faces_of, kept
from training.data.places import Places

ASKED = {"photos": 8, "masks": 8, "crowds": 1, "turned": 8, "lfw_photos": 40}  # pictures: all 2,329 take minutes


def never(count):
    return (1 / 0 for _ in range(count))


def test_labels_are_computed_once_and_stored_by_picture(tmp_path):
    rows = [np.full((count, 15), count, dtype=np.float32) for count in (2, 0, 1)]
    first = faces_of("deep/faces", iter(rows), 3, "ask", tmp_path)
    second = faces_of("deep/faces", never(3), 3, "ask", tmp_path)
    for answer in (first, second):
        assert [faces.tolist() for faces in answer] == [faces.tolist() for faces in rows]


def test_what_is_kept_is_given_without_asking_the_teacher(tmp_path):
    with safe_open(KEPT, "numpy") as known:
        keys = [*known.keys()]
    assert sorted(key.partition("-")[0] for key in keys) == sorted(ASKED)
    for key in keys:
        rows = kept(key)
        found = faces_of(key, never(1), int(rows[-1, 0]) + 1, "ask", tmp_path)
        assert np.concatenate(found).tolist() == rows[:, 1:].tolist()
    assert list(tmp_path.iterdir()) == []


def test_what_an_old_version_of_the_labelling_code_found_is_not_given(monkeypatch):
    with safe_open(KEPT, "numpy") as known:
        key = next(iter(known.keys()))
    assert kept(key) is not None
    monkeypatch.setitem(face_labels.VERSION, "labels", "another")
    assert kept(key) is None


@pytest.mark.slow
def test_the_teacher_finds_the_faces_that_are_kept(shared, cache_dir):
    asked = {}
    for key, count, labels in pictures(Places(shared, cache_dir)):
        name, rows = key.partition("-")[0], kept(key)
        assert int(rows[-1, 0]) < count
        asked[name] = ASKED[name]
        found = list(islice(labels, ASKED[name]))
        numbers = np.repeat(np.arange(len(found)), [len(faces) for faces in found])
        assert agree(np.column_stack([numbers, np.concatenate(found)]), rows[rows[:, 0] < len(found)]), name
    assert asked == ASKED
