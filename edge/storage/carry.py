"""People carried from one device to another, as a file of their own."""

import sqlite3
from pathlib import Path

from edge.errors import GalleryError
from edge.storage.database import Database
from edge.storage.gallery_db import GalleryDb, is_embedding

PERSON = "id, name, key, tau, added, expires, notify"
OWNED = ("template", "negative")


def export_to(db: Database, path: Path) -> int:
    """Write everybody, with templates and crops of every model, into a new file that its owner alone can read.

    Strangers stay where they were seen. Returns the number of people. Raises GalleryError where the file is there
    already or cannot be written.
    """
    if path.exists():
        raise GalleryError(f"{path} is there already; an export is never written over another file")
    if not path.parent.is_dir():
        raise GalleryError(f"there is no folder {path.parent} to export to")
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        Database(partial).close()
        with db.attached(partial), db.transaction():
            for table in ("person", *OWNED):
                db.execute(f"INSERT INTO other.{table} SELECT * FROM main.{table}")  # noqa: S608 -- our names
            people = db.execute("SELECT count(*) FROM other.person").fetchone()[0]
        single = sqlite3.connect(partial)
        single.execute("PRAGMA journal_mode = DELETE")  # one file, with no log beside it
        single.close()
        partial.rename(path)
    except (OSError, sqlite3.Error) as error:
        raise GalleryError(f"{path} cannot be written: {error}") from error
    return people


def take_in(db: GalleryDb, path: Path) -> tuple[int, int]:
    """Everybody of an exported gallery: who is known here gets their templates too; what is here stays.

    Returns how many people and templates are new. Raises GalleryError where it is no gallery of this version.
    """
    if not path.is_file():
        raise GalleryError(f"there is no gallery {path}")
    with db.attached(path, "?mode=ro"):
        version, own = (db.execute(f"PRAGMA {of}.user_version").fetchone()[0] for of in ("other", "main"))
        if version != own:
            raise GalleryError(f"{path} is no gallery of version {own} but {version}; export it with this limen")
        for table in OWNED:
            for template_id, blob in db.execute(f"SELECT id, embedding FROM other.{table}"):  # noqa: S608 -- our names
                if not is_embedding(blob):
                    raise GalleryError(f"{path}: template {template_id} is damaged; nothing was taken in")
        with db.transaction():
            return _taken_in(db)


def _taken_in(db: GalleryDb) -> tuple[int, int]:
    new_people = new_templates = 0
    for person in db.execute(f"SELECT {PERSON} FROM other.person").fetchall():  # noqa: S608 -- our names
        person_id, _, key, *_ = person
        known = db.execute("SELECT id FROM main.person WHERE id = ? OR key = ?", (person_id, key)).fetchone()
        if known is None:
            db.execute(f"INSERT INTO main.person ({PERSON}) VALUES (?, ?, ?, ?, ?, ?, ?)", person)  # noqa: S608 -- our names
            new_people += 1
        added = 0
        for table in OWNED:
            taken = db.execute(
                f"INSERT OR IGNORE INTO main.{table} SELECT id, ?, model, embedding, crop, added "  # noqa: S608 -- our names
                f"FROM other.{table} WHERE person = ?",
                (known[0] if known else person_id, person_id),
            ).rowcount
            new_templates += taken if table == "template" else 0
            added += taken
        if added or known is None:
            db.audit.note("import", known[0] if known else person_id, f"{added} template(s)")
    return new_people, new_templates
