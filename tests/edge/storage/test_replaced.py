"""A file that is removed or replaced while it is open: nothing is said to be kept that is gone at the next start."""

import shutil
from contextlib import closing

import numpy as np
import pytest

from edge.errors import GalleryError
from edge.storage.gallery import SqliteGallery
from edge.storage.outbox import Outbox

MODEL = "a" * 64
VECTOR, CROP = np.eye(1, 128, dtype=np.float32)[0], np.full((112, 112, 3), 9, np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gallery.db"


@pytest.fixture
def store(path):
    with closing(SqliteGallery(path, MODEL)) as store:
        store.add("Alice", [VECTOR], [CROP])
        yield store


def names(path):
    with closing(SqliteGallery(path, MODEL, make=False)) as store:
        assert store.value("PRAGMA integrity_check") == "ok"
        return [person.name for person in store.people()]


@pytest.fixture
def other(tmp_path):
    """A gallery that takes the place of another; Bob and Carol are in it."""
    with closing(SqliteGallery(tmp_path / "other.db", MODEL)) as other:
        for name in ("Bob", "Carol"):
            other.add(name, [VECTOR], [CROP])
    return other.path


def test_nothing_is_written_into_a_gallery_that_was_replaced_and_the_one_that_is_there_is_used(store, path, other):
    other.replace(path)
    with pytest.raises(GalleryError, match=r"gallery\.db was removed or replaced while it was in use: put it back"):
        store.add("Dan", [VECTOR], [CROP])
    assert store.changed_elsewhere()
    assert [person.name for person in store.people()] == ["Bob", "Carol"]
    store.add("Dan", [VECTOR], [CROP])
    store.close()
    assert names(path) == ["Bob", "Carol", "Dan"]


def test_what_is_replaced_meanwhile_is_not_said_to_be_written(store, path, other):
    def replace_meanwhile():
        with store.transaction():
            store.add("Dan", [VECTOR], [CROP])
            other.replace(path)

    with pytest.raises(GalleryError, match="was removed or replaced"):
        replace_meanwhile()


def test_a_gallery_that_was_moved_away_has_all_that_was_written_into_it(store, path, tmp_path, other):
    path.rename(tmp_path / "away.db")
    other.replace(path)
    assert store.changed_elsewhere()
    store.close()
    assert names(tmp_path / "away.db") == ["Alice"]
    assert names(path) == ["Bob", "Carol"]


def test_a_gallery_that_is_missing_is_said_to_be_until_one_is_there(store, path, tmp_path):
    path.rename(tmp_path / "away.db")
    for _ in range(2):
        with pytest.raises(GalleryError, match="there is no gallery"):
            store.changed_elsewhere()
        with pytest.raises(GalleryError):
            store.add("Bob", [VECTOR], [CROP])
        with pytest.raises(GalleryError):
            store.people()
    assert not path.exists()
    (tmp_path / "away.db").rename(path)
    assert store.changed_elsewhere()
    assert [person.name for person in store.people()] == ["Alice"]
    assert not store.changed_elsewhere()


@pytest.mark.parametrize("content", [b"no gallery " * 100, b"SQLite format 3\0" + bytes(9000)])
def test_what_is_no_gallery_is_not_used_in_its_place(store, path, content):
    shutil.copy(path, path.with_name("kept.db"))
    path.unlink()
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(GalleryError, match=r"gallery .* cannot be opened"):
            store.changed_elsewhere()
    assert path.read_bytes() == content
    path.unlink()
    SqliteGallery(path, MODEL).close()
    assert store.changed_elsewhere()
    assert store.people() == []


def test_a_log_that_was_removed_takes_nothing_with_it(store, path):
    path.with_name("gallery.db-wal").unlink()
    with pytest.raises(GalleryError, match="was removed or replaced"):
        store.add("Bob", [VECTOR], [CROP])
    assert store.changed_elsewhere()
    store.add("Bob", [VECTOR], [CROP])
    store._db.close()
    assert names(path) == ["Alice", "Bob"]


@pytest.mark.parametrize("suffixes", [[""], ["-wal"], ["", "-wal", "-shm"]])
def test_events_that_wait_outlive_the_file_of_the_outbox(tmp_path, suffixes):
    path = tmp_path / "outbox.db"
    with closing(Outbox(path, 100)) as outbox:
        for _ in range(3):
            outbox.put(lambda seq, _: b"%d" % seq, 1e12)
        outbox.delivered([1])
        for suffix in suffixes:
            path.with_name(f"outbox.db{suffix}").unlink(missing_ok=True)
        outbox.put(lambda seq, _: b"%d" % seq, 1e12)
    with closing(Outbox(path, 100)) as outbox:
        assert [entry.payload for entry in outbox.take(10)] == [b"2", b"3", b"4"]
        assert outbox.put(lambda seq, _: b"%d" % seq, 1e12).seq == 5
