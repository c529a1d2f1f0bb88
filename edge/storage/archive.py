"""People carried from one device to another: a SQLite file of their own, in memory until somebody writes it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from edge.core.names import slug_of
from edge.errors import GalleryError, RefusedError
from edge.storage.audit import Audit
from edge.storage.blobs import is_embedding
from edge.storage.database import Database
from edge.storage.migrations import migrate

PERSON = "id, name, key, tau, added, expires, notify"
TEMPLATE = "id, person, model, embedding, crop, added"
OWNED = ("template", "negative")


def export(db: Database, *, crops: bool = True) -> tuple[bytes, int]:
    """Everybody, with templates of every model, and how many they are. Strangers stay where they were seen."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as other, db.reading():
        migrate(other)
        people = db.execute(f"SELECT {PERSON} FROM person").fetchall()  # noqa: S608 -- our names
        other.executemany(f"INSERT INTO person ({PERSON}) VALUES (?, ?, ?, ?, ?, ?, ?)", people)  # noqa: S608 -- ours
        columns = TEMPLATE if crops else TEMPLATE.replace("crop", "NULL")
        for table in OWNED:
            rows = db.execute(f"SELECT {columns} FROM {table}")  # noqa: S608 -- our names
            other.executemany(f"INSERT INTO {table} ({TEMPLATE}) VALUES (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608 -- ours
        return other.serialize(), len(people)


def write_new(path: Path, data: bytes) -> None:
    """An export as a file that its owner alone can read: all of it, or none.

    Raises GalleryError where the file is there already or cannot be written.
    """
    if path.exists():
        raise GalleryError(f"{path} is there already and is not written over")
    if not path.parent.is_dir():
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
    """An export, or another gallery as it is now. Raises GalleryError where there is none."""
    if not path.is_file():
        raise GalleryError(f"there is no gallery {path}")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as file:
            file.execute("SELECT count(*) FROM sqlite_master").fetchone()
            data = bytearray(file.serialize())
    except sqlite3.Error as error:
        raise GalleryError(f"{path} cannot be used as a gallery: {error}") from error
    data[18:20] = b"\x01\x01"  # what is in memory has no log (https://www.sqlite.org/fileformat.html, 1.3.3)
    return bytes(data)


def check(data: bytes, what: str) -> None:
    """Raise GalleryError, which says of what, where it is no export of this version."""
    with closing(sqlite3.connect(":memory:")) as other:
        open_in(other, data, what)


def import_(db: Database, audit: Audit, data: bytes, what: str) -> tuple[int, int]:
    """Everybody of an export: who is known here gets their templates too; what is here stays.

    Returns how many people and templates are new. Raises GalleryError where it is no export of this version, and
    RefusedError with name_taken where somebody new would be written in a topic like somebody who is here.
    """
    with closing(sqlite3.connect(":memory:")) as other:
        open_in(other, data, what)
        with db.transaction():
            _refuse_too_like(db, other)
            return _taken_in(db, audit, other)


def open_in(other: sqlite3.Connection, data: bytes, what: str) -> None:
    """Let a connection to no file read an export. Raises GalleryError, which says of what, where it is none."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as newest:
        migrate(newest)
        own = newest.execute("PRAGMA user_version").fetchone()[0]
    try:
        other.deserialize(data)
        version = other.execute("PRAGMA user_version").fetchone()[0]
        if version != own:
            raise GalleryError(f"{what} is no gallery of version {own} but {version}; export it with this limen")
        for table in OWNED:
            for template_id, blob in other.execute(f"SELECT id, embedding FROM {table}"):  # noqa: S608 -- our names
                if not is_embedding(blob):
                    raise GalleryError(f"{what}: template {template_id} is damaged; nothing was taken in")
    except sqlite3.Error as error:
        raise GalleryError(f"{what} cannot be used as a gallery: {error}") from error


def _refuse_too_like(db: Database, other: sqlite3.Connection) -> None:
    """Zoë, where Zoe is; as edge.core.people.Household.free_name does. Before anything is written."""
    here = {slug_of(name): name for (name,) in db.execute("SELECT name FROM person")}
    for person_id, name, key in other.execute("SELECT id, name, key FROM person"):
        known = db.execute("SELECT 1 FROM person WHERE id = ? OR key = ?", (person_id, key)).fetchone()
        if known is None and (slug := slug_of(name)) in here:
            raise RefusedError(
                "name_taken",
                f"{name} is too like {here[slug]}, who is known here: both would be person/{slug}; rename one of them "
                "first; nothing was taken in",
            )


def _taken_in(db: Database, audit: Audit, other: sqlite3.Connection) -> tuple[int, int]:
    new_people = new_templates = 0
    for person in other.execute(f"SELECT {PERSON} FROM person").fetchall():  # noqa: S608 -- our names
        person_id, _, key, *_ = person
        known = db.execute("SELECT id FROM person WHERE id = ? OR key = ?", (person_id, key)).fetchone()
        if known is None:
            db.execute(f"INSERT INTO person ({PERSON}) VALUES (?, ?, ?, ?, ?, ?, ?)", person)  # noqa: S608 -- our names
            new_people += 1
        added = 0
        for table in OWNED:
            rows = other.execute(f"SELECT {TEMPLATE} FROM {table} WHERE person = ?", (person_id,))  # noqa: S608 -- ours
            for template_id, _, *rest in rows:
                taken = db.execute(
                    f"INSERT OR IGNORE INTO {table} ({TEMPLATE}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 -- our names
                    (template_id, known[0] if known else person_id, *rest),
                ).rowcount
                new_templates += taken if table == "template" else 0
                added += taken
        if added or known is None:
            audit.note("import", known[0] if known else person_id, f"{added} template(s)")
    return new_people, new_templates
