"""Nonces of signed requests that were carried out, on disk, so that none is carried out twice."""

import numpy as np

from edge.storage.database import Database

NONCES_MAX = 1_000  # of one key


class Nonces:
    """The newest nonces of each key: those signed within the window before its newest, and at most NONCES_MAX.

    The newest stays, whatever the clock does. A request that was signed before it is refused as out of order, so what
    is dropped is never new again; but for requests signed in the very millisecond of the newest, beyond NONCES_MAX.
    """

    def __init__(self, db: Database, nonces_max: int = NONCES_MAX) -> None:
        self._db, self._nonces_max = db, nonces_max

    def seen(self, key_id: str, nonce: str) -> bool:
        """Whether a request with this nonce was carried out under this key."""
        with self._db.reading():
            return self._db.row("SELECT 1 FROM nonce WHERE key = ? AND nonce = ?", (key_id, nonce)) is not None

    def newest_ms(self, key_id: str) -> int | None:
        """When the newest request of this key was signed, in milliseconds since 1970; None where there is none."""
        with self._db.reading():
            newest: int | None = self._db.value("SELECT max(timestamp_ms) FROM nonce WHERE key = ?", (key_id,))
        return newest

    def consume_nonce(self, key_id: str, nonce: str, timestamp_ms: int, window_ms: int) -> None:
        """Mark a nonce as seen, and drop what is too old or too much. A second call changes nothing."""
        with self._db.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO nonce (key, nonce, timestamp_ms) VALUES (?, ?, ?)", (key_id, nonce, timestamp_ms)
            )
            self._db.execute(
                "DELETE FROM nonce WHERE key = ?1 "
                "AND timestamp_ms < (SELECT max(timestamp_ms) FROM nonce WHERE key = ?1) - ?2",
                (key_id, window_ms),
            )
            self._db.execute(
                "DELETE FROM nonce WHERE rowid IN "
                "(SELECT rowid FROM nonce WHERE key = ? ORDER BY timestamp_ms DESC, rowid DESC LIMIT -1 OFFSET ?)",
                (key_id, self._nonces_max),
            )

    def erase_person(self, person_id: str, name: str, embeddings: np.ndarray) -> int:  # noqa: ARG002 -- see PersonStore
        """See edge.core.ports.PersonStore. Returns 0: a nonce is a random value that a signer chose."""
        return 0
