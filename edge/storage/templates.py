"""The templates of one person in the gallery's file, one by one."""

import json
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from edge.core.origin import LEARNED, learned_from
from edge.core.templates import StoredTemplate
from edge.storage.blobs import decoded

if TYPE_CHECKING:
    from edge.storage.gallery import SqliteGallery

JULIAN_1970 = 2_440_587.5  # of SQLite's julianday
EVENT_ID_MAX = 48  # so that the id of the template is no longer than an id may be


class SqliteTemplates:
    """See edge.core.ports.TemplateStore."""

    def __init__(self, db: "SqliteGallery") -> None:
        self._db = db

    def page(self, person_id: str, after: str | None, count: int) -> list[tuple[StoredTemplate, str]]:
        """So many in the order in which they were added, each with the mark after which the next page begins."""
        added, _, template_id = (after or "").partition(" ")
        with self._db.reading():
            rows = self._db.rows(
                "SELECT id, model, added, crop IS NOT NULL FROM template "
                "WHERE person = ? AND (added, id) > (?, ?) ORDER BY added, id LIMIT ?",
                (person_id, added, template_id, count),
            )
        return [(StoredTemplate(one, model, at, bool(crop)), f"{at} {one}") for one, model, at, crop in rows]

    def ids(self, person_id: str) -> list[str]:
        """The ids of all of a person's, of every model."""
        with self._db.reading():
            return [one for (one,) in self._db.rows("SELECT id FROM template WHERE person = ?", (person_id,))]

    def crops(self, template_ids: Iterable[str]) -> dict[str, np.ndarray]:
        """The (112, 112, 3) uint8 RGB crop of each, where one is stored and can be read."""
        with self._db.reading():
            rows = self._db.rows(
                "SELECT id, crop FROM template WHERE crop IS NOT NULL AND id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(template_ids)),),
            )
        read = {template_id: decoded(blob) for template_id, blob in rows}
        return {template_id: crop for template_id, crop in read.items() if crop is not None}

    def learn(
        self, person_id: str, embedding: np.ndarray, crop: np.ndarray, event_id: str, replaced: list[str]
    ) -> None:
        """Add a template that was learned from that event, in the place of others, by their ids."""
        with self._db.transaction():
            for template_id in replaced:
                self._db.erase("DELETE FROM template WHERE id = ?", (template_id,))
            self._db.keep_template("template", "person", person_id, embedding, crop, event_id)
            self._db.audit.note("learn", person_id, f"1 template, {len(replaced)} replaced")
        if replaced:
            self._db.checkpoint_unless_writing()

    def learned(self, person_id: str) -> list[tuple[str, float]]:
        """Those of a person that were learned, the oldest first, each with when, in seconds since 1970."""
        with self._db.reading():
            rows = self._db.rows(
                "SELECT id, julianday(added) FROM template WHERE person = ?1 AND substr(id, 1, length(?2)) = ?2 "
                "ORDER BY added, id",
                (person_id, LEARNED),
            )
        return [(template_id, ((day or JULIAN_1970) - JULIAN_1970) * 86_400) for template_id, day in rows]

    def learned_from(self, event_id: str) -> list[tuple[str, str]]:
        """Ids of people, and of their templates that were learned from the visit that began with that event."""
        start = f"{LEARNED}{event_id}_"
        with self._db.reading():
            rows = self._db.rows("SELECT person, id FROM template WHERE substr(id, 1, length(?1)) = ?1", (start,))
        return [(person_id, template_id) for person_id, template_id in rows]


def new_id(event_id: str | None = None) -> str:
    """An id for a template: of one that people gave, or of one that was learned from that event."""
    unique = uuid.uuid4().hex
    return f"e_{unique}" if event_id is None else f"{LEARNED}{event_id[:EVENT_ID_MAX]}_{unique[:8]}"


def another_id(template_id: str) -> str:
    """A new id for a template of the same origin: an id is of one person, and one that was removed never comes back."""
    return new_id(learned_from(template_id))
