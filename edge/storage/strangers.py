"""Strangers: people who are not enrolled, kept in the gallery's file where the household wants it."""

import uuid

import numpy as np

from edge.core.types import Person, Stranger, Template
from edge.storage.gallery import SqliteGallery
from edge.storage.words import count_of
from edge.system.clock import rfc3339

STRANGERS_MAX = 200


class SqliteStrangers:
    """See edge.core.ports.StrangerStore.

    A stranger who was not seen for some days is purged, by the time of day and only while it is set. A jump of the time
    of day purges nobody:

    - The last sighting is the moment of the next purge where the time of day was not set at that sighting (a Pi without
      a network sees people in the wrong year), and where it lies in the future.
    - Where the time of day was set forward by an hour or more while this process ran, every last sighting moves with
      it, to the present at the most: what counts is the time that passed on a clock that nobody sets.
    - The time that a machine was switched off counts. A hardware clock that is years ahead looks the same, and purges.

    strangers_max: a further stranger replaces the one whose last sighting is followed by most sightings of others
    """

    def __init__(self, db: SqliteGallery, strangers_max: int = STRANGERS_MAX) -> None:
        self._db, self.strangers_max = db, strangers_max
        self._step = 0.0  # seconds of steps of the time of day that are not in last_seen yet

    def load(self) -> tuple[list[Stranger], list[Template]]:
        """Every stranger, and their templates of the present model."""
        with self._db.reading():
            rows = self._db.rows(
                "SELECT id, ignored, sightings, first_seen, last_seen FROM stranger ORDER BY first_seen, id"
            )
            templates = self._db.templates("stranger_template", "stranger")
        return [Stranger(stranger_id, bool(ignored), *seen) for stranger_id, ignored, *seen in rows], templates

    def meet(self, stranger_id: str | None, embedding: np.ndarray | None, crop: np.ndarray | None) -> str:
        """Count a sighting, of a new stranger where there is no id; returns the id.

        embedding: (D,) float32 of unit length, and its crop, (112, 112, 3) uint8 RGB: a template to keep, or None
        """
        pushed_out = 0
        with self._db.transaction():
            now = rfc3339()
            if stranger_id is None:
                stranger_id = f"u_{uuid.uuid4().hex[:8]}"
                self._db.execute("INSERT INTO stranger (id, first_seen) VALUES (?, ?)", (stranger_id, now))
                pushed_out = self._push_out(stranger_id)
            self._db.execute(
                "UPDATE stranger SET sightings = sightings + 1, last_seen = ?, clock_set = ?, "
                "turn = 1 + (SELECT max(turn) FROM stranger) WHERE id = ?",
                (now, self._db.clock.now() is not None, stranger_id),
            )
            if embedding is not None and crop is not None:
                self._db.keep_template("stranger_template", "stranger", stranger_id, embedding, crop)
        if pushed_out:
            self._db.checkpoint_unless_writing()
        return stranger_id

    def ignore(self, stranger_id: str, *, ignored: bool) -> None:
        """Set whether events of a stranger are ignored."""
        with self._db.transaction():
            self._db.execute("UPDATE stranger SET ignored = ? WHERE id = ?", (ignored, stranger_id))
            self._db.audit.note("ignore" if ignored else "heed", stranger_id)

    def adopt(self, stranger_id: str, name: str) -> Person:
        """Give a stranger's templates to the person of that name, who is added where there is none."""
        with self._db.transaction():
            person = self._db.add(name, [], [])
            self._db.execute(
                "INSERT INTO template (id, person, model, embedding, crop, added) "
                "SELECT id, ?, model, embedding, crop, added FROM stranger_template WHERE stranger = ?",
                (person.person_id, stranger_id),
            )
            self._db.erase("DELETE FROM stranger WHERE id = ?", (stranger_id,))
            self._db.audit.note("label", person.person_id, f"was {stranger_id}")
        return person

    def purge(self, stranger_id: str | None = None, *, unseen_since: float | None = None) -> int:
        """Delete one stranger, those not seen since that time (seconds since 1970), or all. Returns how many.

        While the time of day is not set, nobody is purged for not having been seen.
        """
        if unseen_since is not None and not self._correct_last_seen():
            return 0
        limit = None if unseen_since is None else rfc3339(unseen_since)
        with self._db.transaction():
            purged = self._db.erase(
                "DELETE FROM stranger WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR last_seen < ?2)",
                (stranger_id, limit),
            )
            if purged:
                self._db.audit.note("purge", stranger_id, count_of(purged, "stranger"))
        if purged:
            self._db.checkpoint_unless_writing()
        return purged

    def erase_person(self, person_id: str, name: str, embeddings: np.ndarray) -> int:  # noqa: ARG002 -- see PersonStore
        """See edge.core.ports.PersonStore. Deletes every stranger with a template that is alike."""
        with self._db.transaction():
            templates = self._db.near("stranger_template", "stranger", embeddings)
            return sum(self.purge(stranger_id) for stranger_id in {template.person_id for template in templates})

    def _correct_last_seen(self) -> bool:
        """Make every last sighting comparable with the time of day. Returns False while that is not set."""
        now = self._db.clock.now()
        self._step += max(0.0, self._db.clock.step())
        if now is None:
            return False
        with self._db.transaction():
            if self._step:
                self._db.execute(
                    "UPDATE stranger SET last_seen = strftime('%Y-%m-%dT%H:%M:%fZ', last_seen, ?)",
                    (f"+{self._step:.3f} seconds",),
                )
            self._db.execute(
                "UPDATE stranger SET last_seen = ?1, clock_set = 1 WHERE NOT clock_set OR last_seen > ?1",
                (rfc3339(now),),
            )
        self._step = 0.0
        return True

    def _push_out(self, newcomer: str) -> int:
        """Delete the strangers beyond strangers_max, but never the newcomer. Returns how many."""
        return self._db.erase(
            "DELETE FROM stranger WHERE id != ?1 AND id NOT IN "
            "(SELECT id FROM stranger WHERE id != ?1 ORDER BY turn DESC, last_seen DESC LIMIT ?2)",
            (newcomer, self.strangers_max - 1),
        )
