"""Nested blocks on a real disk, and on one that is full."""

import sqlite3
from contextlib import closing, suppress

import pytest

from edge.errors import GalleryError, OutboxError
from edge.storage.database import SqliteFile
from edge.storage.outbox import Outbox
from edge.storage.unit_of_work import tables
from tests.faults.disk import FullDisk, can_mount

FULL = "database or disk is full"
# SQLite itself rolls the transaction back at a ROLLBACK, as it may where the disk is full.
SHAPE = (
    "CREATE TABLE fact (key INTEGER PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    "CREATE TABLE bomb (x)",
    f"CREATE TRIGGER bomb_goes_off BEFORE INSERT ON bomb BEGIN SELECT RAISE(ROLLBACK, '{FULL}'); END",
)


@pytest.fixture
def db(tmp_path):
    with closing(SqliteFile(tmp_path / "gallery.db")) as db:
        for statement in SHAPE:
            db.execute(statement)
        yield db


def put(db, key, value=0):
    db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (key, value))


def keys(db):
    return [key for (key,) in db.rows("SELECT key FROM fact ORDER BY key")]


def test_the_outermost_block_commits_and_an_inner_one_is_rolled_back_alone(db, tmp_path):
    def inner():
        with db.transaction():
            put(db, 2)
            with db.transaction():
                put(db, 3)
            raise KeyError

    with closing(sqlite3.connect(tmp_path / "gallery.db")) as other, db.transaction():
        put(db, 1)
        with pytest.raises(KeyError):
            inner()
        with db.transaction():
            put(db, 4)
        assert other.execute("SELECT count(*) FROM fact").fetchone() == (0,)
    assert keys(db) == [1, 4]


def test_after_a_rollback_by_sqlite_nothing_is_written_and_the_cause_stays(db):
    """Otherwise what follows in the outer block would be committed without what came before."""

    def outer():
        with db.transaction():
            put(db, 1)
            with pytest.raises(GalleryError, match=FULL), db.transaction():
                db.execute("INSERT INTO bomb VALUES (1)")
            assert not db.writing
            for _ in range(2):
                with pytest.raises(GalleryError, match=FULL):
                    put(db, 2)
                with pytest.raises(GalleryError, match=FULL), db.transaction():
                    put(db, 3)
                with pytest.raises(GalleryError, match=FULL):
                    keys(db)

    with pytest.raises(GalleryError, match=f"cannot be written: {FULL}$"):
        outer()
    assert keys(db) == []
    with db.transaction():
        put(db, 4)
    assert keys(db) == [4]


def test_a_commit_that_fails_is_rolled_back_and_named(db):
    db.execute("CREATE TABLE child (key INTEGER REFERENCES fact (key) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(GalleryError, match="cannot be written: FOREIGN KEY constraint failed"), db.transaction():
        db.execute("INSERT INTO child VALUES (7)")
    assert not db.writing
    assert db.rows("SELECT * FROM child") == []


def test_an_error_of_another_database_leaves_as_the_same_error(db):
    with closing(sqlite3.connect(":memory:")) as other:
        with pytest.raises(GalleryError, match="cannot be written: no such table: nowhere"), db.transaction():
            other.execute("SELECT * FROM nowhere")
        with pytest.raises(GalleryError, match="cannot be read: no such table: nowhere"), db.reading():
            other.execute("SELECT * FROM nowhere")


def test_a_statement_outside_of_any_block_raises_the_same_error(db):
    for wrong in (db.rows, db.row, db.value, db.execute):
        with pytest.raises(GalleryError, match=r"gallery\.db cannot be used: no such table: nowhere"):
            wrong("SELECT * FROM nowhere")
    db.close()
    with pytest.raises(GalleryError, match="closed database"):
        keys(db)


def test_reading_nests_and_is_of_one_moment(db, tmp_path):
    with closing(SqliteFile(tmp_path / "gallery.db")) as other:
        with db.reading():
            assert keys(db) == []
            put(other, 1)
            with db.reading():
                assert keys(db) == []
            with pytest.raises(KeyError), db.reading():
                raise KeyError
            assert keys(db) == []
        assert keys(db) == [1]
        with db.transaction():
            put(db, 2)
            with db.reading():
                assert keys(db) == [1, 2]
            put(db, 3)
    assert keys(db) == [1, 2, 3]


def test_a_block_that_reads_cannot_write(db):
    with db.reading():
        with pytest.raises(RuntimeError, match="a block that reads cannot write"):
            put(db, 1)
        with pytest.raises(RuntimeError, match="a block that reads cannot write"), db.transaction():
            pass
    assert keys(db) == []


def test_reading_writes_not_a_byte(db, tmp_path):
    put(db, 1)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if not file.name.endswith("-shm")}
    with db.reading():
        assert keys(db) == [1]
    assert db.checkpoint()  # nothing was erased
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_the_log_is_overwritten_only_after_something_was_erased(db, tmp_path):
    log = tmp_path / "gallery.db-wal"
    put(db, 1)
    before = log.read_bytes()
    assert db.checkpoint()
    assert log.read_bytes() == before
    assert db.erase("DELETE FROM fact WHERE key = 2") == 0
    assert not db.checkpoint_pending
    assert db.erase("DELETE FROM fact WHERE key = 1") == 1
    assert db.checkpoint_pending
    with db.reading():
        assert not db.checkpoint()
    assert before[-4096:] in log.read_bytes()
    assert db.checkpoint()
    assert before[-4096:] not in log.read_bytes()


def test_what_another_process_erased_and_what_a_killed_one_left_is_overwritten_too(db, tmp_path):
    path = tmp_path / "gallery.db"
    with closing(SqliteFile(path)) as other:
        assert other.checkpoint_pending  # the log is not empty: whose it is, nobody knows
        other.erase("DELETE FROM fact")
    assert db.changed_elsewhere()
    assert db.checkpoint_pending


def test_a_commit_waits_for_the_disk(db):
    pragmas = {name: db.value(f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "secure_delete")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}


def test_every_table_is_listed(db):
    assert tables(db) == {"fact", "bomb"}


@pytest.fixture
def disk(tmp_path):
    if not can_mount():
        pytest.skip("a disk cannot be mounted here: this is for root")
    with FullDisk(tmp_path) as disk:
        yield disk


BIG = bytes(100_000)


def fill(db):
    """In an inner block, more than the page cache holds: SQLite writes before the commit, and may roll back itself."""
    with db.transaction():
        with suppress(GalleryError), db.transaction():
            for _ in range(100):
                db.execute("INSERT INTO page VALUES (?)", (BIG,))
        db.execute("INSERT INTO page VALUES (?)", (BIG,))


def test_on_a_full_disk_every_block_says_that_it_is_full(disk):
    with closing(SqliteFile(disk.place / "gallery.db")) as db:
        db.execute("CREATE TABLE page (content BLOB)")
        disk.spoil()
        for _ in range(3):
            with pytest.raises(GalleryError, match=rf"gallery\.db cannot be written: {FULL}$"):
                fill(db)
            with pytest.raises(GalleryError, match=rf"{FULL}$"):
                db.execute("INSERT INTO page VALUES (?)", (BIG,))
            assert not db.writing
        disk.mend()
        with db.transaction():
            db.execute("INSERT INTO page VALUES (?)", (BIG,))
        assert db.value("SELECT count(*) FROM page") == 1
        assert db.value("PRAGMA integrity_check") == "ok"


def test_on_a_full_disk_the_outbox_says_so_and_loses_nothing(disk):
    with closing(Outbox(disk.place / "outbox.db", 100)) as outbox:
        disk.spoil()
        first = outbox.put(lambda *_: BIG, 0.0)
        assert outbox.problem.endswith(f"outbox.db cannot be written: {FULL}")
        with pytest.raises(OutboxError, match=FULL):
            outbox.erase_person("p_1", "Alice", BIG)
        disk.mend()
        assert outbox.take(10) == [first]
        assert outbox.problem is None
