"""Answers to requests, kept for a day: a request that is delivered twice is carried out once."""

import hashlib
import time
from collections.abc import Callable

import numpy as np

from edge.storage.database import Database

KEPT_SECONDS = 86_400.0
ANSWERS_MAX = 10_000
ANSWER_BYTES_MAX = 16_000_000  # of all payloads
BYTES_COUNTED_EVERY = 100  # answers: counting reads the whole table, and an answer has some 300 bytes


class Answers:
    """Answers by the transaction of the request, of which a hash is kept: a client may write a name into it.

    An answer is dropped after a day, or when there are too many, the oldest first. Its age is by a clock that is never
    set: the seconds that a process with this file ran, which after a restart count on from the newest answer. So no
    jump of the time of day, at boot or later, makes a request new again; and while the device is off, nothing ages.

    monotonic: seconds on a clock that never goes back
    """

    def __init__(
        self,
        db: Database,
        monotonic: Callable[[], float] = time.monotonic,
        answers_max: int = ANSWERS_MAX,
        bytes_max: int = ANSWER_BYTES_MAX,
        bytes_counted_every: int = BYTES_COUNTED_EVERY,
    ) -> None:
        self._db, self._monotonic, self._answers_max, self._bytes_max = db, monotonic, answers_max, bytes_max
        self._bytes_counted_every = bytes_counted_every
        self._started = monotonic()
        self._offset: float | None = None  # from the monotonic clock to the column at

    def given(self, transaction: str) -> tuple[str, bytes] | None:
        """The digest of the request under this transaction, and the answer, empty where it was erased; or None."""
        with self._db.reading():
            row = self._db.row(
                "SELECT digest, payload FROM answer WHERE request IN (?, ?)",
                (hashed(transaction), transaction),  # as the first releases kept it
            )
        return None if row is None else (row[0], row[1])

    def keep(self, transaction: str, digest: str, payload: bytes) -> None:
        """Keep an answer, in place of an earlier one under the same transaction."""
        with self._db.transaction():
            at = self._now()
            self._db.execute(
                "INSERT OR REPLACE INTO answer (request, digest, payload, at) VALUES (?, ?, ?, ?)",
                (hashed(transaction), digest, payload, at),
            )
            # rowid: in the order in which they were kept; by it, no answer is read that stays
            self._db.execute(
                "DELETE FROM answer WHERE rowid < (SELECT rowid FROM answer WHERE at >= ? ORDER BY rowid LIMIT 1)",
                (at - KEPT_SECONDS,),
            )
            newest = self._db.value("SELECT max(rowid) FROM answer")
            self._db.execute("DELETE FROM answer WHERE rowid <= ?", (newest - self._answers_max,))
            if newest % self._bytes_counted_every == 0:
                self._db.execute(
                    "DELETE FROM answer WHERE rowid < ?1 AND rowid IN (SELECT rowid FROM "
                    "(SELECT rowid, sum(length(payload)) OVER (ORDER BY rowid DESC) AS bytes FROM answer) "
                    "WHERE bytes > ?2)",
                    (newest, self._bytes_max),
                )

    def drop(self) -> None:
        """Erase the content of every answer: any may name a person, by an earlier name too. The request stays known."""
        self._empty()

    def erase_person(self, person_id: str, name: str, embeddings: np.ndarray) -> int:  # noqa: ARG002 -- see PersonStore
        """See edge.core.ports.PersonStore. Erases the content of every answer, as drop does."""
        return self._empty()

    def _empty(self) -> int:
        with self._db.transaction():
            return self._db.erase("UPDATE answer SET payload = x'' WHERE payload != x''")

    def _now(self) -> float:
        """Seconds on the clock of the column at; where there is no answer yet it begins at the time of day."""
        if self._offset is None:
            newest = self._db.value("SELECT max(at) FROM answer")
            self._offset = (time.time() if newest is None else newest) - self._started
        return self._monotonic() + self._offset


def hashed(transaction: str) -> str:
    """What is kept of a transaction."""
    return hashlib.sha256(transaction.encode()).hexdigest()
