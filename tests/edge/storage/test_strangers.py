"""Strangers on a real disk."""

import numpy as np
import pytest

from edge.storage.gallery import SqliteGallery
from edge.storage.strangers import SqliteStrangers

MODEL = "a" * 64
VECTOR, CROP = np.eye(1, 128, dtype=np.float32)[0], np.full((112, 112, 3), 9, np.uint8)


@pytest.fixture
def db(tmp_path):
    store = SqliteGallery(tmp_path / "gallery.db", MODEL)
    yield store
    store.close()


def test_a_newcomer_is_not_pushed_out_where_the_clock_was_set_back(db):
    strangers = SqliteStrangers(db, strangers_max=2)
    first, second = (strangers.meet(None, VECTOR, CROP) for _ in range(2))
    db.execute("UPDATE stranger SET last_seen = '2099-01-01T00:00:00.000Z' WHERE id = ?", (first,))
    db.execute("UPDATE stranger SET last_seen = '2098-01-01T00:00:00.000Z' WHERE id = ?", (second,))
    newcomer = strangers.meet(None, VECTOR, CROP)
    people, templates = strangers.load()
    assert {stranger.stranger_id for stranger in people} == {first, newcomer}
    assert {template.person_id for template in templates} == {first, newcomer}


def test_nothing_of_who_is_pushed_out_is_left_on_the_disk(db, tmp_path):
    strangers = SqliteStrangers(db, strangers_max=1)
    vector = np.random.default_rng(0).normal(size=128).astype(np.float32)
    vector /= np.linalg.norm(vector)

    def left():
        return any(vector.tobytes()[:64] in file.read_bytes() for file in tmp_path.iterdir())

    strangers.meet(None, vector, CROP)
    assert left()
    strangers.meet(None, VECTOR, CROP)
    assert not left()
