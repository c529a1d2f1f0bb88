"""Nothing of a log of writes goes back to the file system before it was overwritten."""

import os
import sqlite3
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest

from edge.core.types import Person
from edge.storage import log
from edge.storage.gallery import SqliteGallery
from edge.storage.outbox import Outbox
from tests.faults.disk import call, can_mount

MODEL = "a" * 64
RNG = np.random.default_rng(0)


def vector():
    made = RNG.normal(size=128).astype(np.float32)
    return made / np.linalg.norm(made)


def crop():
    return RNG.integers(0, 256, (112, 112, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gallery.db"


@pytest.fixture
def blocks(path):
    """What is in the blocks of the log, also after the log was deleted."""
    SqliteGallery(path, MODEL).close()
    opened = []

    def read():
        if not opened:
            opened.append(path.with_name("gallery.db-wal").open("rb"))
        opened[0].seek(0)
        return opened[0].read()

    yield read
    for file in opened:
        file.close()


def test_what_a_command_enrolled_is_overwritten_in_the_log_before_the_log_is_deleted(path, blocks):
    """The person is enrolled still; who is removed later is out of reach in a block that was given back."""
    embedding = vector()
    store = SqliteGallery(path, MODEL)
    store.add("Alice Unmistakable", [embedding], [crop()])
    assert embedding.tobytes() in blocks()
    size = len(blocks())
    store.close()
    assert not path.with_name("gallery.db-wal").exists()
    assert len(blocks()) == size
    assert embedding.tobytes() not in blocks()
    assert b"Unmistakable" not in blocks()


def test_who_is_removed_is_overwritten_in_a_log_of_the_same_size(path, blocks):
    embedding = vector()
    with closing(SqliteGallery(path, MODEL)) as store:
        person = store.add("Alice Unmistakable", [embedding], [crop()])
        store.add("Bob", [vector()], [crop()])
        size = len(blocks())
        assert embedding.tobytes() in blocks()
        store.remove(person)
        assert len(blocks()) >= size
        assert embedding.tobytes() not in blocks()
        assert b"Unmistakable" not in blocks()


def test_events_that_name_somebody_are_overwritten_in_the_log_too(tmp_path):
    outbox = Outbox(tmp_path / "outbox.db", 10)
    outbox.put(lambda *_: b"Alice Unmistakable", 1e12)
    with (tmp_path / "outbox.db-wal").open("rb") as blocks:
        assert b"Unmistakable" in blocks.read()
        outbox.close()
        blocks.seek(0)
        assert b"Unmistakable" not in blocks.read()


def test_while_another_process_reads_or_writes_it_is_said_that_it_was_not_done(path):
    with closing(SqliteGallery(path, MODEL)) as store:
        store._db.execute("PRAGMA busy_timeout = 100")
        person = store.add("Alice", [vector()], [crop()])
        for begin in ("BEGIN", "BEGIN IMMEDIATE"):
            other = sqlite3.connect(path, isolation_level=None)
            store.erase("DELETE FROM setting")
            store.update(person)
            store.checkpoint_pending = True
            other.execute(begin)
            other.execute("SELECT * FROM person").fetchone()
            assert not store.checkpoint()
            other.close()
            assert store.checkpoint()


def test_what_another_process_writes_meanwhile_stays(path, monkeypatch):
    write = log.write_page_1
    store, other = SqliteGallery(path, MODEL), SqliteGallery(path, MODEL)
    gone = store.add("Alice Unmistakable", [vector()], [crop()])
    enrolled: list[Person] = []

    def write_both(db, times):
        if not enrolled:
            enrolled.append(other.add("Bob", [vector()], [crop()]))
        write(db, times)

    monkeypatch.setattr(log, "write_page_1", write_both)
    store.remove(gone)
    assert b"Unmistakable" not in path.with_name("gallery.db-wal").read_bytes()
    store.close()
    other.close()
    with closing(SqliteGallery(path, MODEL)) as again:
        assert again.people() == enrolled
        assert again.value("PRAGMA integrity_check") == "ok"


class Synced:
    """A connection that notes the log each time a COMMIT waited for the disk."""

    def __init__(self, db, path):
        self.db, self.path, self.logs = db, path, [path.read_bytes()]

    def execute(self, statement):
        done = self.db.execute(statement)
        if statement == "COMMIT" and self.db.execute("PRAGMA synchronous").fetchone()[0] == 2:
            self.logs.append(self.path.read_bytes())
        return done

    @property
    def in_transaction(self):
        return self.db.in_transaction


def test_a_power_cut_while_the_log_is_overwritten_loses_nobody_and_brings_nobody_back(path, tmp_path, monkeypatch):
    """Of two states of the log that are on the disk for certain, a card may hold any blocks of either."""
    write, states = log.write_page_1, []

    def write_and_note(db, times):
        synced = Synced(db, path.with_name("gallery.db-wal"))
        states.append((path.read_bytes(), synced.logs))
        write(synced, times)

    with closing(SqliteGallery(path, MODEL)) as store:
        kept = [store.add(name, [vector()], [crop()]) for name in ("Bob", "Carol")]
        gone = store.add("Alice", [vector()], [crop()])
        kept.append(store.add("Dora", [vector()], [crop()]))
        monkeypatch.setattr(log, "write_page_1", write_and_note)
        store.remove(gone)
    ((file, logs), *_) = states
    assert len(logs) >= 2
    card = tmp_path / "card.db"
    cuts = 0
    for before, after in pairwise(logs):
        for end in range(0, len(after), 4096):
            card.write_bytes(file)
            card.with_name("card.db-wal").write_bytes(before[:end] + after[end:])
            with closing(SqliteGallery(card, MODEL)) as again:
                assert again.people() == kept
                assert again.value("PRAGMA integrity_check") == "ok"
            cuts += 1
    assert cuts > 50


def test_a_large_log_is_cut_off_after_it_was_overwritten(path, monkeypatch):
    monkeypatch.setattr(log, "KEPT_BYTES", 10_000)
    with closing(SqliteGallery(path, MODEL)) as store, closing(SqliteGallery(path, MODEL)) as other:
        alice, bob = (store.add(name, [vector()], [crop()]) for name in ("Alice", "Bob"))
        store.remove(alice)
        data = path.with_name("gallery.db-wal").read_bytes()
        assert len(data) == log.HEADER_BYTES + log.FRAME_HEADER_BYTES + 4096
        carol = other.add("Carol", [vector()], [crop()])
        assert store.people() == [bob, carol]
        assert store.value("PRAGMA integrity_check") == "ok"


def test_the_version_is_what_it_was(path):
    with closing(SqliteGallery(path, MODEL)) as store:
        version = store.value("PRAGMA user_version")
        store.remove(store.add("Alice", [vector()], [crop()]))
        assert (store.value("PRAGMA user_version"), store.value("PRAGMA synchronous")) == (version, 2)


def test_nothing_is_written_into_files_that_sqlite_deletes(path):
    with closing(SqliteGallery(path, MODEL)) as store:
        assert store.value("PRAGMA temp_store") == 2  # memory


@pytest.mark.slow
def test_on_the_raw_device_nothing_is_left_of_whoever_was_removed(tmp_path):
    """Each is enrolled and removed by a process of its own, while others write files."""
    if not can_mount():
        pytest.skip("a disk cannot be mounted here: this is for root")
    embeddings, image, card = [], tmp_path / "image", tmp_path / "card"
    card.mkdir()
    image.write_bytes(bytes(64_000_000))
    call("mkfs.ext4", "-q", image)
    call("mount", "-o", "loop", image, card)
    try:
        for number in range(100):
            embeddings.append(vector())
            with closing(SqliteGallery(card / "gallery.db", MODEL)) as store:
                store.add(f"Unmistakable {number}", [embeddings[-1]], [crop()])
            with (card / "journal").open("ab") as others:
                others.write(os.urandom(5000 * (1 + number % 7)))
                os.fsync(others.fileno())
            with closing(SqliteGallery(card / "gallery.db", MODEL)) as store:
                store.remove(store.people()[0])
    finally:
        call("umount", card)
    raw = image.read_bytes()
    assert [one.tobytes() in raw for one in embeddings].count(True) == 0
    assert raw.count(b"Unmistakable") == 0
