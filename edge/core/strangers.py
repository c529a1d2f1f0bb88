"""Strangers: nobody the household knows, and still the same one who came before."""

import numpy as np

from edge.core.enrollment import APART_MIN
from edge.core.gallery import Gallery
from edge.core.ports import StrangerStore
from edge.core.types import Person, Sample, Stranger
from edge.errors import GalleryError, RefusedError

TEMPLATES_MAX = 5  # of one stranger: looks that differ


class Strangers:
    """Recognizes those whom nobody has named. gallery: an empty one, to be filled with them."""

    def __init__(self, gallery: Gallery, store: StrangerStore) -> None:
        self.store = store
        self._gallery = gallery
        self._known: dict[str, Stranger] = {}
        self.reload()

    def reload(self) -> None:
        """Know what the store knows."""
        strangers, templates = self.store.load()
        self._known = {stranger.stranger_id: stranger for stranger in strangers}
        self._gallery.fill([Person(who, who) for who in self._known], templates)

    def meet(self, shot: Sample) -> Stranger | None:
        """Who came before and came again, or somebody new; None where it cannot be written down: the door goes on."""
        match = self._gallery.identify(shot.embedding)
        known = None if match.person is None else match.person.person_id
        looks = sum(template.person_id == known for template in self._gallery.templates)
        new = known is None or (looks < TEMPLATES_MAX and match.distance > APART_MIN)
        try:
            met = self.store.meet(known, *((shot.embedding, shot.crop) if new else (None, None)))
            self.reload()
        except GalleryError:
            return None
        return self._known.get(met)  # gone already, where another process purged them

    def forget_like(self, looks: np.ndarray) -> None:
        """Of somebody who has a name now, or is to be forgotten, nothing stays as a stranger; looks: (L, D)."""
        alike = {template.person_id for template in self._gallery.near(looks, self._gallery.tau)}
        for stranger_id in alike:
            self.store.purge(stranger_id)
        if alike:
            self.reload()

    def embeddings_of(self, stranger_id: str) -> np.ndarray:
        """(L, D)."""
        return self._gallery.embeddings_of(stranger_id)

    def find(self, stranger_id: str) -> Stranger:
        """Raises RefusedError where there is none of that id."""
        if stranger_id not in self._known:
            raise RefusedError("no_such_stranger", f"there is no stranger {stranger_id}")
        return self._known[stranger_id]

    def list(self) -> list[Stranger]:
        """In the order in which they first came."""
        return list(self._known.values())
