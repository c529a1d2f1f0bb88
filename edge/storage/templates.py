"""The templates of one person in the gallery's file, one by one."""

import json
from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from edge.core.templates import StoredTemplate
from edge.errors import GalleryError
from edge.storage.blobs import decoded
from edge.storage.database import Database


class SqliteTemplates:
    """See edge.core.ports.TemplateStore."""

    def __init__(self, db: Database) -> None:
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

    def crops(self, template_ids: Iterable[str]) -> dict[str, np.ndarray]:
        """The (112, 112, 3) uint8 RGB crop of each, where one is stored and can be read."""
        with self._db.reading():
            rows = self._db.rows(
                "SELECT id, crop FROM template WHERE crop IS NOT NULL AND id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(template_ids)),),
            )
        found = {}
        for template_id, blob in rows:
            with suppress(GalleryError):
                found[template_id] = decoded(blob, template_id)
        return found
