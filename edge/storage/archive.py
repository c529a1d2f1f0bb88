"""Galleries carried from one device to another: a SQLite file, in memory until it is written somewhere."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from edge.core.names import printable
from edge.core.replication import ID_MAX, check_value
from edge.errors import GalleryError
from edge.storage.audit import Audit
from edge.storage.blobs import is_crop, is_embedding
from edge.storage.database import Database
from edge.storage.migrations import migrate, refuse_foreign
from edge.storage.unit_of_work import DATABASE_ERRORS, UnitOfWork
from edge.storage.words import count_of
from edge.system.files import exists, is_dir, is_file

VERSION = 6  # of the tables of an archive, which releases from 1 on read: see edge.storage.migrations.STEPS
PERSON = "id, name, key, tau, added, expires, notify"
TEMPLATE = "id, person, model, embedding, crop, added"
OWNED = ("template", "negative")


def export(db: Database, *, crops: bool = True) -> tuple[bytes, int]:
    """Everybody, with templates of every model, and how many people there are. No strangers, answers or records."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory, db.reading():
        other = UnitOfWork(memory, "the archive")
        migrate(other, VERSION)
        with other.transaction():
            people = db.rows(f"SELECT {PERSON} FROM person")  # noqa: S608 -- our names
            other.executemany(f"INSERT INTO person ({PERSON}) VALUES (?, ?, ?, ?, ?, ?, ?)", people)  # noqa: S608 -- ours
            columns = TEMPLATE if crops else TEMPLATE.replace("crop", "NULL")
            for table in OWNED:
                rows = db.rows(f"SELECT {columns} FROM {table}")  # noqa: S608 -- our names
                other.executemany(f"INSERT INTO {table} ({TEMPLATE}) VALUES (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608 -- ours
        return memory.serialize(), len(people)


def write_new(path: Path, data: bytes) -> None:
    """Write an archive, readable by its owner alone: all of it, or nothing.

    Raises GalleryError where the file exists or cannot be written.
    """
    if exists(path):
        raise GalleryError(f"{path} is there already and is not overwritten")
    if not is_dir(path.parent):
        raise GalleryError(f"there is no folder {path.parent} to export to")
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        with partial.open("wb") as file:
            file.write(data)
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as error:
        raise GalleryError(f"{path} cannot be written: {error}") from error


def read(path: Path) -> bytes:
    """An archive, or another gallery as it is now. Raises GalleryError where there is none."""
    if not is_file(path):
        raise GalleryError(f"there is no gallery {path}")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as file:
            file.execute("SELECT count(*) FROM sqlite_master").fetchone()
            data = bytearray(file.serialize())
    except DATABASE_ERRORS as error:
        raise GalleryError(f"{path} cannot be used as a gallery: {error}") from error
    data[18:20] = b"\x01\x01"  # a database in memory has no log (https://www.sqlite.org/fileformat.html, 1.3.3)
    return bytes(data)


def check(data: bytes, what: str) -> None:
    """Raise GalleryError, which names the archive as what, where it cannot be imported."""
    with opened(data, what):
        pass


def import_(db: Database, audit: Audit, data: bytes, what: str) -> tuple[int, int]:
    """Add everybody of an archive; a person who is enrolled here gets the templates too, and keeps name and settings.

    Returns how many people and templates are new. Raises GalleryError where the archive cannot be used.
    """
    with opened(data, what) as other, db.transaction():
        return _add_all(db, audit, other)


@contextmanager
def opened(data: bytes, what: str) -> Iterator[UnitOfWork]:
    """An archive in memory, brought to the present version. Raises GalleryError, which names it as what."""
    if not data:  # SQLite would say that there is no memory
        raise GalleryError(f"{what} is empty")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        other = UnitOfWork(memory, what)
        try:
            memory.deserialize(data)
            refuse_foreign(other)
            version = other.value("PRAGMA user_version")
            migrate(other)
            _check(other, what)
        except (*DATABASE_ERRORS, TypeError, AttributeError, GalleryError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, DATABASE_ERRORS) else error
            if isinstance(cause, GalleryError) and str(cause).startswith(what):
                raise
            raise GalleryError(f"{what} cannot be used as a gallery: {cause}") from error
        if version == 0:
            raise GalleryError(f"{what} is no gallery")
        yield other


def _check(other: UnitOfWork, what: str) -> None:
    """Raise GalleryError for what would stop a device that imported it."""
    for person_id, name, key, tau, expires in other.rows("SELECT id, name, key, tau, expires FROM person"):
        _check_id(person_id, what)
        try:
            for field, value in (("name", name), ("tau", tau), ("expires", expires)):
                check_value(field, value)
        except ValueError as error:
            raise GalleryError(
                f"{what}: person {person_id} cannot be imported, {error}; nothing was imported: rename or remove "
                "that person in the gallery that this is of"
            ) from error
        if key != name.casefold():
            raise GalleryError(f"{what}: person {person_id} is damaged; nothing was imported")
    for table in OWNED:
        for template_id, blob, crop in other.rows(f"SELECT id, embedding, crop FROM {table}"):  # noqa: S608 -- our names
            _check_id(template_id, what)
            if not is_embedding(blob) or not (crop is None or is_crop(crop)):
                raise GalleryError(f"{what}: template {template_id} is damaged; nothing was imported")


def _check_id(text: str, what: str) -> None:
    """Raise GalleryError for an id that no camera would make: it is printed, logged and sent."""
    if not 1 <= len(text) <= ID_MAX or not text.isascii() or not text.isprintable():
        raise GalleryError(f"{what}: {printable(text[:ID_MAX])!r} is no id; nothing was imported")


def _add_all(db: Database, audit: Audit, other: UnitOfWork) -> tuple[int, int]:
    new_people = new_templates = 0
    for person in other.rows(f"SELECT {PERSON} FROM person"):  # noqa: S608 -- our names
        person_id, _, key, *_ = person
        known = db.value("SELECT id FROM person WHERE id = ? OR key = ?", (person_id, key))
        if known is None:
            db.execute(f"INSERT INTO person ({PERSON}) VALUES (?, ?, ?, ?, ?, ?, ?)", person)  # noqa: S608 -- our names
            new_people += 1
        added = {table: _add_templates(db, other, table, person_id, known or person_id) for table in OWNED}
        new_templates += added["template"]
        if known is None or any(added.values()):
            audit.note("import", known or person_id, count_of(sum(added.values()), "template"))
    return new_people, new_templates


def _add_templates(db: Database, other: UnitOfWork, table: str, person_id: str, owner: str) -> int:
    """Add the templates of one person in one table. Returns how many are new."""
    rows = other.rows(f"SELECT {TEMPLATE} FROM {table} WHERE person = ?", (person_id,))  # noqa: S608 -- ours
    return db.executemany(
        f"INSERT OR IGNORE INTO {table} ({TEMPLATE}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our names
        [(template_id, owner, *rest) for template_id, _, *rest in rows],
    )
