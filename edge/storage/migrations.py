"""The tables of the gallery's file, version by version.

An older limen can use a file of a newer version from OLDEST_READER on: a step after it only adds columns that have
defaults, or tables of their own, and keeps every column that an older limen reads or writes.
"""

from edge.errors import GalleryError
from edge.storage.unit_of_work import UnitOfWork, foreign_text, tables

AUDIT_MAX = 200_000  # records, of some 110 bytes each: the newest that cannot be deleted

# REPLACE deletes a row without running a trigger on DELETE, so an insert is refused where it would take a row's place.
AUDIT = (
    """CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL, -- UTC
        clock_set INTEGER NOT NULL, -- whether the time of day was set
        who TEXT NOT NULL,
        verb TEXT NOT NULL,
        person TEXT, -- an id, never a name: the record outlives the person
        detail TEXT NOT NULL
    ) STRICT""",
    """CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit record is never changed'); END""",
    """CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit record is never deleted'); END""",
    """CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
        WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'the audit record is never changed'); END""",
)
NONCES = (
    """CREATE TABLE nonce (
        key TEXT NOT NULL, -- the id of the key that signed it
        nonce TEXT NOT NULL,
        timestamp_ms INTEGER NOT NULL, -- since 1970
        PRIMARY KEY (key, nonce)
    ) STRICT""",
)

STEPS = (
    (
        """CREATE TABLE person (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            key TEXT NOT NULL UNIQUE, -- the name without upper and lower case
            tau REAL,
            added TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        ) STRICT""",
        """CREATE TABLE template (
            id TEXT PRIMARY KEY,
            person TEXT NOT NULL REFERENCES person (id),
            model TEXT NOT NULL, -- sha256 of the embedder that made it
            embedding BLOB NOT NULL, -- little-endian float32, of unit length
            crop BLOB, -- PNG of the aligned crop, so that another embedder can make its own
            added TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        ) STRICT""",
        """CREATE TABLE answer (
            request TEXT PRIMARY KEY, -- a hash of the request's transaction
            payload BLOB NOT NULL,
            at REAL NOT NULL -- seconds, see edge.storage.idempotency
        ) STRICT""",
    ),
    # Of the request: another one under the same transaction must not get its answer.
    ("ALTER TABLE answer ADD COLUMN digest TEXT NOT NULL DEFAULT ''",),
    ("CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",),
    (
        "ALTER TABLE person ADD COLUMN expires REAL",  # seconds since 1970; NULL is never
        "ALTER TABLE person ADD COLUMN notify INTEGER NOT NULL DEFAULT 1",
        # Tables of their own: to an older limen every row in `template` is a template of its person.
        """CREATE TABLE negative ( -- near to that person, and of another one
            id TEXT PRIMARY KEY,
            person TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE,
            model TEXT NOT NULL,
            embedding BLOB NOT NULL,
            crop BLOB,
            added TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        ) STRICT""",
        """CREATE TABLE stranger (
            id TEXT PRIMARY KEY,
            ignored INTEGER NOT NULL DEFAULT 0,
            sightings INTEGER NOT NULL DEFAULT 0,
            first_seen TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
            last_seen TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        ) STRICT""",
        """CREATE TABLE stranger_template (
            id TEXT PRIMARY KEY,
            stranger TEXT NOT NULL REFERENCES stranger (id) ON DELETE CASCADE,
            model TEXT NOT NULL,
            embedding BLOB NOT NULL,
            crop BLOB,
            added TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        ) STRICT""",
    ),
    (*AUDIT, *NONCES),
    (
        """CREATE TABLE revision ( -- what the household's cameras agree on; see edge.core.replication
            person TEXT PRIMARY KEY,
            said BLOB NOT NULL -- MessagePack; of a person who was removed, a tombstone
        ) STRICT""",
    ),
    (
        # The record is bounded: what is older than its newest records may go, and still nothing may be changed.
        # An older limen never deletes a record, so it needs to know nothing of this.
        "DROP TRIGGER audit_is_not_deleted",
        f"""CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
            WHEN OLD.id > (SELECT max(id) FROM audit) - {AUDIT_MAX}
            BEGIN SELECT RAISE(ABORT, 'the audit record is never deleted, but for its oldest part'); END""",  # noqa: S608 -- ours
        # Whether last_seen is by a clock that was set. What an older limen writes counts as such: it purges by it.
        "ALTER TABLE stranger ADD COLUMN clock_set INTEGER NOT NULL DEFAULT 1",
        # Numbers the sightings of all strangers, so that their order does not depend on a clock.
        "ALTER TABLE stranger ADD COLUMN turn INTEGER NOT NULL DEFAULT 0",
    ),
    (
        # Without them a change of one person reads everybody's rows, also to check the references to a removed one.
        "CREATE INDEX person_added ON person (added, id)",
        "CREATE INDEX template_person ON template (person)",
        "CREATE INDEX negative_person ON negative (person)",
        "CREATE INDEX stranger_template_stranger ON stranger_template (stranger)",
    ),
    (
        """CREATE TABLE removed_template ( -- see edge.storage.removed
            person TEXT NOT NULL,
            model TEXT NOT NULL,
            embedding BLOB NOT NULL
        ) STRICT""",
    ),
)


OURS = {"person", "template"}  # tables of every gallery
APPLICATION_ID_MAX = 1000  # other programs that set one have larger numbers, or negative ones
OLDEST_READER = 3  # the first version whose limen can also use what the newest step makes: so one can go back


def refuse_foreign(db: UnitOfWork, remedy: str = "") -> None:
    """Raise GalleryError for a database of another program. An empty one may become a gallery.

    A gallery has tables and a version of ours, and its application_id is OLDEST_READER: as an older limen reads it, it
    cannot be a number that is of limen alone. The first galleries had 0.
    """
    found = tables(db)
    empty, ours = not found, found >= OURS and db.value("PRAGMA user_version") > 0
    if not 0 <= db.value("PRAGMA application_id") <= APPLICATION_ID_MAX or not (empty or ours):
        raise GalleryError(foreign_text(found) + remedy)


def migrate(db: UnitOfWork, to: int = len(STEPS)) -> None:
    """Bring a database to a version; each step and its number are one transaction.

    Raises GalleryError where a newer limen wrote it whose OLDEST_READER is newer than this one.
    """
    version, oldest_reader = db.value("PRAGMA user_version"), db.value("PRAGMA application_id")
    if version > len(STEPS) and 0 < oldest_reader <= len(STEPS):
        return
    if version > len(STEPS):
        raise GalleryError(f"the gallery has version {version}; this limen knows versions up to {len(STEPS)}")
    for number, step in enumerate(STEPS[version:to], start=version + 1):
        with db.transaction():
            for statement in step:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute(f"PRAGMA application_id = {OLDEST_READER}")
