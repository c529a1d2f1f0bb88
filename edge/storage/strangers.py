"""Strangers who came more than once, in the gallery's file; kept only where the household wants it."""

import uuid

import numpy as np

from edge.core.types import Person, Stranger, Template
from edge.storage.gallery import SqliteGallery


class SqliteStrangers:
    """See edge.core.ports.StrangerStore. strangers_max: more push out who was not seen for longest."""

    def __init__(self, db: SqliteGallery, strangers_max: int = 200) -> None:
        self._db, self.strangers_max = db, strangers_max

    def load(self) -> tuple[list[Stranger], list[Template]]:
        """Every stranger, and their templates of the present model."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT id, ignored, sightings, first_seen, last_seen FROM stranger ORDER BY first_seen, id"
            ).fetchall()
            templates = self._db.templates("stranger_template", "stranger")
        return [Stranger(row[0], bool(row[1]), *row[2:]) for row in rows], templates

    def meet(self, stranger_id: str | None, embedding: np.ndarray | None, crop: np.ndarray | None) -> str:
        """One more sighting, of somebody new where there is no id; returns the id. What looks new is kept."""
        pushed_out = 0
        with self._db.transaction():
            if stranger_id is None:
                stranger_id = f"u_{uuid.uuid4().hex[:8]}"
                self._db.execute("INSERT INTO stranger (id) VALUES (?)", (stranger_id,))
                pushed_out = self._push_out(stranger_id)
            self._db.execute(
                "UPDATE stranger SET sightings = sightings + 1, last_seen = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') "
                "WHERE id = ?",
                (stranger_id,),
            )
            if embedding is not None and crop is not None:
                self._db.keep_template("stranger_template", "stranger", stranger_id, embedding, crop)
        if pushed_out:
            self._db.checkpoint_unless_writing()
        return stranger_id

    def ignore(self, stranger_id: str, *, ignored: bool) -> None:
        """Say nothing of them from now on, or say it again."""
        with self._db.transaction():
            self._db.execute("UPDATE stranger SET ignored = ? WHERE id = ?", (ignored, stranger_id))
            self._db.audit.note("ignore" if ignored else "heed", stranger_id)

    def adopt(self, stranger_id: str, name: str) -> Person:
        """They have a name: their templates are that person's, who is made if there is none."""
        with self._db.transaction():
            person = self._db.add(name, [], [])
            self._db.execute(
                "INSERT INTO template (id, person, model, embedding, crop, added) "
                "SELECT id, ?, model, embedding, crop, added FROM stranger_template WHERE stranger = ?",
                (person.person_id, stranger_id),
            )
            self._db.execute("DELETE FROM stranger WHERE id = ?", (stranger_id,))
            self._db.audit.note("label", person.person_id, f"was {stranger_id}")
        return person

    def purge(self, stranger_id: str | None = None, *, unseen_since: float | None = None) -> int:
        """Forget one stranger, those not seen since that time (seconds since 1970), or all. Returns how many."""
        with self._db.transaction():
            purged = self._db.execute(
                "DELETE FROM stranger WHERE (?1 IS NULL OR id = ?1) "
                "AND (?2 IS NULL OR last_seen < strftime('%Y-%m-%dT%H:%M:%fZ', ?2, 'unixepoch'))",
                (stranger_id, unseen_since),
            ).rowcount
            if purged:
                self._db.audit.note("purge", stranger_id, f"{purged} stranger(s)")
        if purged:
            self._db.checkpoint_unless_writing()
        return purged

    def _push_out(self, newcomer: str) -> int:
        """Never the newcomer, whose time is before all others' where the clock was set back."""
        return self._db.execute(
            "DELETE FROM stranger WHERE id != ?1 AND id NOT IN "
            "(SELECT id FROM stranger WHERE id != ?1 ORDER BY last_seen DESC LIMIT ?2)",
            (newcomer, self.strangers_max - 1),
        ).rowcount
