"""The encodings of people who were removed, until no visit that looks like them is left.

They are written by the transaction that removes the person: wherever the device ends after it, the next start knows
what is still to be erased from the history.
"""

import json
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np

from edge.storage.blobs import are_embeddings

if TYPE_CHECKING:
    from edge.storage.gallery import SqliteGallery


class RemovedTemplates:
    """Encodings alone, without a name or a crop.

    wanted: whether there are visits that may look like somebody; where there are none, nothing is kept
    """

    def __init__(self, db: "SqliteGallery") -> None:
        self._db = db
        self.wanted: Callable[[], bool] = lambda: False

    def keep(self, person_id: str) -> None:
        """Keep the encodings of a person's usable templates, within the transaction that deletes them."""
        if self.wanted():
            self._db.execute(
                "INSERT INTO removed_template SELECT person, model, embedding FROM template "  # noqa: S608 -- ours
                f"WHERE person = ? AND {self._db.usable}",
                (person_id,),
            )

    def load(self, enrolled: Collection[str]) -> tuple[set[str], np.ndarray]:
        """Ids of everybody of whom something is kept, and (L, D) float32: encodings of those who are not enrolled.

        (1, 0) where the model was changed since: what they look like can be compared with nothing.
        """
        with self._db.reading():
            rows = self._db.rows("SELECT person, model, embedding FROM removed_template")
        gone = [(model, blob) for person_id, model, blob in rows if person_id not in enrolled]
        if any(model != self._db.model or len(blob) != self._db.bytes for model, blob in gone):
            return {person_id for person_id, *_ in rows}, np.zeros((1, 0), np.float32)
        blobs = [blob for _, blob in gone]
        like = np.frombuffer(b"".join(blobs), "<f4").reshape(len(blobs), self._db.bytes // 4)
        return {person_id for person_id, *_ in rows}, like[are_embeddings(blobs, self._db.bytes)]

    def drop(self, person_ids: Collection[str]) -> None:
        """Delete what is kept of these people. The log of writes holds it until the caller's checkpoint."""
        with self._db.transaction():
            self._db.erase(
                "DELETE FROM removed_template WHERE person IN (SELECT value FROM json_each(?))",
                (json.dumps(list(person_ids)),),
            )
