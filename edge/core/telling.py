"""What a track comes to, as an event."""

import numpy as np

from edge.core.tracker import Track, Verdict
from edge.core.types import Event, Frame


def said(track: Track, verdict: Verdict, phase: str, frame: Frame, faces_in_frame: int) -> Event:
    """The event of a verdict."""
    return Event(
        kind="unknown" if verdict.identity is None else "recognized",
        phase=phase,
        track=track.name,
        at=frame.at,
        person=verdict.person,
        match=verdict.best.match,
        votes=verdict.votes,
        quality=verdict.best.quality,
        box=shares(track.face.box, frame.image.shape),
        faces_in_frame=faces_in_frame,
        why=verdict.why,
    )


def never_told(track: Track, frame: Frame, faces_in_frame: int) -> Event:
    """The event of a track that was there, but never well enough to be told."""
    problem, count = track.refusals.most_common(1)[0]
    return Event(
        kind="low_quality",
        phase="new",
        track=track.name,
        at=frame.at,
        person=None,
        match=None,
        votes={},
        quality=None,
        box=shares(track.face.box, frame.image.shape),
        faces_in_frame=faces_in_frame,
        why=f"{count} of {track.refusals.total()} looks were {problem.replace('_', ' ')}",
    )


def shares(box: np.ndarray, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """(4,) left, top, right, bottom in pixels -> left, top, width, height in shares of (height, width, ...)."""
    left, top, right, bottom = (float(value) for value in box)
    height, width = shape[:2]
    return left / width, top / height, (right - left) / width, (bottom - top) / height
