"""The gallery: the templates of everybody enrolled, and open-set identification against them."""

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from edge.core.types import Match, Person, Template


class Gallery:
    """The templates in memory. Matching is one matrix product.

    model:      sha256 of the embedder; templates of another are refused
    tau_at_fmr: the distance that a given share of comparisons between strangers lies at or below (the model card's)
    fpir:       how often a stranger may be named, whatever the number of people enrolled (false positive
                identification rate, ISO/IEC 19795-1)
    """

    def __init__(self, model: str, tau_at_fmr: Callable[[float], float], fpir: float = 1e-3) -> None:
        self.model, self.fpir = model, fpir
        self._tau_at_fmr = tau_at_fmr
        self.people: dict[str, Person] = {}
        self.templates: list[Template] = []
        self.tau = tau_at_fmr(fpir)
        self._matrix = np.zeros((0, 0), dtype=np.float32)
        self._owners = np.zeros(0, dtype=np.int64)
        self._negative = np.zeros(0, dtype=bool)

    def empty(self) -> "Gallery":
        """Another gallery by the same rules, with nobody in it."""
        return Gallery(self.model, self._tau_at_fmr, self.fpir)

    def fill(self, people: Iterable[Person], templates: Iterable[Template]) -> None:
        """Put these people and templates in the place of what was there.

        Raises ValueError where a template was made by another model or belongs to nobody.
        """
        self.people = {person.person_id: person for person in people}
        self.templates = list(templates)
        order = {person_id: place for place, person_id in enumerate(self.people)}
        for template in self.templates:
            if template.model != self.model:
                raise ValueError(
                    f"template {template.template_id} was made by model {template.model[:12]}, not by {self.model[:12]}"
                )
            if template.person_id not in order:
                raise ValueError(f"template {template.template_id} belongs to nobody: {template.person_id}")
        self._matrix = stacked(self.templates)
        self._owners = np.array([order[template.person_id] for template in self.templates], dtype=np.int64)
        self._negative = np.array([template.negative for template in self.templates], dtype=bool)
        # A stranger is compared with everybody: FPIR = 1 - (1 - FMR)^N.
        self.tau = self._tau_at_fmr(1 - (1 - self.fpir) ** (1 / max(1, len(self.people))))

    def near(self, embeddings: np.ndarray, distance: float) -> list[Template]:
        """Templates, negative ones too, at most that far from one of the embeddings, (L, D) float32 of unit length."""
        if not self.templates or not len(embeddings):
            return []
        nearest = (2 - 2 * self._matrix @ embeddings.T).min(axis=1)  # (N, D) @ (D, L) -> (N,)
        return [template for template, d in zip(self.templates, nearest, strict=True) if d <= distance]

    def embeddings_of(self, person_id: str) -> np.ndarray:
        """(L, D): their templates without the negative ones."""
        return stacked([template for template in self.templates if template.is_of(person_id)])

    def template_counts(self) -> dict[str, int]:
        """How many templates each person has, by person id, without the negative ones."""
        return dict(Counter(template.person_id for template in self.templates if not template.negative))

    def find(self, name: str) -> Person | None:
        """The person of that name; upper and lower case are the same."""
        wanted = name.casefold()
        return next((person for person in self.people.values() if person.name.casefold() == wanted), None)

    def identify(self, probe: np.ndarray) -> Match:
        """The nearest person to a probe, (D,) float32 of unit length, and the next one.

        Nobody is somebody whose negative template is nearer than every other of theirs.
        """
        if not self.templates:
            return Match(None, float("inf"), self.tau)
        distances = 2 - 2 * (self._matrix @ probe)  # (N, D) @ (D,) -> (N,); d = 2 - 2 cos on unit vectors
        nearest, denied = np.full((2, len(self.people)), np.inf)
        np.minimum.at(nearest, self._owners[~self._negative], distances[~self._negative])
        np.minimum.at(denied, self._owners[self._negative], distances[self._negative])
        nearest[denied <= nearest] = np.inf
        people = list(self.people.values())
        first, *others = np.argsort(nearest, kind="stable")[:2]
        if not np.isfinite(nearest[first]):
            return Match(None, float("inf"), self.tau)
        person = people[first]
        match = Match(person, float(nearest[first]), self.tau if person.tau is None else person.tau)
        if not others or not np.isfinite(nearest[others[0]]):
            return match
        return Match(match.nearest, match.distance, match.tau, people[others[0]], float(nearest[others[0]]))


def stacked(templates: list[Template]) -> np.ndarray:
    """(N, D) float32; (0, 0) where there are none."""
    if not templates:
        return np.zeros((0, 0), dtype=np.float32)
    return np.stack([template.embedding for template in templates]).astype(np.float32)
