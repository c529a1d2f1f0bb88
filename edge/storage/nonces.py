"""Nonces of signed requests that were carried out, so that none is twice: on disk, over restarts."""

from edge.storage.database import Database


class Nonces:
    """What is older than the newest by more than the window is dropped; the newest stays, whatever the clock does."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def seen(self, key_id: str, nonce: str) -> bool:
        """Under this key it was."""
        with self._db.reading():
            row = self._db.execute("SELECT 1 FROM nonce WHERE key = ? AND nonce = ?", (key_id, nonce)).fetchone()
        return row is not None

    def newest_ms(self, key_id: str) -> int | None:
        """When the newest of this key was signed, in milliseconds since 1970; None where there is none."""
        with self._db.reading():
            return self._db.execute("SELECT max(timestamp_ms) FROM nonce WHERE key = ?", (key_id,)).fetchone()[0]

    def consume_nonce(self, key_id: str, nonce: str, timestamp_ms: int, window_ms: int) -> None:
        """From now on it was seen. Again does nothing."""
        with self._db.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO nonce (key, nonce, timestamp_ms) VALUES (?, ?, ?)", (key_id, nonce, timestamp_ms)
            )
            self._db.execute(
                "DELETE FROM nonce WHERE key = ?1 "
                "AND timestamp_ms < (SELECT max(timestamp_ms) FROM nonce WHERE key = ?1) - ?2",
                (key_id, window_ms),
            )
