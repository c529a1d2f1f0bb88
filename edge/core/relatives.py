"""Who of a household is near to whom: no one's template lies within the match threshold of another.

A stricter rule costs more than it gives: among the 300 most alike pairs of 1,559 people nobody was taken for the other
in 600 visits (`python -m tests.bench.relatives`); with an embedder before this one own names were 527 without a rule,
525 with this one, and 488 where tau was 0.15 below the distance of the two.
"""

from typing import NamedTuple

import numpy as np

from edge.core.segments import Segments

NEAR = 1.2  # d of two people's templates up to which a pair is noted; the tau of a comparison is seldom higher
SLACK = 1e-3  # of the float32 products that find who may be near
STRICTEST = 0.3  # twins are not told apart at all; a tau below this would miss both
PEOPLE_MAX = 500  # of a gallery: more are no household, and every pair is compared at the start


class Relative(NamedTuple):
    """The nearest other person, by id, and the d of the nearest two templates."""

    person_id: str
    distance: float

    @property
    def tau(self) -> float:
        """The match threshold that follows from it, at most."""
        return max(STRICTEST, self.distance)


class Relatives:
    """The pairs of people who are near. A change costs the comparisons of who is changed.

    templates: of everybody, to be read only; the pairs follow from them alone, whatever the order of changes
    """

    def __init__(self, templates: Segments) -> None:
        self._templates = templates
        self._near: dict[str, dict[str, float]] = {}  # both ways
        self._known = False  # not where there are too many people

    def nearest(self, person_id: str) -> Relative | None:
        """Somebody's nearest relative; of two as near, the one of the lower id."""
        near = self._near.get(person_id)
        return None if not near else Relative(*min(near.items(), key=lambda one: (one[1], one[0])))

    def fill(self) -> None:
        """Compare everybody with everybody."""
        self._near.clear()
        self._known = len(self._templates) <= PEOPLE_MAX
        if self._known:
            for person_id in self._templates.owners():
                self._compare(person_id)

    def update(self, person_id: str) -> None:
        """Compare somebody who was changed or removed."""
        if self._known != (len(self._templates) <= PEOPLE_MAX):
            self.fill()
        elif self._known:
            for other in self._near.pop(person_id, {}):
                del self._near[other][person_id]
            self._compare(person_id)

    def _compare(self, person_id: str) -> None:
        rows = self._templates.of(person_id)
        if not len(rows):
            return
        others = {owner for owner, _ in self._templates.near(rows, NEAR + SLACK)} - {person_id}
        for other in others:
            distance = float(min(self._templates.distances(other, row)[0].min() for row in rows.astype(np.float64)))
            if distance <= NEAR:
                self._near.setdefault(person_id, {})[other] = self._near.setdefault(other, {})[person_id] = distance
