"""What the device reports: the one event type, with the names of the wire, and how each kind is made."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge.core.evidence import Verdict
from edge.core.track import Track
from edge.core.types import Frame, Match, Person, Quality, Sample, Stranger

EventType = Literal["recognized", "unknown", "ignored", "low_quality", "enrolled", "forgotten"]
Phase = Literal["new", "update", "end"]


@dataclass(frozen=True)
class RunnerUp:
    """The person who would be next. distance: d, or null where it is not finite."""

    name: str
    distance: float | None


@dataclass(frozen=True)
class Event:
    """One event; the sender adds schema, id, seq, ts and model.

    event_type: "recognized", "unknown", "ignored" (nothing is to be reported of them) or "low_quality" of a track;
                "enrolled" or "forgotten" of a person
    phase:      "new" once per track, "update" when the identity changes, "end" when the track is gone
    at:         seconds on the clock of the frames; not on the wire
    distance: of all samples together; of somebody recognized to that person, otherwise to the nearest person, whom the
                event does not name: it is not them
    tau, runner_up, margin: of the same comparison; whom else it might be, and how much farther they are, is said of
                somebody recognized alone
    stranger:   the id of a stranger who is kept
    votes:      how many samples support whom, "unknown" for nobody
    quality:    of that best sample
    box:        left, top, width, height as shares of the picture
    sample:     the clearest sample that supports the verdict, from which a correction learns; not on the wire
    in_frame:   the face is in the newest frame, where box says; not on the wire
    nearest_id: to whom distance was measured; not on the wire
    visit: the id of the first event of its visit, where it is known; not on the wire
    candidate: of a track that ended, the sample that may become a template; not on the wire
    """

    event_type: EventType
    phase: Phase
    track: str | None
    at: float
    name: str | None
    person_id: str | None
    why: str
    distance: float | None = None
    tau: float | None = None
    runner_up: RunnerUp | None = None
    margin: float | None = None
    stranger: str | None = None
    votes: dict[str, int] | None = None
    quality: Quality | None = None
    box: tuple[float, float, float, float] | None = None
    faces_in_frame: int = 0
    sample: Sample | None = None
    in_frame: bool = True
    nearest_id: str | None = None
    visit: str | None = None
    candidate: Sample | None = None


def verdict_event(track: Track, verdict: Verdict, phase: Phase, frame: Frame, faces_in_frame: int) -> Event:
    """The event of a verdict."""
    match, person = verdict.match, verdict.person
    distance, tau, runner_up, margin = measured(match)
    if person is None:  # the next after somebody who is not named would be taken for the nearest
        runner_up = margin = None
    return Event(
        event_type=event_type_of(person, track.stranger),
        phase=phase,
        track=track.name,
        at=frame.at,
        name=None if person is None else person.name,
        person_id=None if person is None else person.person_id,
        why=verdict.why,
        distance=distance,
        tau=tau,
        runner_up=runner_up,
        margin=margin,
        stranger=None if track.stranger is None else track.stranger.stranger_id,
        votes=verdict.votes,
        quality=verdict.quality,
        box=normalized_box(track.face.box, frame.best.shape),
        faces_in_frame=faces_in_frame,
        sample=verdict.sample,
        nearest_id=None if match.nearest is None else match.nearest.person_id,
    )


def measured(match: Match) -> tuple[float | None, float, RunnerUp | None, float | None]:
    """Distance, tau, runner-up and margin of a match; None for what is not finite or not there."""
    if match.runner_up is None:
        return finite(match.distance), match.tau, None, None
    runner_up = RunnerUp(match.runner_up.name, finite(match.runner_up_distance))
    return finite(match.distance), match.tau, runner_up, finite(match.margin)


def finite(value: float) -> float | None:
    """The value, or None where it is infinite: JSON has no infinity."""
    return value if np.isfinite(value) else None


def event_type_of(person: Person | None, stranger: Stranger | None) -> EventType:
    """The type of an event about them."""
    if person is not None:
        return "recognized" if person.notify else "ignored"
    return "ignored" if stranger is not None and stranger.ignored else "unknown"


def person_event(event_type: EventType, person_id: str, name: str | None, at: float, why: str) -> Event:
    """The event of somebody who was enrolled or removed, at the door or not."""
    return Event(event_type, "new", None, at, name, person_id, why)


def low_quality_event(track: Track, frame: Frame, faces_in_frame: int) -> Event:
    """The event of a track whose samples were all refused; quality: of the clearest of them."""
    problem, count = track.refusals.most_common(1)[0]
    clearest = track.clearest_refused
    measured = "" if clearest is None else f"; the clearest has {clearest.summary()}"
    return Event(
        event_type="low_quality",
        phase="new",
        track=track.name,
        at=frame.at,
        name=None,
        person_id=None,
        why=f"{count} of {track.refusals.total()} samples were {problem.replace('_', ' ')}{measured}",
        quality=clearest,
        box=normalized_box(track.face.box, frame.best.shape),
        faces_in_frame=faces_in_frame,
    )


def normalized_box(box: np.ndarray, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """(4,) left, top, right, bottom in pixels -> left, top, width, height in shares of (height, width, ...)."""
    left, top, right, bottom = (float(value) for value in box)
    height, width = shape[:2]
    return left / width, top / height, (right - left) / width, (bottom - top) / height
