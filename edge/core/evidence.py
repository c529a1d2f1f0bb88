"""What the samples of a track say together, and the verdict.

The encodings of the samples are pooled: their mean, weighted by quality, is compared as one. Votes of single samples
would throw away what the others know, and a sum of their likelihoods would take samples of one moment as independent.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from edge.core.types import Match, Person, Quality, Sample

UNKNOWN = "unknown"
SOMEBODY = "somebody"  # whose face is there and not decided yet
SAMPLES_KEPT = 60  # of one track: the oldest go first


@dataclass(frozen=True)
class MatchedSample:
    """One sample of a track and its own comparison with the gallery; its weight is its quality score."""

    match: Match
    quality: Quality
    sample: Sample

    @property
    def identity(self) -> str | None:
        """The person's id, or None where nobody is within tau."""
        return None if self.match.person is None else self.match.person.person_id


@dataclass(frozen=True)
class Verdict:
    """Who a track is, and why.

    match: of all samples together; matches: of each alone; sample: the clearest, with its quality; None of somebody who
    was removed
    """

    identity: str | None
    match: Match
    matches: tuple[Match, ...]
    why: str
    quality: Quality
    sample: Sample | None

    @property
    def person(self) -> Person | None:
        """The person, or None."""
        return None if self.identity is None else self.match.person

    @property
    def votes(self) -> dict[str, int]:
        """How many samples alone support whom, by name."""
        return dict(Counter(name_of(match) for match in self.matches))

    def with_people(self, people: Mapping[str, Person]) -> "Verdict":
        """The same with people as they are now, by id; somebody who was removed is named no more."""
        match = with_people(self.match, people)
        if self.identity is not None and self.identity not in people:
            return replace(self, identity=None, match=match, matches=(), why="the person was removed", sample=None)
        return replace(self, match=match, matches=tuple(with_people(one, people) for one in self.matches))


@dataclass
class Evidence:
    """The samples so far, oldest first."""

    samples: list[MatchedSample] = field(default_factory=list)

    def add(self, sample: MatchedSample) -> None:
        """Add a sample."""
        self.samples = [*self.samples, sample][-SAMPLES_KEPT:]

    def newest(self, count: int) -> "Evidence":
        """The evidence of the newest samples alone."""
        return Evidence(self.samples[-count:])

    def pooled(self) -> np.ndarray:
        """(D,) float32 of unit length: the mean of the encodings, weighted by quality."""
        weights = np.array([max(sample.quality.score, 1e-3) for sample in self.samples], dtype=np.float32)
        total = weights @ np.stack([sample.sample.embedding for sample in self.samples])
        pooled: np.ndarray = total / max(float(np.linalg.norm(total)), 1e-9)
        return pooled

    def share(self, identity: str | None) -> float:
        """How much of the weight supports an identity, each sample alone, in [0, 1]."""
        total = sum(sample.quality.score for sample in self.samples)
        supporting = sum(sample.quality.score for sample in self.samples if sample.identity == identity)
        return supporting / max(total, 1e-9)

    def verdict(self, match: Match) -> Verdict:
        """The verdict by the match of all samples together."""
        clearest = max(self.samples, key=lambda sample: sample.quality.score)
        identity = None if match.person is None else match.person.person_id
        count = f"{len(self.samples)} sample{'s' * (len(self.samples) > 1)}"
        if match.nearest is None:
            why = f"{count}, and nobody is enrolled"
        else:
            side = "within" if identity is not None else "beyond"
            why = f"{count} together: d {max(0.0, match.distance):.2f}, {side} tau {match.tau:.2f}"
        matches = tuple(sample.match for sample in self.samples)
        return Verdict(identity, match, matches, why, clearest.quality, clearest.sample)

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
