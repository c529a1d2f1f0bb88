"""What is at the path of a gallery or outbox, and is none: refused by what it is, and left as it is."""

import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.errors import GalleryError, LimenError, OutboxError
from edge.storage.archive import check
from edge.storage.gallery import SqliteGallery
from edge.storage.outbox import Outbox

MODEL = "a" * 64


def gallery(path):
    SqliteGallery(path, MODEL).close()


def outbox(path):
    Outbox(path, 10).close()


def folder(path):
    path.mkdir()


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("opened", [gallery, outbox])
@pytest.mark.parametrize(
    ("make", "kind"), [(folder, "a folder"), (a_socket, "a socket"), (os.mkfifo, "a pipe"), (None, "a device")]
)
def test_what_is_no_file_is_refused(tmp_path, opened, make, kind):
    path = Path("/dev/null") if make is None else tmp_path / "x.db"
    if make is not None:
        make(path)
    before = path.stat()
    with pytest.raises(LimenError, match=f"{opened.__name__} {path} cannot be opened: it is {kind}, not a file"):
        opened(path)
    assert (path.stat().st_mode, path.stat().st_ino) == (before.st_mode, before.st_ino)
    assert list(tmp_path.iterdir()) == ([] if make is None else [path])


def foreign(path, *statements):
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements or ["CREATE TABLE states (state TEXT)"]:
            db.execute(statement)


OTHERS = [
    ["CREATE TABLE states (state TEXT)"],
    ["CREATE TABLE states (state TEXT)", "PRAGMA user_version = 6"],
    ["PRAGMA application_id = 252006674"],  # Fossil's
    ["CREATE TABLE person (id)", "CREATE TABLE template (id)"],  # no version of ours
]


@pytest.mark.parametrize("statements", OTHERS)
def test_the_database_of_another_program_is_refused_and_left_as_it_is(tmp_path, statements):
    path = tmp_path / "home-assistant_v2.db"
    foreign(path, *statements)
    before = path.read_bytes()
    with pytest.raises(GalleryError, match=r"v2.db cannot be opened: it is the database of another program.*--gallery"):
        gallery(path)
    with pytest.raises(GalleryError, match="x cannot be used as a gallery: it is the database of another program"):
        check(before, "x")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("make", [foreign, gallery])
def test_an_outbox_that_is_another_database_is_refused_and_left_as_it_is(tmp_path, make):
    path = tmp_path / "x.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(OutboxError, match=r"it is the database of another program, with the tables.*mqtt\.outbox_path"):
        outbox(path)
    assert path.read_bytes() == before


def test_a_gallery_of_the_first_limen_is_known_by_its_tables(tmp_path):
    gallery(tmp_path / "gallery.db")
    with closing(sqlite3.connect(tmp_path / "gallery.db")) as db:
        db.execute("PRAGMA application_id = 0")
    gallery(tmp_path / "gallery.db")
