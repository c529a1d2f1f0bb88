"""What the samples of a track say together: matches, their weights, and the verdict."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge.core.types import Match, Person, Quality, Sample

UNKNOWN = "unknown"


@dataclass(frozen=True)
class MatchedSample:
    """One sample of a track and its comparison with the gallery; its weight is its quality score."""

    match: Match
    quality: Quality
    sample: Sample | None = None

    @property
    def identity(self) -> str | None:
        """The person's id, or None where nobody is within tau."""
        return None if self.match.person is None else self.match.person.person_id


@dataclass(frozen=True)
class Verdict:
    """Who a track is, and why.

    best: of the samples that support it, the one with the smallest distance; sample: the clearest of them
    """

    identity: str | None
    best: MatchedSample
    matches: tuple[Match, ...]
    why: str
    sample: Sample | None = None

    @property
    def votes(self) -> dict[str, int]:
        """How many samples support whom, by name."""
        return dict(Counter(name_of(match) for match in self.matches))

    @property
    def person(self) -> Person | None:
        """The person, or None; a single sample may say otherwise."""
        return None if self.identity is None else self.best.match.person


@dataclass
class Evidence:
    """The samples so far."""

    samples: list[MatchedSample] = field(default_factory=list)

    def share(self, identity: str | None) -> float:
        """How much of the weight supports an identity, in [0, 1]."""
        total = sum(sample.quality.score for sample in self.samples)
        supporting = sum(sample.quality.score for sample in self.samples if sample.identity == identity)
        return supporting / max(total, 1e-9)

    def leader(self) -> str | None:
        """The identity with the most weight; None is nobody who is enrolled."""
        identities = {sample.identity for sample in self.samples}
        return max(identities, key=lambda identity: (self.share(identity), identity or ""))

    def verdict(self, identity: str | None) -> Verdict:
        """The verdict for this identity."""
        supporting = [sample for sample in self.samples if sample.identity == identity] or self.samples
        best = min(supporting, key=lambda sample: sample.match.distance)
        count = sum(sample.identity == identity for sample in self.samples)
        side = "within tau" if identity is not None else "beyond tau of everybody"
        why = f"{count} of {len(self.samples)} samples {side}" if count else "too few samples agree on a name"
        clearest = max(supporting, key=lambda sample: sample.quality.score)
        return Verdict(identity, best, tuple(sample.match for sample in self.samples), why, clearest.sample)

    def with_people(self, people: Mapping[str, Person]) -> "Evidence":
        """The same comparisons with people as they are now, by id; none at all where one was for somebody removed."""
        if any(sample.identity is not None and sample.identity not in people for sample in self.samples):
            return Evidence()
        return Evidence([replace(sample, match=with_people(sample.match, people)) for sample in self.samples])


def name_of(match: Match) -> str:
    """The name of the matched person, or "unknown"."""
    return UNKNOWN if match.person is None else match.person.name


def with_people(match: Match, people: Mapping[str, Person]) -> Match:
    """The same comparison with people as they are now, by id; somebody who was removed is left out."""
    nearest = None if match.nearest is None else people.get(match.nearest.person_id)
    if nearest is None:
        return Match(None, float("inf"), match.tau)
    runner_up = None if match.runner_up is None else people.get(match.runner_up.person_id)
    if runner_up is None:
        return Match(nearest, match.distance, match.tau)
    return replace(match, nearest=nearest, runner_up=runner_up)
