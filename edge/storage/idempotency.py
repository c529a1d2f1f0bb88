"""What was answered, kept for a day: asked twice, a request is not carried out twice."""

import hashlib

from edge.storage.database import Database

KEPT_SECONDS = 86_400.0


class Answers:
    """Known by the transaction of whoever asked, of which a hash is kept: it may hold a name."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def given(self, transaction: str) -> tuple[str, bytes] | None:
        """The digest of what was asked under this transaction, and the answer, empty where it was dropped; or None."""
        with self._db.reading():
            return self._db.execute(
                "SELECT digest, payload FROM answer WHERE request IN (?, ?)",
                (hashed(transaction), transaction),  # as limens before kept it
            ).fetchone()

    def keep(self, transaction: str, digest: str, payload: bytes, at: float) -> None:
        """For a day from then on; at: seconds since 1970."""
        with self._db.transaction():
            self._db.execute("DELETE FROM answer WHERE at < ?", (at - KEPT_SECONDS,))
            self._db.execute(
                "INSERT OR REPLACE INTO answer (request, digest, payload, at) VALUES (?, ?, ?, ?)",
                (hashed(transaction), digest, payload, at),
            )

    def drop(self) -> None:
        """Keep of all of them only that they were given: any may name somebody, by an older name too."""
        with self._db.transaction():
            self._db.execute("UPDATE answer SET payload = x''")


def hashed(transaction: str) -> str:
    """By which it is known again."""
    return hashlib.sha256(transaction.encode()).hexdigest()
