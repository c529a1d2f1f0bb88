"""Core values -> JSON, typed: what the device says (schema 1). Times are RFC 3339 in UTC."""

import math
from typing import Any, Literal

import msgspec

from edge.core.commands import Progress, Reply
from edge.core.types import Event

SCHEMA = 1
EventType = Literal["recognized", "unknown", "ignored", "low_quality", "enrolled", "forgotten"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What every message of the device is: JSON in UTF-8."""

    def json(self) -> bytes:
        """As it is published."""
        return msgspec.json.encode(self)


class RunnerUp(Message, frozen=True):
    """Who it would be next."""

    name: str
    distance: float | None


class LookQuality(Message, frozen=True):
    """How well the best look could be told; see edge.core.types.Quality."""

    score: float | None
    sharpness: int
    face_px: int
    yaw_deg: int


class EventMessage(Message, frozen=True):
    """Who was seen, and why it says so; or who is known from now on ("enrolled"), or no longer ("forgotten").

    box: left, top, width, height as shares of the picture; stranger: the same whenever they come, where they are kept
    """

    schema: int
    event_type: EventType
    id: str
    seq: int
    ts: str
    track: str | None
    phase: Literal["new", "update", "end"]
    name: str | None
    person_id: str | None
    stranger: str | None
    distance: float | None
    tau: float | None
    runner_up: RunnerUp | None
    margin: float | None
    votes: dict[str, int]
    quality: LookQuality | None
    box: list[float] | None
    faces_in_frame: int
    model: str
    why: str


class Answer(Message, frozen=True):
    """To a request; progress says how far one has come that is not answered yet."""

    status: Literal["ok", "error", "progress"]
    data: dict[str, Any]
    code: str | None
    error: str | None
    transaction: str | None


class Model(Message, frozen=True):
    """A model by name and content."""

    name: str
    sha256: str


class Encoder(Model, frozen=True):
    """The embedder: how many numbers an encoding has."""

    dimension: int


class Info(Message, frozen=True):
    """What the device is."""

    version: str
    detector: Model
    embedder: Encoder
    tau: float
    runtime: str


class FleetHealth(Message, frozen=True):
    """How the gallery is that the household's cameras share.

    unsaid: people of whom the broker has not yet what is known here; refused: messages that did not authenticate or
    could not be kept; too_large: what was not said for its size; unusable_templates: of another model, with no crop
    """

    people: int
    unsaid: int
    refused: int
    too_large: int
    unusable_templates: int
    problems: list[str]


class Health(Message, frozen=True):
    """How the device is.

    ms: by stage; throttled: what holds a Raspberry Pi back, edge.system.metrics
    outbox_problem: why events wait in memory alone, or null
    clock_set: whether the time of day can be believed; until then no signed request is carried out and nothing expires
    fleet: null where the gallery is shared with nobody
    """

    fps: float
    ms: dict[str, dict[str, float | None]]
    rss_mb: float
    temp_c: float | None
    throttled: dict[str, bool | None] | None
    camera_ok: bool
    clock_set: bool
    disk_free_mb: int
    dropped_frames: int
    outbox: int
    outbox_problem: str | None
    dropped_events: int
    dropped_answers: int
    refused_requests: int
    fleet: FleetHealth | None


class Known(Message, frozen=True):
    """Somebody the household knows, by how many templates and within which tau.

    expires: when they are forgotten, seconds since 1970, or null; notify: whether their coming is told as such
    """

    name: str
    person_id: str
    templates: int
    tau: float
    expires: float | None
    notify: bool


class GalleryMessage(Message, frozen=True):
    """Who is known; never an embedding."""

    people: list[Known]
    model: str


class Settings(Message, frozen=True):
    """What can be set while the device runs."""

    recognition: bool


class Seen(Message, frozen=True):
    """Who was seen last, and when."""

    name: str
    ts: str


class Presence(Message, frozen=True):
    """Who is there now; state: for people."""

    state: str
    people: list[str]
    last: Seen | None


class PersonSeen(Message, frozen=True):
    """When somebody was last seen."""

    name: str
    last_seen: str


def answer_json(reply: Reply, transaction: str | None) -> bytes:
    """The answer to a request."""
    status = "ok" if reply.ok else "error"
    return Answer(status=status, data=reply.data, code=reply.code, error=reply.error, transaction=transaction).json()


def answer_to(transaction: str, answer: bytes) -> bytes:
    """An answer that was kept, to whoever asks again."""
    return msgspec.structs.replace(msgspec.json.decode(answer, type=Answer), transaction=transaction).json()


def progress_json(progress: Progress, transaction: str) -> bytes:
    """How far a request has come that is not answered yet."""
    data = {"shots": progress.shots, "of": progress.of, "reason": progress.reason}
    return Answer(status="progress", data=data, code=None, error=None, transaction=transaction).json()


def event_json(event: Event, event_id: str, seq: int, ts: str, model: str) -> bytes:
    """The event as it is published; id, seq and ts are those of whoever sends it."""
    match, quality, person = event.match, event.quality, event.person
    runner_up, margin = None, None
    if match is not None and match.runner_up is not None:
        runner_up = RunnerUp(name=match.runner_up.name, distance=number(match.runner_up_distance))
        margin = number(match.margin)
    return EventMessage(
        schema=SCHEMA,
        event_type=event.kind,
        id=event_id,
        seq=seq,
        ts=ts,
        track=event.track,
        phase=event.phase,
        name=None if person is None or event.kind == "forgotten" else person.name,  # by their id, and no more by name
        person_id=None if person is None else person.person_id,
        stranger=event.stranger,
        distance=None if match is None else number(match.distance),
        tau=None if match is None else number(match.tau),
        runner_up=runner_up,
        margin=margin,
        votes=event.votes,
        quality=None
        if quality is None
        else LookQuality(
            score=number(quality.score),
            sharpness=round(quality.sharpness),
            face_px=round(quality.face_px),
            yaw_deg=round(quality.yaw_deg),
        ),
        box=None if event.box is None else [round(share, 4) for share in event.box],
        faces_in_frame=event.faces_in_frame,
        model=model,
        why=event.why,
    ).json()


def number(value: float) -> float | None:
    """Three digits; JSON has no infinity."""
    return round(value, 3) if math.isfinite(value) else None
