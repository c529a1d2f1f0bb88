"""Nonces of signed requests that were carried out, on disk, so that none is carried out twice."""

import json

import numpy as np

from edge.storage.database import Database

NONCES_MAX = 1_000  # of one key
BEFORE_MS = 60_000  # an earlier limen dropped what was signed so long before the newest


class Nonces:
    """The newest nonces of each key, at most NONCES_MAX.

    Two times are kept beside them, for each key. newest: a request that was signed before it is out of order. dropped:
    when the newest request was signed whose nonce was dropped; what was signed until then may have been carried out.
    newest can be put back, where it came of a clock that was ahead; dropped never is.
    """

    def __init__(self, db: Database, nonces_max: int = NONCES_MAX) -> None:
        self._db, self._nonces_max = db, nonces_max

    def seen(self, key_id: str, nonce: str) -> bool:
        """Whether a request with this nonce was carried out under this key."""
        with self._db.reading():
            return self._db.row("SELECT 1 FROM nonce WHERE key = ? AND nonce = ?", (key_id, nonce)) is not None

    def newest_ms(self, key_id: str) -> int | None:
        """When the newest request of this key was signed, in milliseconds since 1970; None where there is none."""
        return self._times(key_id)[0]

    def dropped_ms(self, key_id: str) -> int:
        """When the newest request of this key was signed whose nonce was dropped; -1 where none was."""
        return self._times(key_id)[1]

    def consume_nonce(self, key_id: str, nonce: str, timestamp_ms: int) -> None:
        """Mark a nonce as seen, and drop those signed first beyond the most. A second call changes nothing."""
        with self._db.transaction():
            newest, dropped = self._times(key_id)
            self._db.execute(
                "INSERT OR IGNORE INTO nonce (key, nonce, timestamp_ms) VALUES (?, ?, ?)", (key_id, nonce, timestamp_ms)
            )
            too_many = self._db.rows(
                "SELECT rowid, timestamp_ms FROM nonce WHERE key = ? "
                "ORDER BY timestamp_ms DESC, rowid DESC LIMIT -1 OFFSET ?",
                (key_id, self._nonces_max),
            )
            for rowid, signed_ms in too_many:
                self._db.execute("DELETE FROM nonce WHERE rowid = ?", (rowid,))
                dropped = max(dropped, signed_ms)
            self._write(key_id, timestamp_ms if newest is None else max(newest, timestamp_ms), dropped)

    def forget_after(self, at_ms: int) -> None:
        """Let no request that was signed after that time, by a clock that was ahead, put others out of order."""
        with self._db.transaction():
            for (key_id,) in self._db.rows("SELECT DISTINCT key FROM nonce"):
                newest, dropped = self._times(key_id)
                right = self._db.value(
                    "SELECT max(timestamp_ms) FROM nonce WHERE key = ? AND timestamp_ms <= ?", (key_id, at_ms)
                )
                if newest is not None and newest > at_ms:
                    self._write(key_id, right or 0, dropped)

    def erase_person(self, person_id: str, name: str, embeddings: np.ndarray) -> int:  # noqa: ARG002 -- see PersonStore
        """See edge.core.ports.PersonStore. Returns 0: a nonce is a random value that a signer chose."""
        return 0

    def _times(self, key_id: str) -> tuple[int | None, int]:
        """newest and dropped."""
        with self._db.reading():
            kept = self._db.value("SELECT value FROM setting WHERE name = ?", (f"nonces {key_id}",))
            if kept is not None:
                newest, dropped = json.loads(kept)
                return newest, dropped
            count, newest = self._db.row("SELECT count(*), max(timestamp_ms) FROM nonce WHERE key = ?", (key_id,)) or ()
        if newest is None:
            return None, -1
        return newest, newest if count >= self._nonces_max else newest - BEFORE_MS - 1

    def _write(self, key_id: str, newest: int, dropped: int) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)",
            (f"nonces {key_id}", json.dumps([newest, dropped])),
        )
