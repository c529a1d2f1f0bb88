"""Events that wait to be delivered, in a SQLite file: they outlive a power cut and a broker that is away.

The outbox numbers events. A disk that cannot be written (full, or read-only) does not stop the device: events wait in
memory then, and go to the disk when it can be written again. Nor does a damaged file: it is set aside.
"""

import logging
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge.api.redaction import without_person
from edge.errors import OutboxError, OutboxInUseError
from edge.storage.aside import erase, files_set_aside, set_aside
from edge.storage.damage import is_damage
from edge.storage.database import SqliteFile
from edge.storage.unit_of_work import UnitOfWork, foreign_text, tables

log = logging.getLogger("limen")

SHAPE = (
    """CREATE TABLE IF NOT EXISTS event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, also after everything was delivered
        id TEXT NOT NULL,
        payload BLOB NOT NULL,
        expires_at REAL NOT NULL -- seconds since 1970
    ) STRICT""",
    "CREATE TABLE IF NOT EXISTS lost (events INTEGER NOT NULL) STRICT",
    "INSERT INTO lost SELECT 0 WHERE NOT EXISTS (SELECT * FROM lost)",
)
TABLES = {"event", "lost"}
EVENTS = "SELECT seq, id, payload, expires_at FROM event"
OVERWRITES = 1  # version of a file whose deleted pages were all overwritten; VACUUM would give them back as they are
BUSY_SECONDS = 0.5


@dataclass(frozen=True)
class Entry:
    """An event that waits. expires_at: seconds since 1970; later the event is of no use."""

    seq: int
    event_id: str
    payload: bytes
    expires_at: float


class Outbox(SqliteFile):
    """The queue of events; one process at a time has it.

    path:       created, readable by its owner alone, where it is missing
    events_max: more push the oldest out, which is counted
    anyway:     a damaged file is set aside, and what cannot be opened is left alone: events are in memory then
    problem:    why events wait in memory alone, or None
    unkept:     why all of it is in memory until the next start, or None
    dropped:    how many were pushed out, ever

    Raises OutboxError where the file cannot be opened (but see anyway), or another process has it.
    """

    kind = "outbox"
    error = OutboxError

    def __init__(self, path: Path, events_max: int, *, anyway: bool = False) -> None:
        self.events_max, self._anyway = events_max, anyway
        self.problem: str | None = None
        self.unkept: str | None = None
        self.dropped = 0
        self._unsaved: dict[int, Entry] = {}
        self._handed_out = self._pushed_out = self._last_seq = 0
        self._closed = False
        # Two devices would send each other's events.
        super().__init__(path, exclusive=True, busy_seconds=BUSY_SECONDS)

    def _open(self, *, make: bool) -> None:
        try:
            super()._open(make=make)
        except OutboxError as error:
            if "locked" in str(error) and self.generation == 0:
                raise OutboxInUseError(f"{error}; another limen run has it") from error
            if not self._anyway:
                raise
            self._open_anyway(error)

    def _open_anyway(self, error: OutboxError) -> None:
        """Set a damaged file aside and begin a new one; where that cannot be done, in memory."""
        if is_damage(error):
            try:
                aside = set_aside(self.path)
                super()._open(make=True)
            except (OSError, OutboxError) as again:
                error = OutboxError(f"{error}; and it cannot be set aside: {again}")
            else:
                log.warning("%s: it was set aside as %s, and the events in it are lost", error, aside)
                return
        self.unkept = f"{error}; events are in memory alone until limen is started again"
        log.warning("%s", self.unkept)
        self._files, self._log = None, Path(os.devnull)
        memory = sqlite3.connect(":memory:", isolation_level=None)
        UnitOfWork.__init__(self, memory, f"outbox {self.path}", self.error)
        self._prepare()

    @property
    def replaced(self) -> bool:
        """See SqliteFile."""
        return self.unkept is None and super().replaced

    @property
    def set_aside(self) -> int:
        """How many damaged files were set aside and are still there."""
        return len(files_set_aside(self.path))

    def close(self) -> None:
        """Close the file; what waits stays in it. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._save()
        self._write(lambda: None)
        super().close()

    @property
    def depth(self) -> int:
        """How many events wait or were not acknowledged yet."""
        try:
            saved = int(self.value("SELECT count(*) FROM event"))
        except OutboxError as error:
            self.problem, saved = str(error), 0
        return saved + len(self._unsaved)

    def put(self, make: Callable[[int, str], bytes], expires_at: float) -> Entry:
        """Keep an event until it is delivered. make: from its seq and id to the payload."""
        self._last_seq += 1
        event_id = uuid.uuid4().hex
        entry = Entry(self._last_seq, event_id, make(self._last_seq, event_id), expires_at)
        self._unsaved[entry.seq] = entry
        self._save()
        return entry

    def take(self, count: int) -> list[Entry]:
        """The oldest events that were not handed out yet, at most so many. After a restart all are again."""
        self._save()
        if count <= 0:  # to SQLite a negative limit is none
            return []
        try:
            rows = self.rows(f"{EVENTS} WHERE seq > ? ORDER BY seq LIMIT ?", (self._handed_out, count))
        except OutboxError as error:
            self._note(error)
            return []  # none of a later one before those that cannot be read now
        waiting = [entry for seq, entry in self._unsaved.items() if seq > self._handed_out]
        entries = [*(Entry(*row) for row in rows), *waiting][:count]
        if entries:
            self._handed_out = entries[-1].seq
        return entries

    def rewind(self) -> None:
        """Hand out again, over a new connection, all that was not delivered."""
        self._handed_out = 0

    def delivered(self, numbers: Iterable[int]) -> None:
        """Delete the events that the broker acknowledged."""
        gone = [(seq,) for seq in numbers]
        for (seq,) in gone:
            self._unsaved.pop(seq, None)
        if gone:
            self._write(lambda: self.executemany("DELETE FROM event WHERE seq = ?", gone))

    def revise(self, redact: Callable[[bytes], bytes | None]) -> int:
        """Replace the payload of every event that waits, or (None) delete it. Returns how many were changed.

        Nothing of what it was is left on the disk; on a disk that cannot be written it stays, and there is a problem.
        """
        redacted = {seq: redact(entry.payload) for seq, entry in self._unsaved.items()}
        changed = sum(payload != self._unsaved[seq].payload for seq, payload in redacted.items())
        self._unsaved = {
            seq: replace(self._unsaved[seq], payload=payload)
            for seq, payload in redacted.items()
            if payload is not None
        }

        def rewrite() -> None:
            nonlocal changed
            for seq, before in self.rows("SELECT seq, payload FROM event"):
                payload = redact(before)
                if payload is None:
                    changed += self.erase("DELETE FROM event WHERE seq = ?", (seq,))
                elif payload != before:
                    changed += self.erase("UPDATE event SET payload = ? WHERE seq = ?", (payload, seq))

        if self._write(rewrite):
            self._overwrite()
        return changed

    def erase_person(self, person_id: str, name: str, embeddings: np.ndarray) -> int:  # noqa: ARG002 -- see PersonStore
        """See edge.core.ports.PersonStore. Raises OutboxError where the disk cannot be written."""
        changed = self.revise(lambda payload: without_person(payload, person_id, name))
        self.erase_set_aside()
        if self.problem is not None:
            raise OutboxError(self.problem)
        return changed

    def erase_set_aside(self) -> None:
        """Overwrite and delete what was set aside: it cannot be read, and may name anybody. Raises OutboxError."""
        try:
            for one in files_set_aside(self.path):
                erase(one)
        except OSError as error:
            raise OutboxError(f"what was set aside of outbox {self.path} cannot be overwritten: {error}") from error
        if self.unkept is not None:
            raise OutboxError(self.unkept)

    def _refuse_foreign(self) -> None:
        if (found := tables(self)) and not found >= TABLES:
            raise OutboxError(f"{foreign_text(found)}; name another file in mqtt.outbox_path")

    def _prepare(self) -> None:
        self.check()
        with self.transaction():
            if not tables(self):
                self.execute(f"PRAGMA user_version = {OVERWRITES}")
            for statement in SHAPE:
                self.execute(statement)
            self.execute("UPDATE lost SET events = max(events, ?)", (self.dropped,))
        self.rows(f"{EVENTS} LIMIT 1")
        self.dropped = int(self.value("SELECT events FROM lost"))
        last_seq = self.value("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
        self._last_seq = max(self._last_seq, int(last_seq or 0))

    def _follow(self) -> None:
        """Where the file was removed or replaced, take all that waits along into the one that is there now."""
        with suppress(OutboxError):
            self._unsaved = {row[0]: Entry(*row) for row in self.rows(f"{EVENTS} ORDER BY seq")} | self._unsaved
        try:
            self.reopen(make=True)
        except OutboxError as error:
            self.problem = str(error)

    def _note(self, error: OutboxError) -> None:
        """Note why events wait in memory; a file that turns out to be damaged is set aside."""
        self.problem = str(error)
        if self._anyway and is_damage(error):
            self._db.close()
            self._open_anyway(error)

    def _save(self) -> None:
        """Bring what waits in memory to the disk, if that can be done, and push out what is too much."""
        if self.replaced:
            self._follow()
        if not self._unsaved:
            return
        rows = [(entry.seq, entry.event_id, entry.payload, entry.expires_at) for entry in self._unsaved.values()]

        def save() -> None:
            self.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?)", rows)
            pushed_out = self.execute(
                "DELETE FROM event WHERE seq NOT IN (SELECT seq FROM event ORDER BY seq DESC LIMIT ?)",
                (self.events_max,),
            )
            self.execute("UPDATE lost SET events = events + ?", (pushed_out + self._pushed_out,))

        if self._write(save):
            self._unsaved.clear()
            self._pushed_out = 0
            self.dropped = int(self.value("SELECT events FROM lost"))
        while len(self._unsaved) > self.events_max:
            self._unsaved.pop(next(iter(self._unsaved)))
            self._pushed_out += 1
            self.dropped += 1

    def _write(self, change: Callable[[], object]) -> bool:
        """All of a change is on the disk, or none of it and there is a problem."""
        try:
            with self.transaction():
                change()
                # A number is not used twice either where its event was delivered and never was on the disk.
                self.execute("DELETE FROM sqlite_sequence WHERE name = 'event'")
                self.execute("INSERT INTO sqlite_sequence VALUES ('event', ?)", (self._last_seq,))
        except OutboxError as error:
            self._note(error)
            return False
        self.problem = None
        return True

    def _overwrite(self) -> None:
        """Leave nothing of what was deleted in the log, nor, once, in the free pages of a file of an older limen."""
        try:
            if self.value("PRAGMA user_version") < OVERWRITES:
                self.execute("VACUUM")
                self.execute(f"PRAGMA user_version = {OVERWRITES}")
        except OutboxError as error:
            self.problem = str(error)
        self.checkpoint_pending = True
        if not self.checkpoint():
            self.problem = self.problem or f"outbox {self.path}: its log of writes cannot be overwritten"
