"""A track: one face from its first frame to its last, and what is decided of it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edge.core.codes import Code
from edge.core.evidence import Evidence, MatchedSample, Verdict, with_people
from edge.core.types import Face, Match, Person, Quality, Sample, Stranger

Identify = Callable[[np.ndarray], Match]  # (D,) float32 of unit length -> its match in the gallery

CLEARLY = 0.25  # d beyond tau at which the newest samples speak against a name
FRAME_TOLERANCE = 1e-3  # seconds: times of frames are sums of floats


@dataclass(frozen=True)
class TrackRules:
    """When a track is confirmed, lost, decided and checked again.

    confirm_frames: frames with the face before it is sampled
    lost_after_seconds: how long the face may be out of sight and is still known by its place
    hold_seconds: how long a track that was sampled waits for its face elsewhere, known by its encoding; then it ends
    quorum_votes: samples that a name needs; they are compared together
    votes_max: samples after which the verdict is unknown where nobody is within tau
    agreement: share of the newest samples, each alone, that must speak for another verdict before it changes
    sample_every_seconds: how far apart the samples of an undecided track are; nearer ones tell the same
    recheck_after_seconds: how often a track with a verdict is sampled again
    recheck_votes: newest samples that can change a verdict
    continue_score: of the detector, at which a track goes on that began at the detector's own, higher one
    """

    confirm_frames: int = 2
    lost_after_seconds: float = 1.0
    hold_seconds: float = 2.5
    quorum_votes: int = 2
    votes_max: int = 9
    agreement: float = 0.6
    sample_every_seconds: float = 0.3
    recheck_after_seconds: float = 3.0
    recheck_votes: int = 5
    continue_score: float = 0.5


class Track:
    """One face, from its first frame to its last: tentative, confirmed, lost."""

    def __init__(self, number: int, face: Face, at: float, rules: TrackRules) -> None:
        self.name = f"t{number}"
        self.face, self.rules = face, rules
        self.last_at = at
        self.frames = 1
        self.verdict: Verdict | None = None
        self.stranger: Stranger | None = None
        self.refusals: Counter[str] = Counter()
        self.clearest_refused: Quality | None = None
        self.embedding: np.ndarray | None = None  # (D,) float32, of the newest sample
        self.upright = False  # not yet known to be
        self.disputed = False  # more than one verdict, upside down for a while, or perhaps two faces
        self._evidence = Evidence()
        self._together: Match | None = None
        self._sampled_at = -np.inf

    @property
    def confirmed(self) -> bool:
        """Whether it was seen in enough frames."""
        return self.frames >= self.rules.confirm_frames

    @property
    def evidence(self) -> Evidence:
        """The samples so far."""
        return self._evidence

    @property
    def in_doubt(self) -> bool:
        """Whether there is no verdict, or the newest sample alone says something else."""
        samples = self._evidence.samples
        return self.verdict is None or (bool(samples) and samples[-1].identity != self.verdict.identity)

    def update(self, face: Face, at: float) -> None:
        """Add a frame."""
        self.face, self.last_at = face, at
        self.frames += 1

    def wants_sample(self, at: float) -> bool:
        """Whether it is time for the next sample; an unknown track is sampled as one in doubt: it may be named yet."""
        rules = self.rules
        named = self.verdict is not None and self.verdict.identity is not None
        after = rules.recheck_after_seconds if named and not self.in_doubt else rules.sample_every_seconds
        if self.verdict is not None and not named and len(self._evidence.samples) >= 2 * rules.votes_max:
            after = rules.recheck_after_seconds
        return at - self._sampled_at >= after - FRAME_TOLERANCE

    def refuse(self, quality: Quality, at: float = -np.inf) -> None:
        """Count a sample that was not good enough, by the code of its problem; at: where it cost as much as a good one.

        After such a sample the next one is as far off as after a good one.
        """
        self._sampled_at = max(self._sampled_at, at)
        self.refusals[str(quality.problem)] += 1
        self.disputed |= quality.problem == Code.NOT_UPRIGHT
        if self.clearest_refused is None or quality.score > self.clearest_refused.score:
            self.clearest_refused = quality

    def add(self, sample: Sample, quality: Quality, at: float, identify: Identify) -> Verdict | None:
        """Add a sample. Returns the verdict when it is the first one, or one for another identity."""
        self._sampled_at = at
        self.embedding = sample.embedding
        self._evidence.add(MatchedSample(identify(sample.embedding), quality, sample))
        self._together = identify(self._evidence.pooled())
        if self.verdict is None:
            return self._first(self._together)
        if self.verdict.identity is None:
            return self._named_after_all(self._together, identify)
        return self._other(self.verdict.identity, identify) if self.in_doubt else None

    def _first(self, together: Match) -> Verdict | None:
        count, rules = len(self._evidence.samples), self.rules
        sure = together.person is not None or together.nearest is None  # of nobody enrolled, more samples say nothing
        wanted = rules.quorum_votes if sure else rules.votes_max
        return self._decide(self._evidence, together) if count >= wanted else None

    def _named_after_all(self, together: Match, identify: Identify) -> Verdict | None:
        """A name for an unknown track: by all samples together, or by the newest ones, which may be better."""
        if together.person is not None:
            return self._decide(self._evidence, together)
        newest = self._evidence.newest(self.rules.recheck_votes)
        match = identify(newest.pooled())
        if match.person is None or newest.share(match.person.person_id) < self.rules.agreement:
            return None
        return self._decide(newest, match)

    def _other(self, identity: str, identify: Identify) -> Verdict | None:
        """Another verdict for a named track, by the newest samples alone: the tracker may have swapped two people."""
        newest = self._evidence.newest(self.rules.recheck_votes)
        if len(newest.samples) < self.rules.recheck_votes:
            return None
        match = identify(newest.pooled())
        other = None if match.person is None else match.person.person_id
        if other == identity or newest.share(other) < self.rules.agreement:
            return None
        near = match.nearest is not None and match.nearest.person_id == identity
        if other is None and near and match.distance <= match.tau + CLEARLY:
            return None
        return self._decide(newest, match)

    def update_people(self, people: Mapping[str, Person]) -> None:
        """Use people as they are now, by id; somebody who was removed is named no more."""
        self._evidence = self._evidence.with_people(people)
        if not self._evidence.samples:
            self._together = None
        elif self._together is not None:
            self._together = with_people(self._together, people)
        if self.verdict is None:
            return
        if self.verdict.identity is not None and self.verdict.identity not in people:
            self.embedding, self._together, self._evidence = None, None, Evidence()  # no sample of theirs stays
        self.verdict = self.verdict.with_people(people)

    def finish(self) -> Verdict | None:
        """End the track. Returns the verdict if there was none yet and there are samples.

        A person is named only by two samples or more. Of one sample among others that were not good enough nothing can
        be told: unknown would say that nobody is known.
        """
        count, together = len(self._evidence.samples), self._together
        if self.verdict is not None or together is None or (count == 1 and self.refusals):
            return None
        if count < self.rules.quorum_votes and together.person is not None:
            together = Match(None, float("inf"), together.tau)
        return self._decide(self._evidence, together)

    def _decide(self, evidence: Evidence, match: Match) -> Verdict:
        self.disputed |= self.verdict is not None
        self._evidence, self._together = evidence, match
        self.verdict = evidence.verdict(match)
        return self.verdict
