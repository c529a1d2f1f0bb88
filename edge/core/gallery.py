"""The gallery: the templates of everybody enrolled, and open-set identification against them."""

from collections.abc import Iterable
from itertools import count

import numpy as np

from edge.core.origin import learned_from
from edge.core.rates import fmr_of
from edge.core.relatives import Relative, Relatives
from edge.core.segments import Segments
from edge.core.thresholds import Thresholds, beyond
from edge.core.types import Match, Person, Template


class Gallery:
    """The templates in memory. Matching is one matrix product; a change costs what was changed.

    model:      sha256 of the embedder; templates of another are refused
    thresholds: at which d two encodings of this model are of one person, by the share of strangers that may be
    fpir:       how often a stranger's track may be named, whatever the number of people enrolled (false positive
                identification rate, ISO/IEC 19795-1)
    relatives:  whether people who are near to one another get a stricter tau, as strangers do not
    people:     by person id, in the order of enrollment; to be read only
    changed:    ids of people who were put or removed since the last `take_changed`, in that order
    """

    def __init__(self, model: str, thresholds: Thresholds, fpir: float = 1e-3, *, relatives: bool = True) -> None:
        self.model, self.thresholds, self.fpir, self._with_relatives = model, thresholds, fpir, relatives
        self.people: dict[str, Person] = {}
        self.changed: dict[str, None] = {}
        self._names: dict[str, str] = {}  # person ids by name, without upper and lower case
        self._places: dict[str, int] = {}  # in the order of enrollment
        self._next_place = count()
        self._clear()
        self._set_tau()

    def empty(self) -> "Gallery":
        """Another gallery, of strangers, by the same rules, with nobody in it."""
        return Gallery(self.model, self.thresholds, self.fpir, relatives=False)

    def fill(self, people: Iterable[Person], templates: Iterable[Template]) -> None:
        """Put these people and templates in the place of what was there.

        Raises ValueError where a template was made by another model or belongs to nobody.
        """
        wanted = {person.person_id: person for person in people}
        owned: dict[str, list[Template]] = {person_id: [] for person_id in wanted}
        for template in templates:
            self._refuse_foreign(template)
            if template.person_id not in owned:
                raise ValueError(f"template {template.template_id} belongs to nobody: {template.person_id}")
            owned[template.person_id].append(template)
        self.changed |= dict.fromkeys(self.people)
        self._clear()
        self.people |= wanted
        self._names = {person.name.casefold(): person_id for person_id, person in wanted.items()}
        self._places = dict(zip(wanted, self._next_place, strict=False))
        for segments in (self._own, self._negative):
            segments.fill(
                {
                    person_id: {
                        one.template_id: one.embedding for one in several if one.negative == self._is_negative(segments)
                    }
                    for person_id, several in owned.items()
                }
            )
        self.changed |= dict.fromkeys(wanted)
        if self._with_relatives:
            self._relatives.fill()
        self._set_tau()

    def put(self, person: Person, templates: Iterable[Template]) -> None:
        """Put a person and all of their templates, negative ones too, in the place of what there was of them.

        Raises ValueError where a template was made by another model.
        """
        templates = list(templates)
        for template in templates:
            self._refuse_foreign(template)
        self._put(person, templates)
        self._set_tau()

    def remove(self, person_id: str) -> None:
        """Remove a person and their templates, where they are there."""
        person = self.people.pop(person_id, None)
        if person is None:
            return
        self._forget_name(person)
        del self._places[person_id]
        for segments in (self._own, self._negative):
            segments.put(person_id, (), ())
        if self._with_relatives:
            self._relatives.update(person_id)
        self.changed[person_id] = None
        self._set_tau()

    def take_changed(self) -> list[str]:
        """Ids of people who were put or removed since the last call."""
        taken, self.changed = list(self.changed), {}
        return taken

    @property
    def denied(self) -> set[str]:
        """Ids of people with negative templates."""
        return set(self._negative.owners())

    @property
    def templates(self) -> list[Template]:
        """Every template, by person, the negative ones last; made of the matrix at every call."""
        return [
            Template(template_id, person_id, embedding, self.model, negative=self._is_negative(segments))
            for segments in (self._own, self._negative)
            for person_id in segments.owners()
            for template_id, embedding in zip(segments.ids(person_id), segments.of(person_id), strict=True)
        ]

    def template_ids(self, person_id: str) -> tuple[str, ...]:
        """The ids of a person's templates, without the negative ones."""
        return self._own.ids(person_id)

    def near(self, embeddings: np.ndarray, distance: float) -> list[tuple[str, str]]:
        """Ids of people, and of their templates at most that far from one of the embeddings, (L, D) float32."""
        return self._own.near(embeddings, distance)

    def within(self, embeddings: np.ndarray) -> list[tuple[str, str]]:
        """Ids of people, and of their templates within the tau of their comparison with one of (L, D) float32."""
        around, others = self._own.neighbourhoods(), self.thresholds.neighbourhoods(embeddings)
        return self._own.near(embeddings, self.thresholds.taus(self._fmr, around[:, None], others[None]))

    def alike(self, embeddings: np.ndarray, others: np.ndarray) -> np.ndarray:
        """(N, D), (L, D) float32 of unit length -> (N,) bool: whether each is within tau of one of the others."""
        some = len(embeddings) and len(others)
        near = self.beyond(embeddings, others) <= 0 if some else np.zeros((len(embeddings), 1), dtype=bool)
        return np.asarray(near.any(axis=1))

    def beyond(self, embeddings: np.ndarray, others: np.ndarray) -> np.ndarray:
        """(N, D), (L, D) float32 of unit length -> (N, L): d minus the tau of each pair; at most 0 is a match."""
        return beyond(embeddings, others, self.thresholds, self._fmr)

    def beyond_others(self, person_id: str, probe: np.ndarray) -> float:
        """How far beyond its tau the nearest template of anybody else is from (D,); infinite where there is none."""
        around = self.thresholds.neighbourhoods(probe[None])[0]
        taus = self.thresholds.taus(self._fmr, around, self._own.neighbourhoods())  # (N,)
        nearness = self._own.cosines(probe) - (1 - taus / 2)  # (N,): half of tau - d
        if self._own.ids(person_id):
            self._own.leave_out(nearness, person_id)
        return -2 * float(nearness.max(initial=-np.inf))

    def near_negative(self, embeddings: np.ndarray, distance: float) -> list[tuple[str, str]]:
        """As near, of negative templates."""
        return self._negative.near(embeddings, distance)

    def embeddings_of(self, person_id: str) -> np.ndarray:
        """(L, D): their templates without the negative ones; (0, 0) where they have none."""
        return self._own.of(person_id)

    def given_of(self, person_id: str) -> np.ndarray:
        """(L, D): as embeddings_of, without those that were learned at the door."""
        given = [row for row, one in enumerate(self._own.ids(person_id)) if learned_from(one) is None]
        return self._own.of(person_id)[given]

    def given_count(self, person_id: str) -> int:
        """How many templates people gave of a person."""
        return sum(learned_from(template_id) is None for template_id in self._own.ids(person_id))

    def denials_of(self, person_id: str) -> np.ndarray:
        """(L, D): their negative templates; (0, 0) where they have none."""
        return self._negative.of(person_id)

    def template_count(self, person_id: str) -> int:
        """How many templates a person has, without the negative ones."""
        return len(self._own.ids(person_id))

    def find(self, name: str) -> Person | None:
        """The person of that name; upper and lower case are the same."""
        person_id = self._names.get(name.casefold())
        return None if person_id is None else self.people[person_id]

    def identify(self, probe: np.ndarray) -> Match:
        """The nearest person to a probe, (D,) float32 of unit length, and the next one.

        The nearest is the one whose d lies deepest within the tau of that comparison; tau_of decides afterwards. Nobody
        is somebody whose negative template is nearer than every other of theirs. Of two who are as near, the one who
        was enrolled first is the nearest. The result does not depend on the order of changes: float32 finds who may be
        the nearest two, float64 says which.
        """
        around = self.thresholds.neighbourhoods(probe[None])[0]
        taus = self.thresholds.taus(self._fmr, around, self._own.neighbourhoods())  # (N,)
        nearness = self._own.cosines(probe) - (1 - taus / 2)  # (N,): half of tau - d
        ranked: list[tuple[float, int, str, float, float]] = []
        denied = True
        while denied:
            ranked, denied = [], False
            for person_id in self._own.nearest_two(nearness):
                beyond, distance, tau = self._compare(self._own, person_id, probe, around)
                if self._compare(self._negative, person_id, probe, around)[0] <= beyond:
                    self._own.leave_out(nearness, person_id)
                    denied = True
                else:
                    ranked.append((beyond, self._places[person_id], person_id, distance, tau))
        ranked.sort()
        if not ranked:
            return Match(None, float("inf"), self.tau)
        _, _, person_id, distance, tau = ranked[0]
        person = self.people[person_id]
        tau = self.tau_of(person, tau)
        if len(ranked) == 1:
            return Match(person, distance, tau)
        _, _, other, other_distance, _ = ranked[1]
        return Match(person, distance, tau, self.people[other], other_distance)

    def relative_of(self, person_id: str) -> Relative | None:
        """Whoever is near enough to somebody for a stricter tau of both; None for nobody."""
        relative = self._relatives.nearest(person_id)
        return None if relative is None or relative.tau >= self.tau else relative

    def tau_of(self, person: Person, tau: float) -> float:
        """The match threshold of somebody in a comparison that has this one: their own, or that of a relative."""
        if person.tau is not None:
            return person.tau
        relative = self._relatives.nearest(person.person_id)
        return tau if relative is None else min(tau, relative.tau)

    def taus(self, embeddings: np.ndarray) -> np.ndarray:
        """(L, D) float32 of unit length -> (L, L): the tau of each comparison between two of them."""
        around = self.thresholds.neighbourhoods(embeddings)
        return self.thresholds.taus(self._fmr, around[:, None], around[None])

    def strictness(self, embeddings: np.ndarray) -> np.ndarray:
        """(L, D) float32 of unit length -> (L,): how much stricter tau is with each than with an ordinary one."""
        around = self.thresholds.neighbourhoods(embeddings)
        stricter: np.ndarray = self.tau - self.thresholds.ordinary_taus(self._fmr, around)
        return stricter

    def _compare(
        self, segments: Segments, person_id: str, probe: np.ndarray, around: np.ndarray
    ) -> tuple[float, float, float]:
        """How far beyond its tau the nearest template of a person lies, its d, and that tau; infinity for none."""
        distances, neighbourhoods = segments.distances(person_id, probe)
        if not len(distances):
            return float("inf"), float("inf"), self.tau
        taus = self.thresholds.taus(self._fmr, around, neighbourhoods)
        nearest = int((distances - taus).argmin())
        distance, tau = float(distances[nearest]), float(taus[nearest])
        return distance - tau, distance, tau

    def _clear(self) -> None:
        self.people.clear()
        self._own, self._negative = (Segments(self.thresholds.neighbourhoods) for _ in range(2))
        self._relatives = Relatives(self._own)

    def _put(self, person: Person, templates: list[Template]) -> None:
        before = self.people.get(person.person_id)
        if before is None:
            self._places[person.person_id] = next(self._next_place)
        else:
            self._forget_name(before)
        self.people[person.person_id] = person
        self._names[person.name.casefold()] = person.person_id
        for segments in (self._own, self._negative):
            chosen = [template for template in templates if template.negative == self._is_negative(segments)]
            ids, embeddings = [one.template_id for one in chosen], [one.embedding for one in chosen]
            segments.put(person.person_id, ids, embeddings)
        if self._with_relatives:
            self._relatives.update(person.person_id)
        self.changed[person.person_id] = None

    def _is_negative(self, segments: Segments) -> bool:
        return segments is self._negative

    def _forget_name(self, person: Person) -> None:
        if self._names.get(person.name.casefold()) == person.person_id:
            del self._names[person.name.casefold()]

    def _refuse_foreign(self, template: Template) -> None:
        if template.model != self.model:
            raise ValueError(
                f"template {template.template_id} was made by model {template.model[:12]}, not by {self.model[:12]}"
            )

    def _set_tau(self) -> None:
        self._fmr = fmr_of(self.fpir, len(self.people))
        self.tau = self.thresholds.nominal(self._fmr)
