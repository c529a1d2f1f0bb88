"""Tracks: which face of this frame is which of the frames before, and one verdict for each."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edge.core.evidence import Evidence, MatchedSample, Verdict, with_people
from edge.core.geometry import box_iou
from edge.core.types import Face, Match, Person, Quality, Sample, Stranger

IN_SIGHT_SECONDS = 0.35


@dataclass(frozen=True)
class TrackRules:
    """When a track is confirmed, lost, decided and checked again.

    confirm_frames: frames with the face before it is sampled
    lost_after_seconds: how long the face may be out of sight and is still known by its place
    hold_seconds: how long a track that was sampled waits for its face elsewhere, known by its encoding; then it ends
    quorum_votes: samples that a verdict needs
    votes_max: samples after which the verdict is unknown where they do not agree
    agreement: share of the samples' weight that a verdict needs
    recheck_after_seconds: how often a track with a verdict is sampled again
    continue_score: of the detector, at which a track goes on that began at the detector's own, higher one
    """

    confirm_frames: int = 2
    lost_after_seconds: float = 1.0
    hold_seconds: float = 2.5
    quorum_votes: int = 3
    votes_max: int = 9
    agreement: float = 0.6
    recheck_after_seconds: float = 3.0
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
        self._evidence = Evidence()
        self._sampled_at = at

    @property
    def confirmed(self) -> bool:
        """Whether it was seen in enough frames."""
        return self.frames >= self.rules.confirm_frames

    def update(self, face: Face, at: float) -> None:
        """Add a frame."""
        self.face, self.last_at = face, at
        self.frames += 1

    def wants_sample(self, at: float) -> bool:
        """Whether it is undecided, in doubt, or due to be checked again."""
        in_doubt = bool(self._evidence.samples)
        return self.verdict is None or in_doubt or at - self._sampled_at >= self.rules.recheck_after_seconds

    def refuse(self, quality: Quality) -> None:
        """Count a sample that was not good enough, by the code of its problem."""
        self.refusals[str(quality.problem)] += 1
        if self.clearest_refused is None or quality.score > self.clearest_refused.score:
            self.clearest_refused = quality

    def add(self, match: Match, quality: Quality, at: float, sample: Sample | None = None) -> Verdict | None:
        """Add a sample. Returns the verdict when it is the first one, or one for another identity."""
        self._sampled_at = at
        self.embedding = self.embedding if sample is None else sample.embedding
        samples = self._evidence.samples
        samples.append(MatchedSample(match, quality, sample))
        if self.verdict is not None and all(sample.identity == self.verdict.identity for sample in samples):
            self._evidence = Evidence()  # it confirms the verdict: no doubt
            return None
        if len(samples) < self.rules.quorum_votes:
            return None
        leader = self._evidence.leader()
        if self._evidence.share(leader) < self.rules.agreement:
            if len(samples) < self.rules.votes_max:
                return None
            leader = None
        return self._decide(leader)

    def update_people(self, people: Mapping[str, Person]) -> None:
        """Use people as they are now, by id; somebody who was removed is named no more."""
        self._evidence = self._evidence.with_people(people)
        verdict = self.verdict
        if verdict is None:
            return
        best = replace(verdict.best, match=with_people(verdict.best.match, people))
        matches = tuple(with_people(match, people) for match in verdict.matches)
        self.verdict = replace(verdict, best=best, matches=matches)
        if verdict.identity is not None and verdict.identity not in people:
            self.verdict = Verdict(None, best, (), "the person was removed")
            self.embedding = None

    def finish(self) -> Verdict | None:
        """End the track. Returns the verdict if there was none yet and there are samples.

        A person is named only if two samples agree; a single one is not enough. Of one sample among others that were
        not good enough there is no verdict: unknown would say that nobody enrolled was seen.
        """
        samples = self._evidence.samples
        if self.verdict is not None or not samples or (len(samples) == 1 and self.refusals):
            return None
        leader = self._evidence.leader()
        enough = len(samples) >= 2 and self._evidence.share(leader) >= self.rules.agreement
        return self._decide(leader if enough else None)

    def _decide(self, identity: str | None) -> Verdict | None:
        verdict = self._evidence.verdict(identity)
        self._evidence = Evidence()
        if self.verdict is not None and self.verdict.identity == identity:
            return None
        self.verdict = verdict
        return verdict


class Tracker:
    """Assigns the faces of each frame to the tracks of the frames before."""

    def __init__(self, rules: TrackRules) -> None:
        self.rules = rules
        self.tracks: list[Track] = []
        self.unclaimed: list[Face] = []
        self._count = 0

    def update(self, faces: list[Face], at: float, start_score: float = 0.0) -> tuple[list[Track], list[Track]]:
        """Advance by one frame. Returns the confirmed tracks of this frame, and the tracks that were lost.

        start_score: from which a face begins a track; with a lower one it only continues one that has no better face in
        this frame (Zhang et al. 2022, ByteTrack), and otherwise is one of `unclaimed`.
        """
        lost = [track for track in self.tracks if at - track.last_at > self._patience(track)]
        self.tracks = [track for track in self.tracks if track not in lost]
        sure = self._assign([face for face in faces if face.score >= start_score], at)
        self.unclaimed = self._assign([face for face in faces if face.score < start_score], at)
        for face in sure:
            self._count += 1
            self.tracks.append(Track(self._count, face, at, self.rules))
        return [track for track in self.tracks if track.last_at == at and track.confirmed], lost

    def _assign(self, faces: list[Face], at: float) -> list[Face]:
        """Give faces to the tracks that have none in this frame; returns those left over.

        Greedy on the best overlap first. The best assignment overall (Hungarian) costs a dependency and differs only
        where faces cross so closely that position does not tell them apart anyway.
        """
        near = self.recent(at)
        waiting = [track for track in near if track.last_at != at]
        alike = affinity([track.face for track in waiting], faces)
        left = set(range(len(faces)))
        while alike.size and alike.max() > 0:
            row, column = (int(place) for place in np.unravel_index(alike.argmax(), alike.shape))
            waiting[row].update(faces[column], at)
            left.discard(column)
            alike[row, :] = alike[:, column] = 0
        return [faces[column] for column in sorted(left)]

    def _patience(self, track: Track) -> float:
        """How long the face of a track may be out of sight, in seconds."""
        rules = self.rules
        return (
            rules.lost_after_seconds if track.embedding is None else max(rules.lost_after_seconds, rules.hold_seconds)
        )

    def recent(self, at: float) -> list[Track]:
        """The tracks whose place is still known, the one seen longest ago first."""
        tracks = [track for track in self.tracks if at - track.last_at <= self.rules.lost_after_seconds]
        return sorted(tracks, key=lambda track: track.last_at)

    def resume(self, track: Track, embedding: np.ndarray, tau: float, at: float) -> Track:
        """The track that a new one continues, by its first encoding, (D,): out of sight, and within tau; else itself.

        What has happened to the face meanwhile, the box cannot say: it may have walked behind a post.
        """
        if track.embedding is not None:
            return track
        away = {
            float(np.square(other.embedding - embedding).sum()): other
            for other in self.tracks
            if other.embedding is not None and at - other.last_at > IN_SIGHT_SECONDS
        }
        if not away or min(away) > tau:
            return track
        resumed = away[min(away)]
        self.tracks.remove(track)
        resumed.update(track.face, at)
        return resumed

    def in_sight(self, at: float) -> int:
        """How many faces there are: a frame does not look at every place, so those of the last moments count."""
        return sum(at - track.last_at <= IN_SIGHT_SECONDS for track in self.tracks)

    def lose_all(self) -> list[Track]:
        """End every track and return them."""
        lost, self.tracks = self.tracks, []
        return lost


def affinity(before: list[Face], now: list[Face]) -> np.ndarray:
    """(N, M): how likely each face is the same one a moment later; 0 is not at all.

    The overlap of the boxes; where a face moved too fast to overlap, a small value for a near box of a similar size.
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
    return np.asarray(np.maximum(box_iou(first, second), near))
