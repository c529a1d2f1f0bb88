"""The audit record: who changed what is kept of people, and when."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from edge.storage.database import Database
from edge.storage.migrations import AUDIT_MAX
from edge.storage.words import count_of
from edge.system.clock import Clock, rfc3339

BLOCK = 1_000  # records that are dropped at once


class Record(NamedTuple):
    """One write. at: RFC 3339; clock_set: whether the time of day was set; who: on whose behalf."""

    at: str
    clock_set: bool
    who: str
    verb: str
    person_id: str | None
    detail: str


class Audit:
    """The record of one gallery, of which triggers in the file forbid every change but one.

    The newest 200,000 records stay, whatever clients do. Of what is older, a thousand are dropped at a time, and a
    record of the verb "prune" says how many were dropped since the first.

    who: on whose behalf the next records are written
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self.who = f"command line, user {os.getuid()}"

    @contextmanager
    def on_behalf_of(self, who: str) -> Iterator[None]:
        """Set who for the records of a block."""
        before, self.who = self.who, who
        try:
            yield
        finally:
            self.who = before

    def note(self, verb: str, person_id: str | None = None, detail: str = "") -> None:
        """Add a record, in the transaction of the write that it is of: neither is on the disk without the other.

        detail: counts and ids; never a name, which could not be erased
        """
        self._add(verb, person_id, detail)
        oldest, newest = (self._db.value(f"SELECT {which}(id) FROM audit") for which in ("min", "max"))  # noqa: S608 -- ours
        if newest - oldest + 1 >= AUDIT_MAX + BLOCK:
            self._db.execute("DELETE FROM audit WHERE id <= ?", (newest - AUDIT_MAX,))
            self._add("prune", None, f"{count_of(newest - AUDIT_MAX, 'record')} dropped since the first")

    def records(self, last: int | None = None) -> list[Record]:
        """The newest records, at most so many, or all; the oldest of them first."""
        with self._db.reading():
            rows = self._db.rows(
                "SELECT at, clock_set, who, verb, person, detail FROM audit ORDER BY id DESC LIMIT ?",
                (-1 if last is None else last,),
            )
        return [Record(at, bool(clock_set), *rest) for at, clock_set, *rest in reversed(rows)]

    def erase_person(self, person_id: str, name: str, embeddings: np.ndarray) -> int:  # noqa: ARG002 -- see PersonStore
        """See edge.core.ports.PersonStore. Returns 0: a record holds ids and counts, and none is ever changed."""
        return 0

    def _add(self, verb: str, person_id: str | None, detail: str) -> None:
        self._db.execute(
            "INSERT INTO audit (at, clock_set, who, verb, person, detail) VALUES (?, ?, ?, ?, ?, ?)",
            (rfc3339(), self._clock.now() is not None, self.who, verb, person_id, detail),
        )
