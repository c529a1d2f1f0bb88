"""Faces over frames: who stays the same face, what the looks at it say, and one verdict for each."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from edge.core.geometry import box_iou
from edge.core.types import Face, Match, Person, Quality, Sample, Stranger

UNKNOWN = "unknown"


@dataclass(frozen=True)
class TrackRules:
    """When a track is believed, given up, decided and looked at again."""

    confirm_frames: int = 2
    lost_after_seconds: float = 1.0
    quorum_votes: int = 3
    votes_max: int = 9  # with no agreement by then it is nobody we know
    agreement: float = 0.6  # share of the votes' weight that a verdict needs
    recheck_after_seconds: float = 3.0


@dataclass(frozen=True)
class Vote:
    """One good look at a face and what the gallery said; it weighs as much as the look was good."""

    match: Match
    quality: Quality
    shot: Sample | None = None

    @property
    def identity(self) -> str | None:
        """The person's id, or None for nobody we know."""
        return None if self.match.person is None else self.match.person.person_id


@dataclass(frozen=True)
class Verdict:
    """Who a track is, and why.

    best: of the votes for it, the one with the smallest distance; shot: the clearest look of them
    """

    identity: str | None
    best: Vote
    looks: tuple[Match, ...]
    why: str
    shot: Sample | None = None

    @property
    def votes(self) -> dict[str, int]:
        """How many looks spoke for whom."""
        return dict(Counter(name_of(match) for match in self.looks))

    @property
    def person(self) -> Person | None:
        """Who it is, or nobody we know, whatever a single look said."""
        return None if self.identity is None else self.best.match.person


@dataclass
class Evidence:
    """The votes so far."""

    votes: list[Vote] = field(default_factory=list)

    def share(self, identity: str | None) -> float:
        """How much of the weight speaks for somebody."""
        total = sum(vote.quality.score for vote in self.votes)
        return sum(vote.quality.score for vote in self.votes if vote.identity == identity) / max(total, 1e-9)

    def leader(self) -> str | None:
        """Who most of the weight speaks for; None is nobody we know."""
        return max({vote.identity for vote in self.votes}, key=lambda identity: (self.share(identity), identity or ""))

    def verdict(self, identity: str | None) -> Verdict:
        """The verdict that it is them."""
        speaking = [vote for vote in self.votes if vote.identity == identity] or self.votes
        best = min(speaking, key=lambda vote: vote.match.distance)
        agreeing = sum(vote.identity == identity for vote in self.votes)
        side = "within tau" if identity is not None else "beyond tau of everybody"
        why = f"{agreeing} of {len(self.votes)} votes {side}" if agreeing else "too few votes to name anybody"
        clearest = max(speaking, key=lambda vote: vote.quality.score)
        return Verdict(identity, best, tuple(vote.match for vote in self.votes), why, clearest.shot)


def name_of(match: Match) -> str:
    """For people."""
    return UNKNOWN if match.person is None else match.person.name


def as_known(match: Match, people: Mapping[str, Person]) -> Match:
    """The same comparison, with people as they are now, by id; of who is not known any more nothing is said."""
    nearest = None if match.nearest is None else people.get(match.nearest.person_id)
    if nearest is None:
        return Match(None, float("inf"), match.tau)
    runner_up = None if match.runner_up is None else people.get(match.runner_up.person_id)
    if runner_up is None:
        return Match(nearest, match.distance, match.tau)
    return replace(match, nearest=nearest, runner_up=runner_up)


class Track:
    """One face, from when it came until it is gone: tentative, confirmed, lost."""

    def __init__(self, number: int, face: Face, at: float, rules: TrackRules) -> None:
        self.name = f"t{number}"
        self.face, self.rules = face, rules
        self.last_at = at
        self.frames = 1
        self.verdict: Verdict | None = None
        self.stranger: Stranger | None = None
        self.refusals: Counter[str] = Counter()
        self._evidence = Evidence()
        self._checked_at = at

    @property
    def confirmed(self) -> bool:
        """Seen often enough to be more than a flicker."""
        return self.frames >= self.rules.confirm_frames

    def see(self, face: Face, at: float) -> None:
        """It is here again."""
        self.face, self.last_at = face, at
        self.frames += 1

    def wants_sample(self, at: float) -> bool:
        """Undecided, in doubt, or due to be looked at again."""
        in_doubt = bool(self._evidence.votes)
        return self.verdict is None or in_doubt or at - self._checked_at >= self.rules.recheck_after_seconds

    def refuse(self, problem: str) -> None:
        """It was looked at, but not well enough to tell."""
        self.refusals[problem] += 1

    def observe(self, match: Match, quality: Quality, at: float, shot: Sample | None = None) -> Verdict | None:
        """Count a look. Returns the verdict when there is a first one, or one for another identity."""
        self._checked_at = at
        self._evidence.votes.append(Vote(match, quality, shot))
        votes = self._evidence.votes
        if self.verdict is not None and all(vote.identity == self.verdict.identity for vote in votes):
            self._evidence = Evidence()  # as before: no doubt
            return None
        if len(votes) < self.rules.quorum_votes:
            return None
        leader = self._evidence.leader()
        if self._evidence.share(leader) < self.rules.agreement:
            if len(votes) < self.rules.votes_max:
                return None
            leader = None
        return self._decide(leader)

    def know(self, people: Mapping[str, Person]) -> None:
        """People are as they are now, by id: whoever is not known any more was nobody we know, and is not named."""
        if any(vote.identity is not None and vote.identity not in people for vote in self._evidence.votes):
            self._evidence = Evidence()
        votes = self._evidence.votes
        self._evidence = Evidence([replace(vote, match=as_known(vote.match, people)) for vote in votes])
        verdict = self.verdict
        if verdict is None:
            return
        best = replace(verdict.best, match=as_known(verdict.best.match, people))
        self.verdict = replace(verdict, best=best, looks=tuple(as_known(match, people) for match in verdict.looks))
        if verdict.identity is not None and verdict.identity not in people:
            self.verdict = replace(
                self.verdict, identity=None, looks=(), why="who it was was forgotten", shot=None, best=best
            )

    def finish(self) -> Verdict | None:
        """It is gone. Returns the verdict if there was none yet and there are votes.

        A person is named only if two looks agree; a single one says nobody we know.
        """
        if self.verdict is not None or not self._evidence.votes:
            return None
        leader = self._evidence.leader()
        enough = len(self._evidence.votes) >= 2 and self._evidence.share(leader) >= self.rules.agreement
        return self._decide(leader if enough else None)

    def _decide(self, identity: str | None) -> Verdict | None:
        verdict = self._evidence.verdict(identity)
        self._evidence = Evidence()
        if self.verdict is not None and self.verdict.identity == identity:
            return None
        self.verdict = verdict
        return verdict


class Tracker:
    """Which face of this frame is which of the frames before."""

    def __init__(self, rules: TrackRules) -> None:
        self.rules = rules
        self.tracks: list[Track] = []
        self._count = 0

    def update(self, faces: list[Face], at: float) -> tuple[list[Track], list[Track]]:
        """Advance by one frame. Returns the confirmed tracks that are seen now, and the tracks that are gone.

        Greedy on the best overlap first. The best assignment overall (Hungarian) costs a dependency and differs only
        where faces cross so closely that position does not tell them apart anyway.
        """
        lost = [track for track in self.tracks if at - track.last_at > self.rules.lost_after_seconds]
        self.tracks = [track for track in self.tracks if track not in lost]
        alike = affinity([track.face for track in self.tracks], faces)
        new = set(range(len(faces)))
        while alike.size and alike.max() > 0:
            row, column = np.unravel_index(alike.argmax(), alike.shape)
            self.tracks[row].see(faces[column], at)
            new.discard(int(column))
            alike[row, :] = alike[:, column] = 0
        for column in sorted(new):
            self._count += 1
            self.tracks.append(Track(self._count, faces[column], at, self.rules))
        return [track for track in self.tracks if track.last_at == at and track.confirmed], lost

    def lose_all(self) -> list[Track]:
        """Nothing more will be seen. Returns every track there was."""
        lost, self.tracks = self.tracks, []
        return lost


def affinity(before: list[Face], now: list[Face]) -> np.ndarray:
    """(N, M): how likely each face is the same one a moment later; 0 is not at all.

    The overlap of the boxes; and where somebody moved too fast to overlap, a little for being near and as large.
    """
    if not before or not now:
        return np.zeros((len(before), len(now)))
    first, second = (np.stack([face.box for face in faces]) for faces in (before, now))
    size = np.array([[face.size_px for face in faces] for faces in (before,)])[0]
    other = np.array([face.size_px for face in now])
    middle, other_middle = ((boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (first, second))
    apart = np.linalg.norm(middle[:, None] - other_middle[None], axis=2) / np.maximum(size[:, None], 1e-6)
    ratio = np.abs(np.log2(np.maximum(other[None], 1e-6) / np.maximum(size[:, None], 1e-6)))
    near = np.where((apart < 0.8) & (ratio < 0.75), 0.1 * (1 - apart / 0.8), 0.0)
    return np.maximum(box_iou(first, second), near)
