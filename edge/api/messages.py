"""What the device publishes, typed (schema 1). Times are RFC 3339 in UTC."""

import math

import msgspec

from edge.core.events import Event, EventType, Phase, RunnerUp
from edge.core.types import PersonSummary

SCHEMA = 1


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What every message of the device is: JSON in UTF-8."""

    def json(self) -> bytes:
        """As it is published."""
        return msgspec.json.encode(self)


class SampleQuality(Message, frozen=True):
    """How well the best sample can be recognized; see edge.core.types.Quality."""

    score: float | None
    sharpness: int
    face_px: int
    yaw_deg: int


class EventMessage(Message, frozen=True):
    """Who was seen and why, or who was enrolled or removed; see edge.core.events.Event.

    schema: 1
    id: the same where the event is delivered twice
    seq: counts the events of the device: a gap is a loss
    ts: when it happened
    clock_set: whether the device knew the time of day then; where false, ts may be far off
    track: the face's track since the device started; null for an event about a person
    name, person_id: who it is; null for nobody who is enrolled
    stranger: the id of a stranger, the same at every visit; null where strangers are not kept
    faces_in_frame: how many faces were in sight
    model: the embedder, name@sha256
    quality: of the best sample; of low_quality, of the clearest one that was not good enough
    why: the reason, for people
    """

    schema: int
    event_type: EventType
    id: str
    seq: int
    ts: str
    clock_set: bool
    track: str | None
    phase: Phase
    name: str | None
    person_id: str | None
    stranger: str | None
    distance: float | None
    tau: float | None
    runner_up: RunnerUp | None
    margin: float | None
    votes: dict[str, int]
    quality: SampleQuality | None
    box: list[float] | None
    faces_in_frame: int
    model: str
    why: str


class Model(Message, frozen=True):
    """A model by name and content."""

    name: str
    sha256: str


class Encoder(Model, frozen=True):
    """The embedder: how many numbers an encoding has."""

    dimension: int


class Info(Message, frozen=True):
    """What the device is.

    version: of limen
    instance: another one at every start
    detector, embedder: the models in use
    tau: the match threshold for the people who are enrolled now
    fpir: how often a stranger is named at it, by the embedder's card
    runtime: the package that runs the models
    """

    version: str
    instance: str
    detector: Model
    embedder: Encoder
    tau: float
    fpir: float
    runtime: str


class ReplicationHealth(Message, frozen=True):
    """How the gallery is that the household's cameras share.

    people: how many are shared
    unsaid: people whose newest state is not at the broker yet
    refused: messages that did not authenticate or could not be kept
    too_large: messages that were not sent for their size
    unusable_templates: of another model, with no crop
    problems: what is wrong, for people
    """

    people: int
    unsaid: int
    refused: int
    too_large: int
    unusable_templates: int
    problems: list[str]


class Health(Message, frozen=True):
    """How the device is.

    fps: frames a second since health was last published
    ms: milliseconds by stage (frame, detect, embed), median p50 and 95th percentile p95
    rss_mb: memory of the process
    temp_c: of the processor; null where it is not known
    throttled: what slows a Raspberry Pi down (under_voltage, ...); null where it is not known
    camera_ok: whether the camera gives good frames; camera_problem: else why: silent, black, torn,
        single_colour or frozen
    clock_set: whether the time of day is set; until then no signed request is carried out, and nobody expires
    disk_free_mb: where the gallery is; null where that cannot be read
    dropped_frames: frames that came while another was processed
    gallery_problem: why the gallery cannot be read, or what of it is damaged; else null
    outbox: events that wait for the broker
    outbox_problem: why events wait in memory alone, or null
    outboxes_set_aside: damaged files of the outbox, `outbox.db.damaged-1` and so on, that lie beside it
    dropped_events: events that the full outbox lost, ever
    dropped_answers: answers that the full queue lost, or that the broker refused
    set_aside: messages that were not sent because the broker takes none like them
    worker_mb: the most memory that the process which reads pictures has had; null where none runs
    workers_lost: such processes that were ended over their time or memory, or ended by themselves
    refused_requests: requests for which there was no room, beside those that were answered `busy`
    fleet: null where the gallery is not shared
    history_problem: why visits are not written, or null
    """

    fps: float
    ms: dict[str, dict[str, float | None]]
    rss_mb: float
    temp_c: float | None
    throttled: dict[str, bool | None] | None
    camera_ok: bool
    camera_problem: str | None
    clock_set: bool
    disk_free_mb: int | None
    dropped_frames: int
    gallery_problem: str | None
    outbox: int
    outbox_problem: str | None
    outboxes_set_aside: int
    dropped_events: int
    dropped_answers: int
    set_aside: int
    worker_mb: float | None
    workers_lost: int
    refused_requests: int
    fleet: ReplicationHealth | None
    history_problem: str | None = None


class GalleryMessage(Message, frozen=True):
    """Who is enrolled; never an embedding.

    people: the 100 enrolled last; person/list gives everybody
    model: the embedder, name@sha256
    count: how many are enrolled
    """

    people: list[PersonSummary]
    model: str
    count: int


class Settings(Message, frozen=True):
    """What can be set while the device runs; and fpir, how often a stranger may be named at tau."""

    recognition: bool
    fpir: float


class Seen(Message, frozen=True):
    """Who was seen last, and when."""

    name: str
    ts: str


class Presence(Message, frozen=True):
    """Who is present now.

    state: the names in one text, or nobody
    people: the names; unknown for anybody who is not enrolled, somebody while a face is there and not decided
    last: who was seen last; null before anybody was
    """

    state: str
    people: list[str]
    last: Seen | None


class PersonSeen(Message, frozen=True):
    """When somebody was last seen."""

    name: str
    last_seen: str


def event_message(
    event: Event, event_id: str, seq: int, ts: str, model: str, *, clock_set: bool = True
) -> EventMessage:
    """An event as it is published; id, seq, ts and clock_set are the sender's."""
    quality = event.quality
    return EventMessage(
        schema=SCHEMA,
        event_type=event.event_type,
        id=event_id,
        seq=seq,
        ts=ts,
        clock_set=clock_set,
        track=event.track,
        phase=event.phase,
        name=event.name,
        person_id=event.person_id,
        stranger=event.stranger,
        distance=rounded(event.distance),
        tau=rounded(event.tau),
        runner_up=None
        if event.runner_up is None
        else RunnerUp(event.runner_up.name, rounded(event.runner_up.distance)),
        margin=rounded(event.margin),
        votes=event.votes or {},
        quality=None
        if quality is None
        else SampleQuality(
            score=rounded(quality.score),
            sharpness=round(quality.sharpness),
            face_px=round(quality.face_px),
            yaw_deg=round(quality.yaw_deg),
        ),
        box=None if event.box is None else [round(share, 4) for share in event.box],
        faces_in_frame=event.faces_in_frame,
        model=model,
        why=event.why,
    )


def rounded(value: float | None) -> float | None:
    """Three digits; null for what JSON cannot say."""
    return None if value is None or not math.isfinite(value) else round(value, 3)
