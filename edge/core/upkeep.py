"""The templates of people, one by one: listed, learned at the door, removed."""

from collections import deque
from collections.abc import Callable, Collection

import numpy as np

from edge.core.codes import Code
from edge.core.gallery import Gallery
from edge.core.learning import LEARN_EVERY_SECONDS, LEARNED_MAX, anchored
from edge.core.origin import learned_from
from edge.core.ports import GalleryStore
from edge.core.templates import TemplateSummary, describe
from edge.core.types import Sample
from edge.errors import RefusedError

DISPUTED_MAX = 100  # visits; one that goes on meanwhile is among the newest


class Upkeep:
    """Lists, learns and removes templates. refresh: reads people again who were changed, by their ids."""

    def __init__(self, gallery: Gallery, store: GalleryStore, refresh: Callable[[Collection[str]], None]) -> None:
        self._gallery, self._store, self._refresh = gallery, store, refresh
        self._disputed = deque[str | None](maxlen=DISPUTED_MAX)

    def page(
        self, person_id: str, after: str | None, count: int
    ) -> list[tuple[TemplateSummary, str, np.ndarray | None]]:
        """So many templates of a person, each with the mark after which the next page begins, and with its crop."""
        found = self._store.each.page(person_id, after, count)
        crops = self._store.each.crops(one.template_id for one, _ in found)
        summaries = describe(self._gallery, person_id, [one for one, _ in found], crops)
        return [(one, mark, crops.get(one.id)) for one, (_, mark) in zip(summaries, found, strict=True)]

    def learn(self, person_id: str, sample: Sample, visit: str, now: float) -> bool:
        """Make a template of a sample of somebody recognized. Returns whether it was time for one.

        sample: see edge.core.learning.candidate; visit: the id of its first event; now: seconds since 1970
        """
        if person_id not in self._gallery.people or visit in self._disputed:
            return False
        before = self._store.each.learned(person_id)
        if any(0 <= now - at < LEARN_EVERY_SECONDS for _, at in before):
            return False
        replaced = [template_id for template_id, _ in before[: max(0, len(before) + 1 - LEARNED_MAX)]]
        self._store.each.learn(person_id, sample.embedding, sample.crop, visit, replaced)
        self._refresh([person_id])
        return True

    def dispute(self, visit: str | None) -> None:
        """Learn nothing from a visit that somebody corrected while it went on."""
        self._disputed.append(visit)

    def unlearn(self, visit: str | None) -> int:
        """Drop what was learned from a visit, by the id of its first event. Returns how many templates that was."""
        learned = [] if visit is None else self._store.each.learned_from(visit)
        self.drop(learned)
        return len(learned)

    def remove(self, person_id: str, template_id: str) -> int:
        """Remove one template of a person, and what was learned by it. Returns how many templates went.

        Raises RefusedError with no_such_template, and with last_template where people gave no other one.
        """
        ids = self._store.each.ids(person_id)
        if template_id not in ids:
            raise RefusedError(Code.NO_SUCH_TEMPLATE, "nobody of this name has that template: list them again")
        if [template_id] == [one for one in ids if learned_from(one) is None]:
            raise RefusedError(
                Code.LAST_TEMPLATE, "it is the only one that people gave: enroll another picture first, or forget them"
            )
        self.drop([(person_id, template_id)])
        return len(ids) - len(self._store.each.ids(person_id))

    def drop(self, templates: list[tuple[str, str]]) -> None:
        """Drop templates, each by its person's id and its own, and what was learned by them."""
        while templates:
            owners = {person_id for person_id, _ in templates}
            self._store.drop([template_id for _, template_id in templates])
            self._refresh(owners)
            templates = [(one, template_id) for one in owners for template_id in self._adrift(one)]

    def _adrift(self, person_id: str) -> list[str]:
        """What was learned of a person and is within tau of no template any more that people gave."""
        person, gallery = self._gallery.people.get(person_id), self._gallery
        if person is None:
            return []
        own = zip(gallery.template_ids(person_id), gallery.embeddings_of(person_id), strict=True)
        return [one for one, row in own if learned_from(one) is not None and not anchored(person, row, gallery)]
