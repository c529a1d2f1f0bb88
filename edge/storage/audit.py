"""Who changed what is known of people, and when: a record that only grows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from edge.storage.database import Database
from edge.system.clock import Clock


class Record(NamedTuple):
    """One write."""

    at: str
    clock_set: bool
    who: str
    verb: str
    person_id: str | None
    detail: str


class Audit:
    """The record of one gallery. who: on whose behalf is written what is written now.

    It is not cut short: a record has some 110 bytes, and whoever may write enough of them to matter may fill the disk
    with templates.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self.who = f"command line, user {os.getuid()}"

    @contextmanager
    def on_behalf_of(self, who: str) -> Iterator[None]:
        """What is written in this block, they wrote."""
        before, self.who = self.who, who
        try:
            yield
        finally:
            self.who = before

    def note(self, verb: str, person_id: str | None = None, detail: str = "") -> None:
        """To be called in the transaction of the write itself: neither is on the disk without the other.

        detail: counts and ids; no name, which would stay for ever
        """
        self._db.execute(
            "INSERT INTO audit (at, clock_set, who, verb, person, detail) VALUES (?, ?, ?, ?, ?, ?)",
            (utc(), self._clock.now() is not None, self.who, verb, person_id, detail),
        )

    def records(self, last: int | None = None) -> list[Record]:
        """Oldest first; the last so many, or all."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT at, clock_set, who, verb, person, detail FROM audit ORDER BY id DESC LIMIT ?",
                (-1 if last is None else last,),
            ).fetchall()
        return [Record(at, bool(clock_set), *rest) for at, clock_set, *rest in reversed(rows)]


def utc() -> str:
    """Now, as RFC 3339."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
