"""The database's shape, version by version; each step and its record share one transaction."""

import sqlite3

from edge.errors import GalleryError

# A REPLACE deletes without asking a trigger on DELETE, so it is refused where it would take a row's place.
AUDIT = (
    """CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL, -- UTC
        clock_set INTEGER NOT NULL, -- whether the time of day could be believed
        who TEXT NOT NULL,
        verb TEXT NOT NULL,
        person TEXT, -- an id, never a name: it outlives whoever is forgotten
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
            request TEXT PRIMARY KEY, -- the transaction of whoever asked
            payload BLOB NOT NULL,
            at REAL NOT NULL -- seconds since 1970
        ) STRICT""",
    ),
    # Of what was asked: another request under the same transaction must not get its answer.
    ("ALTER TABLE answer ADD COLUMN digest TEXT NOT NULL DEFAULT ''",),
    ("CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",),
    (
        "ALTER TABLE person ADD COLUMN expires REAL",  # seconds since 1970; nothing: known until removed
        "ALTER TABLE person ADD COLUMN notify INTEGER NOT NULL DEFAULT 1",
        # Tables of their own: to an older limen a row in `template` speaks for somebody.
        """CREATE TABLE negative ( -- what is not that person, although it looks like them
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
            said BLOB NOT NULL -- MessagePack; of somebody who is forgotten, that alone
        ) STRICT""",
    ),
)


OLDEST_READER = 3  # the first version whose limen can also use what the newest step makes: so one can go back


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database to the newest version. Raises GalleryError where a newer limen made it."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    (oldest_reader,) = db.execute("PRAGMA application_id").fetchone()
    if version > len(STEPS) and 0 < oldest_reader <= len(STEPS):
        return
    if version > len(STEPS):
        raise GalleryError(f"the gallery has version {version}; this limen knows versions up to {len(STEPS)}")
    for number, step in enumerate(STEPS[version:], start=version + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in step:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute(f"PRAGMA application_id = {OLDEST_READER}")
        except sqlite3.Error:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
