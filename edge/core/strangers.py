"""Strangers: people who are not enrolled, matched with their earlier visits."""

import numpy as np

from edge.core.codes import Code
from edge.core.enrollment import APART_MIN
from edge.core.gallery import Gallery
from edge.core.ports import StrangerStore
from edge.core.types import Person, Sample, Stranger
from edge.errors import GalleryError, RefusedError

TEMPLATES_MAX = 5  # of one stranger, each different from the others


class Strangers:
    """Matches samples with strangers. gallery: an empty one, which it fills with them."""

    def __init__(self, gallery: Gallery, store: StrangerStore) -> None:
        self.store = store
        self._gallery = gallery
        self._known: dict[str, Stranger] = {}
        self.reload()

    def reload(self) -> None:
        """Read the store again."""
        strangers, templates = self.store.load()
        self._known = {stranger.stranger_id: stranger for stranger in strangers}
        self._gallery.fill([Person(stranger_id, stranger_id) for stranger_id in self._known], templates)

    def match(self, sample: Sample) -> Stranger | None:
        """The stranger of an earlier visit, or a new one; None where the store cannot be written."""
        match = self._gallery.identify(sample.embedding)
        known = None if match.person is None else match.person.person_id
        templates = self._gallery.template_count(known or "")
        new = known is None or (templates < TEMPLATES_MAX and match.distance > APART_MIN)
        try:
            stranger_id = self.store.meet(known, *((sample.embedding, sample.crop) if new else (None, None)))
            self.reload()
        except GalleryError:
            return None
        return self._known.get(stranger_id)  # None where another process purged it meanwhile

    def remove_like(self, embeddings: np.ndarray) -> int:
        """Remove strangers within the tau of their comparison with one of (L, D): somebody was enrolled or removed."""
        alike = {stranger_id for stranger_id, _ in self._gallery.within(embeddings)}
        for stranger_id in alike:
            self.store.purge(stranger_id)
        if alike:
            self.reload()
        return len(alike)

    def embeddings_of(self, stranger_id: str) -> np.ndarray:
        """(L, D)."""
        return self._gallery.embeddings_of(stranger_id)

    def find(self, stranger_id: str) -> Stranger:
        """The stranger of that id. Raises RefusedError with no_such_stranger."""
        if stranger_id not in self._known:
            raise RefusedError(Code.NO_SUCH_STRANGER, f"there is no stranger {stranger_id}")
        return self._known[stranger_id]

    def list(self) -> list[Stranger]:
        """All, in the order of their first visit."""
        return list(self._known.values())
