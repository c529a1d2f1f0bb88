"""Damaged files: what can be read of a gallery is used, and an outbox is set aside."""

import logging
import shutil
import sqlite3
import subprocess
from contextlib import closing, contextmanager

import numpy as np
import pytest

from edge.errors import GalleryError, OutboxError
from edge.storage.damage import check_pages, is_damage
from edge.storage.gallery import SqliteGallery
from edge.storage.outbox import Outbox
from edge.storage.unit_of_work import DATABASE_ERRORS

MODEL = "a" * 64
CROP = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)  # its PNG has some ten pages
PAGE = 4096


def vector(number):
    return np.eye(1, 128, number, dtype=np.float32)[0]


def found(store):
    with pytest.raises(DATABASE_ERRORS) as caught:
        check_pages(store)
    return is_damage(caught.value)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "gallery.db"
    with closing(SqliteGallery(path, MODEL)) as store:
        for number in range(20):
            store.add(f"Person {number}", [vector(number)], [CROP])
    return path


def page_of(path, number):
    """The page on which a template's embedding is."""
    at = path.read_bytes().find(vector(number).tobytes())
    return at // PAGE


def test_a_template_on_a_damaged_page_keeps_nobody_else_from_being_known(path):
    data = bytearray(path.read_bytes())
    page = page_of(path, 7)
    data[page * PAGE : (page + 1) * PAGE] = b"\xff" * PAGE
    path.write_bytes(data)
    with closing(SqliteGallery(path, MODEL)) as store:
        people, templates = store.load()
        assert len(people) == 20
        assert 10 <= len(templates) < 20
        assert store.damaged.total() == 20 - len(templates)
        assert found(store)


@pytest.mark.parametrize("damage", [bytes(512), b"\xff" * 512, b"\x00\x00\x80?" * 128])
def test_a_template_that_is_no_encoding_is_counted_and_not_used(path, damage):
    with closing(SqliteGallery(path, MODEL)) as store:
        store._db.execute("UPDATE template SET embedding = ? WHERE rowid = 3", (damage,))
        assert len(store.load()[1]) == 19
        assert store.damaged.total() == 1


def test_a_gallery_of_which_nobody_can_be_read_names_the_remedy(path):
    data = bytearray(path.read_bytes())
    data[PAGE : 2 * PAGE] = b"\xff" * PAGE
    path.write_bytes(data)
    remedy = r"it is damaged: move it away, and bring a backup back by `limen people import`"
    with closing(SqliteGallery(path, MODEL)) as store, pytest.raises(GalleryError, match=f"malformed; .*{remedy}"):
        store.load()
    path.write_bytes(b"garbage " * 1000)
    with pytest.raises(GalleryError, match=f"file is not a database; .*{remedy}"):
        SqliteGallery(path, MODEL)


def garbage(path):
    path.write_bytes(b"garbage " * 1000)


def truncated(path):
    with path.open("r+b") as file:
        file.truncate(PAGE + 100)


def short(path):
    with path.open("r+b") as file:
        file.truncate(50)


def scribbled(path):
    data = path.read_bytes()
    path.write_bytes(data[:PAGE] + b"\xff" * (len(data) - PAGE))


@pytest.fixture
def outbox_path(tmp_path):
    path = tmp_path / "outbox.db"
    with closing(Outbox(path, 100)) as outbox:
        for _ in range(20):
            outbox.put(lambda *_: b"Alice Unmistakable" * 100, 1e12)
    return path


@pytest.mark.parametrize("damage", [garbage, truncated, short, scribbled])
def test_a_damaged_outbox_is_set_aside_and_another_begins(outbox_path, damage, caplog):
    damage(outbox_path)
    before = outbox_path.read_bytes()
    with pytest.raises(OutboxError, match="cannot be opened"):
        Outbox(outbox_path, 100)
    assert outbox_path.read_bytes() == before
    with closing(Outbox(outbox_path, 100, anyway=True)) as outbox:
        assert outbox_path.with_name("outbox.db.damaged-1").read_bytes() == before
        assert (outbox.set_aside, outbox.problem, outbox.unkept, outbox.take(10)) == (1, None, None, [])
        entry = outbox.put(lambda *_: b"now", 1e12)
    assert "it was set aside as" in caplog.text
    with closing(Outbox(outbox_path, 100)) as outbox:
        assert outbox.take(10) == [entry]


def test_what_was_set_aside_is_bounded_and_erased_when_somebody_is_removed(outbox_path):
    content = outbox_path.read_bytes()
    for _ in range(5):
        outbox_path.write_bytes(content[:-PAGE])
        Outbox(outbox_path, 100, anyway=True).close()
    names = [path.name for path in sorted(outbox_path.parent.glob("outbox.db.damaged*"))]
    assert names == ["outbox.db.damaged-3", "outbox.db.damaged-4", "outbox.db.damaged-5"]
    with closing(Outbox(outbox_path, 100)) as outbox, (outbox_path.parent / names[0]).open("rb") as blocks:
        assert b"Unmistakable" in blocks.read()
        outbox.erase_person("p_1", "Alice", np.zeros((0, 0), np.float32))
        assert outbox.set_aside == 0
        blocks.seek(0)
        assert set(blocks.read()) == {0}


def test_an_outbox_that_is_damaged_while_it_is_open_is_set_aside_too(outbox_path):
    with closing(Outbox(outbox_path, 100, anyway=True)) as outbox:
        assert len(outbox.take(100)) == 20
        outbox.rewind()
        outbox._db.execute("PRAGMA cache_size = 0")
        outbox.checkpoint_pending = True
        outbox.checkpoint()
        data = outbox_path.read_bytes()
        with outbox_path.open("r+b") as file:
            file.seek(PAGE)
            file.write(b"\xff" * (len(data) - PAGE))
        outbox._db.execute("PRAGMA shrink_memory")
        outbox.take(100)
        entry = outbox.put(lambda *_: b"now", 1e12)
        assert (entry.seq, outbox.take(10), outbox.set_aside, outbox.problem) == (21, [entry], 1, None)


@contextmanager
def immutable(path):
    subprocess.run(["chattr", "+i", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


def can_make_immutable(folder):
    probe = folder / "probe"
    probe.touch()
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", probe], check=False).returncode:
        return False
    subprocess.run(["chattr", "-i", probe], check=True)
    return True


@pytest.mark.parametrize("damaged", [False, True])
def test_where_the_outbox_cannot_be_used_events_are_in_memory_and_it_is_left_alone(outbox_path, damaged, caplog):
    if not can_make_immutable(outbox_path.parent):
        pytest.skip("a file cannot be made immutable here: this is for root")
    if damaged:
        garbage(outbox_path)
    before = outbox_path.read_bytes()
    with immutable(outbox_path), closing(Outbox(outbox_path, 3, anyway=True)) as outbox:
        entries = [outbox.put(lambda *_: b"now", 1e12) for _ in range(4)]
        assert outbox.take(10) == entries[1:]
        outbox.delivered([2, 3, 4])
        assert (outbox.depth, outbox.dropped) == (0, 1)
        assert "events are in memory alone until limen is started again" in outbox.unkept
        with pytest.raises(OutboxError, match="in memory alone"):
            outbox.erase_person("p_1", "Alice", np.zeros((0, 0), np.float32))
    assert outbox_path.read_bytes() == before
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_an_outbox_that_is_a_folder_or_of_another_program_is_left_alone(tmp_path):
    path = tmp_path / "outbox.db"
    path.mkdir()
    with closing(Outbox(path, 10, anyway=True)) as outbox:
        assert outbox.take(10) == [] == [*path.iterdir()]
        assert "it is a folder, not a file" in outbox.unkept
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE states (state TEXT)")
    before = (tmp_path / "other.db").read_bytes()
    with closing(Outbox(tmp_path / "other.db", 10, anyway=True)) as outbox:
        assert "it is the database of another program" in outbox.unkept
    assert (tmp_path / "other.db").read_bytes() == before
