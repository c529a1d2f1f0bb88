"""The tracker: which face of this frame is which of the frames before."""

import numpy as np

from edge.core.geometry import box_iou
from edge.core.track import Track, TrackRules
from edge.core.types import Face

IN_SIGHT_SECONDS = 0.35


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
        resumed.disputed = True  # within tau is enough to go on with, and no proof
        return resumed

    def in_sight(self, at: float) -> int:
        """How many faces there are: a frame does not look at every place, so those of the last moments count."""
        return sum(at - track.last_at <= IN_SIGHT_SECONDS for track in self.tracks)

    def undecided(self, at: float) -> bool:
        """Whether somebody is in sight of whom nothing is decided yet."""
        return any(track.confirmed and track.verdict is None for track in self.recent(at))

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
