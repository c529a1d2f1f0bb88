"""Events that wait to be delivered, in SQLite: what was seen is told, whatever happens to power, network and broker.

It numbers them. A disk that cannot be written (full, or read-only all of a sudden) does not stop the door: events wait
in memory then, and go to the disk when it can be written again.
"""

import sqlite3
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from edge.errors import OutboxError

SHAPE = """
CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, also after everything was delivered
    id TEXT NOT NULL,
    payload BLOB NOT NULL,
    expires_at REAL NOT NULL -- seconds since 1970
) STRICT;
CREATE TABLE IF NOT EXISTS lost (events INTEGER NOT NULL) STRICT;
INSERT INTO lost SELECT 0 WHERE NOT EXISTS (SELECT * FROM lost);
"""


@dataclass(frozen=True)
class Entry:
    """An event that waits. expires_at: seconds since 1970; later it is of no use any more."""

    seq: int
    event_id: str
    payload: bytes
    expires_at: float


class Outbox:
    """One process at a time has it.

    path:       made, readable by its owner alone, if it is not there
    events_max: more push the oldest out, which is counted
    problem:    why events wait in memory alone, or None
    dropped:    how many were pushed out, ever

    Raises OutboxError where the file cannot be opened, or another process has it.
    """

    def __init__(self, path: Path, events_max: int) -> None:
        self.path, self.events_max = path, events_max
        self.problem: str | None = None
        self._unsaved: dict[int, Entry] = {}
        self._handed_out = self._pushed_out = 0
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(f"file:{quote(str(path))}", uri=True, isolation_level=None, timeout=0.5)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # two doors would send each other's events
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")  # events name people
            self._db.executescript(SHAPE)
            (self.dropped,) = self._db.execute("SELECT events FROM lost").fetchone()
            row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
        except (OSError, sqlite3.Error) as error:
            hint = "; another limen run has it" if "locked" in str(error) else ""
            raise OutboxError(f"outbox {path} cannot be opened: {error}{hint}") from error
        self._last_seq = row[0] if row else 0

    def close(self) -> None:
        """Let go of the file; what waits stays in it. Once more does nothing."""
        if self._closed:
            return
        self._closed = True
        self._save()
        self._write(lambda: None)
        self._db.close()

    @property
    def depth(self) -> int:
        """How many wait or were not acknowledged yet."""
        try:
            (saved,) = self._db.execute("SELECT count(*) FROM event").fetchone()
        except sqlite3.Error as error:
            self.problem, saved = str(error), 0
        return saved + len(self._unsaved)

    def put(self, make: Callable[[int, str], bytes], expires_at: float) -> Entry:
        """Keep an event until it is delivered. make: from its seq and id to what is sent."""
        self._last_seq += 1
        event_id = uuid.uuid4().hex
        entry = Entry(self._last_seq, event_id, make(self._last_seq, event_id), expires_at)
        self._unsaved[entry.seq] = entry
        self._save()
        return entry

    def take(self, count: int) -> list[Entry]:
        """The oldest that were not handed out before, at most that many. After a restart all are handed out again."""
        self._save()
        if count <= 0:  # to SQLite a negative limit is none
            return []
        try:
            rows = self._db.execute(
                "SELECT seq, id, payload, expires_at FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
                (self._handed_out, count),
            ).fetchall()
        except sqlite3.Error as error:
            self.problem = str(error)
            return []  # none of a later one before those that cannot be read now
        waiting = [entry for seq, entry in self._unsaved.items() if seq > self._handed_out]
        entries = [*(Entry(*row) for row in rows), *waiting][:count]
        if entries:
            self._handed_out = entries[-1].seq
        return entries

    def rewind(self) -> None:
        """Over a new connection, hand out again all that was not delivered."""
        self._handed_out = 0

    def delivered(self, numbers: Iterable[int]) -> None:
        """These were acknowledged by the broker."""
        gone = [(seq,) for seq in numbers]
        for (seq,) in gone:
            self._unsaved.pop(seq, None)
        if gone:
            self._write(lambda: self._db.executemany("DELETE FROM event WHERE seq = ?", gone))

    def revise(self, told: Callable[[bytes], bytes | None]) -> None:
        """Have what waits told otherwise, or (None) not at all; of what it was, nothing is left on the disk.

        On a disk that cannot be written, what is there stays as it is, and there is a problem.
        """
        self._unsaved = {
            seq: replace(entry, payload=payload)
            for seq, entry in self._unsaved.items()
            if (payload := told(entry.payload)) is not None
        }

        def rewrite() -> None:
            for seq, before in self._db.execute("SELECT seq, payload FROM event").fetchall():
                payload = told(before)
                if payload is None:
                    self._db.execute("DELETE FROM event WHERE seq = ?", (seq,))
                elif payload != before:
                    self._db.execute("UPDATE event SET payload = ? WHERE seq = ?", (payload, seq))

        if self._write(rewrite):
            try:
                self._db.execute("VACUUM")  # an older limen left in free pages what had been delivered
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.Error as error:
                self.problem = str(error)

    def _save(self) -> None:
        """Bring what waits in memory to the disk, if that can be done, and push out what is too much."""
        if not self._unsaved:
            return
        rows = [(entry.seq, entry.event_id, entry.payload, entry.expires_at) for entry in self._unsaved.values()]

        def save() -> None:
            self._db.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?)", rows)
            pushed_out = self._db.execute(
                "DELETE FROM event WHERE seq NOT IN (SELECT seq FROM event ORDER BY seq DESC LIMIT ?)",
                (self.events_max,),
            ).rowcount
            self._db.execute("UPDATE lost SET events = events + ?", (pushed_out + self._pushed_out,))

        if self._write(save):
            self._unsaved.clear()
            self._pushed_out = 0
            (self.dropped,) = self._db.execute("SELECT events FROM lost").fetchone()
        while len(self._unsaved) > self.events_max:
            self._unsaved.pop(next(iter(self._unsaved)))
            self._pushed_out += 1
            self.dropped += 1

    def _write(self, change: Callable[[], object]) -> bool:
        """All of a change is on the disk, or none of it and there is a problem."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            change()
            # Also of what was delivered without ever having been on the disk, no number is used twice.
            self._db.execute("DELETE FROM sqlite_sequence WHERE name = 'event'")
            self._db.execute("INSERT INTO sqlite_sequence VALUES ('event', ?)", (self._last_seq,))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self.problem = str(error)
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            return False
        self.problem = None
        return True
