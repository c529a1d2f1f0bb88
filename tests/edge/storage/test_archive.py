"""Galleries as archives: carried to another device, and refused where they would harm it."""

import sqlite3
import stat
from contextlib import closing

import numpy as np
import pytest

from edge.errors import GalleryError
from edge.storage.archive import VERSION, check, export, import_, read, write_new
from edge.storage.gallery import SqliteGallery
from edge.storage.migrations import OLDEST_READER, STEPS

MODEL = "a" * 64
RNG = np.random.default_rng(0)


def embedding():
    vector = RNG.normal(size=128).astype(np.float32)
    return vector / np.linalg.norm(vector)


def crop():
    return RNG.integers(0, 256, (112, 112, 3), dtype=np.uint8)


@pytest.fixture
def db(tmp_path):
    store = SqliteGallery(tmp_path / "deep" / "gallery.db", MODEL)
    yield store
    store.close()


def export_to(db, path):
    data, people = export(db)
    write_new(path, data)
    return people


def import_file(db, path):
    return import_(db, db.audit, read(path), str(path))


@pytest.fixture
def other(tmp_path):
    store = SqliteGallery(tmp_path / "other camera?" / "gallery.db", MODEL)
    yield store
    store.close()


def test_an_archive_adds_everybody_and_what_is_there_stays(db, other, tmp_path):
    db.add("Alice", [embedding(), embedding()], [crop(), crop()])
    db.add("Bob", [embedding()], [crop()])
    db.answers.keep("t1", "digest", b"answer")
    here = other.add("ALICE", [embedding()], [crop()])
    file = tmp_path / "people.limen"
    assert export_to(db, file) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["people.limen"]
    assert import_file(other, file) == (1, 3)
    assert import_file(other, file) == (0, 0)
    people, templates = other.load()
    assert {(person.name, person.person_id == here.person_id) for person in people} == {("ALICE", True), ("Bob", False)}
    assert sum(template.person_id == here.person_id for template in templates) == 3
    assert len(templates) == 4
    assert {image.tobytes() for _, image in db.crops()} < {image.tobytes() for _, image in other.crops()}
    assert other.answers.given("t1") is None


def test_a_name_that_is_like_one_here_is_of_another_person(db, other):
    for name in ("Bob", "Zoë"):
        db.add(name, [embedding()], [crop()])
    other.add("Zoe", [embedding()], [crop()])
    assert other.import_(db.export()[0]) == (2, 2)
    assert {person.name for person in other.load()[0]} == {"Bob", "Zoë", "Zoe"}


def test_an_export_is_never_written_over_anything(db, tmp_path):
    (tmp_path / "people.limen").write_text("holiday pictures")
    with pytest.raises(GalleryError, match=r"people\.limen is there already"):
        export_to(db, tmp_path / "people.limen")
    with pytest.raises(GalleryError, match=r"there is no folder .*people\.limen to export to"):
        export_to(db, tmp_path / "people.limen" / "deeper")
    assert (tmp_path / "people.limen").read_text() == "holiday pictures"


def test_what_is_no_export_is_named_and_changes_nothing(db, tmp_path):
    db.add("Alice", [embedding()], [crop()])
    (tmp_path / "notes.txt").write_text("not a gallery at all " * 100)
    with pytest.raises(GalleryError, match=r"notes\.txt cannot be used as a gallery: file is not a database"):
        import_file(db, tmp_path / "notes.txt")
    with pytest.raises(GalleryError, match="there is no gallery"):
        import_file(db, tmp_path / "gone")
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(
        GalleryError,
        match=r"empty\.db cannot be used as a gallery: it is the database of another program, with the tables t$",
    ):
        import_file(db, tmp_path / "empty.db")
    assert len(db.load()[1]) == 1


@pytest.mark.parametrize("damage", [b"", b"\x00\x00\x80?" * 127 + b"\x00", bytes(512), b"\xff" * 512])
def test_a_damaged_template_is_not_imported_and_stops_nothing_where_it_is(db, other, tmp_path, damage):
    db.add("Alice", [embedding()], [crop()])
    db.add("Bob", [embedding()], [crop()])
    db._db.execute("UPDATE template SET embedding = ? WHERE rowid = 1", (damage,))
    file = tmp_path / "people.limen"
    export_to(db, file)
    with pytest.raises(GalleryError, match=r"template e_.* is damaged; nothing was imported"):
        import_file(other, file)
    assert other.load() == ([], [])
    if len(damage) != 512:  # it counts as another model's: its crop can be embedded again
        assert len(db.load()[1]) == 1
        assert db.foreign() == 1


def test_a_gallery_in_use_is_imported_as_it_is_now(db, other):
    db.add("Alice", [embedding()], [crop()])  # in the log of writes, not in the file yet
    assert import_file(other, db.path) == (1, 1)


def changed(data, *statements):
    """An archive after these statements."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        raw.deserialize(data)
        for statement in statements:
            raw.execute(statement)
        return raw.serialize()


def test_an_archive_has_the_version_that_releases_before_read(db):
    data, _ = export(db)
    with closing(sqlite3.connect(":memory:")) as raw:
        raw.deserialize(data)
        assert raw.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert raw.execute("PRAGMA application_id").fetchone() == (OLDEST_READER,)
        assert {table for (table,) in raw.execute("SELECT DISTINCT name FROM sqlite_master WHERE name = 'stranger'")}
        assert raw.execute("SELECT count(*) FROM stranger").fetchone() == (0,)


def test_an_archive_of_a_version_before_is_imported(other):
    """As the first release with negative templates made it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        for statement in (statement for step in STEPS[:4] for statement in step):
            raw.execute(statement)
        raw.execute("PRAGMA user_version = 4")
        raw.execute("INSERT INTO person (id, name, key) VALUES ('p_1', 'Alice', 'alice')")
        data = raw.serialize()
    assert import_(other, other.audit, data, "the archive") == (1, 0)
    assert [person.name for person in other.people()] == ["Alice"]


def test_an_archive_of_a_newer_limen_is_refused_where_that_one_says_it_cannot_be_read(db, other):
    db.add("Alice", [embedding()], [crop()])
    data, _ = export(db)
    newer = changed(data, "PRAGMA user_version = 99", "PRAGMA application_id = 98")
    with pytest.raises(GalleryError, match="version 99; this limen knows versions up to"):
        check(newer, "the archive")
    assert import_(other, other.audit, changed(data, "PRAGMA user_version = 99"), "the archive") == (1, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE person SET tau = 9e999",
        "UPDATE person SET tau = -1.0",
        "UPDATE person SET expires = 1e300",
        "UPDATE person SET expires = -9e999",
        "UPDATE person SET name = printf('%.100c', 'A'), key = printf('%.100c', 'a')",
        "UPDATE person SET name = 'nobody', key = 'nobody'",
        "UPDATE person SET name = 'A' || char(10), key = 'a' || char(10)",
        "UPDATE person SET name = ' Alice', key = ' alice'",
        "UPDATE person SET name = char(27) || '[31mA', key = char(27) || '[31ma'",
        "UPDATE person SET name = 'A' || char(8238), key = 'a' || char(8238)",
        "UPDATE person SET key = 'bob'",
        "UPDATE template SET crop = x'89504e470d0a1a0a'",
        "UPDATE template SET crop = zeroblob(100000)",
        "UPDATE template SET crop = x''",
    ],
)
def test_what_would_stop_a_device_is_refused_whole(db, other, statement):
    db.add("Alice", [embedding()], [crop()])
    data, _ = export(db)
    with pytest.raises(
        GalleryError, match=r"the archive: (person p|template e)_.* (damaged|imported).*; nothing was imported"
    ):
        import_(other, other.audit, changed(data, statement), "the archive")
    assert other.load() == ([], [])
    assert import_(other, other.audit, data, "the archive") == (1, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE person SET id = 'p_' || char(27) || '[2J'; UPDATE template SET person = (SELECT id FROM person)",
        "UPDATE template SET id = 'e_' || char(8238)",
        "UPDATE template SET id = printf('%.65c', 'e')",
        "UPDATE template SET id = ''",
    ],
)
def test_an_id_that_a_terminal_would_obey_is_refused(db, other, statement):
    db.add("Alice", [embedding()], [crop()])
    data, _ = export(db)
    statements = ["PRAGMA foreign_keys = OFF", *statement.split("; ")]
    with pytest.raises(GalleryError, match=r"the archive: '.*' is no id; nothing was imported") as refused:
        import_(other, other.audit, changed(data, *statements), "the archive")
    assert "\x1b" not in str(refused.value)
    assert other.load() == ([], [])


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["DROP TABLE audit", "DROP TABLE negative"], "cannot be used as a gallery: no such trigger"),
        (["PRAGMA foreign_keys = OFF", "DROP TABLE person", "CREATE TABLE person (id, name, key, tau, expires)",
          "INSERT INTO person VALUES (1, 2, 3, 'x', 'y')"], "cannot be used as a gallery"),
        (["DROP TABLE template", "CREATE TABLE template (id, person, embedding, crop)",
          "INSERT INTO template VALUES (1, 2, 'text', 3)"], "cannot be used as a gallery"),
    ],
)  # fmt: skip
def test_tables_of_another_shape_are_refused(db, statements, message):
    data, _ = export(db)
    with pytest.raises(GalleryError, match=message):
        check(changed(data, *statements), "the archive")


def damaged(path):
    """A gallery with a byte in its schema that is no UTF-8; SQLite quotes it in its message."""
    with closing(SqliteGallery(path, "a" * 64)) as store:
        store.checkpoint()
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE person", b"CREATE TABL\xde person"))
    return path


def test_a_file_whose_schema_is_no_text_is_an_error_that_names_it(tmp_path):
    """It was a UnicodeDecodeError."""
    path = damaged(tmp_path / "gallery.db")
    with pytest.raises(GalleryError, match=r"gallery\.db"):
        SqliteGallery(path, "a" * 64)
    with pytest.raises(GalleryError, match="the archive cannot be used as a gallery"):
        check(path.read_bytes()[:18] + b"\1\1" + path.read_bytes()[20:], "the archive")


def test_an_empty_archive_is_an_error_that_names_it():
    """It was a MemoryError."""
    with pytest.raises(GalleryError, match="the archive is empty"):
        check(b"", "the archive")
