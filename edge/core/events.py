"""What a track comes to, as an event."""

import numpy as np

from edge.core.tracker import Track, Verdict
from edge.core.types import Event, Frame, Person, Stranger


def verdict_event(track: Track, verdict: Verdict, phase: str, frame: Frame, faces_in_frame: int) -> Event:
    """The event of a verdict."""
    return Event(
        kind=kind_of(verdict.person, track.stranger),
        phase=phase,
        track=track.name,
        at=frame.at,
        person=verdict.person,
        match=verdict.best.match,
        votes=verdict.votes,
        quality=verdict.best.quality,
        box=normalized_box(track.face.box, frame.image.shape),
        faces_in_frame=faces_in_frame,
        why=verdict.why,
        stranger=None if track.stranger is None else track.stranger.stranger_id,
        shot=verdict.shot,
    )


def kind_of(person: Person | None, stranger: Stranger | None) -> str:
    """What an event is that tells of them."""
    if person is not None:
        return "recognized" if person.notify else "ignored"
    return "ignored" if stranger is not None and stranger.ignored else "unknown"


def person_event(kind: str, person: Person, at: float, why: str) -> Event:
    """The event of somebody who is known from now on, or no longer, whether at the door or not."""
    return Event(kind, "new", None, at, person, None, {}, None, None, 0, why)


def low_quality_event(track: Track, frame: Frame, faces_in_frame: int) -> Event:
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
        box=normalized_box(track.face.box, frame.image.shape),
        faces_in_frame=faces_in_frame,
        why=f"{count} of {track.refusals.total()} looks were {problem.replace('_', ' ')}",
    )


def normalized_box(box: np.ndarray, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """(4,) left, top, right, bottom in pixels -> left, top, width, height in shares of (height, width, ...)."""
    left, top, right, bottom = (float(value) for value in box)
    height, width = shape[:2]
    return left / width, top / height, (right - left) / width, (bottom - top) / height
