"""What was heard of one camera."""

import time
from collections import deque
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec

from edge.core.events import EventType, Phase

EVENTS_MAX = 50  # of each camera
COURSE_MAX = 1440  # reports of health: a day, at one a minute
Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Told(msgspec.Struct, frozen=True):
    """An event, as far as it is shown; a camera of another release may leave fields out."""

    event_type: EventType
    id: str
    ts: Time
    phase: Phase
    track: str | None = None
    name: str | None = None
    stranger: str | None = None
    why: str = ""


class ModelName(msgspec.Struct, frozen=True):
    """A model by name."""

    name: str = ""


class About(msgspec.Struct, frozen=True):
    """What a camera is."""

    version: str = ""
    embedder: ModelName = ModelName()
    tau: float | None = None
    fpir: float | None = None


class HealthNow(msgspec.Struct, frozen=True):
    """How a camera is; see edge.api.messages.Health."""

    fps: float | None = None
    rss_mb: float | None = None
    temp_c: float | None = None
    camera_ok: bool = True
    camera_problem: str | None = None
    clock_set: bool = True
    disk_free_mb: int | None = None
    outbox: int = 0
    gallery_problem: str | None = None
    outbox_problem: str | None = None
    history_problem: str | None = None

    def problems(self) -> list[str]:
        """What is wrong, in the device's words."""
        said = [self.gallery_problem, self.outbox_problem, self.history_problem]
        camera = None if self.camera_ok else f"camera: {self.camera_problem or 'no frames'}"
        clock = None if self.clock_set else "the time of day is not set"
        return [one for one in (camera, clock, *said) if one]


class PresentNow(msgspec.Struct, frozen=True):
    """Who is before a camera."""

    state: str = "nobody"
    people: list[str] = []


class Switches(msgspec.Struct, frozen=True):
    """What can be set while a camera runs."""

    recognition: bool = True
    fpir: float | None = None


class Measured(NamedTuple):
    """What a report of health said. at: when it came, seconds since 1970."""

    at: float
    fps: float | None
    temp_c: float | None
    disk_free_mb: int | None


@dataclass
class Camera:
    """What was heard of one device.

    gallery: another number where somebody was enrolled, changed or removed
    course: of its health since the console was started, at most a day
    """

    device: str
    status: str = ""
    about: About = field(default_factory=About)
    health: HealthNow | None = None
    presence: PresentNow = field(default_factory=PresentNow)
    gallery: int = 0
    switches: Switches | None = None
    events: deque[Told] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))
    course: deque[Measured] = field(default_factory=lambda: deque(maxlen=COURSE_MAX))

    @property
    def online(self) -> bool:
        """Whether it says so."""
        return self.status == "online"

    @property
    def newest_event(self) -> str:
        """The id of the newest event that was heard; empty where there is none."""
        return self.events[0].id if self.events else ""

    def copied(self) -> "Camera":
        """A copy that does not change."""
        other = copy(self)
        other.events, other.course = self.events.copy(), self.course.copy()
        return other

    def take(self, name: str, payload: bytes) -> None:
        """Note what it published on the topic of that name; what cannot be read is left aside."""
        if name == "gallery":
            self.gallery = hash(payload)
            return
        if name == "status":
            self.status = payload[:20].decode("ascii", "replace")
            return
        try:
            match name:
                case "info":
                    self.about = msgspec.json.decode(payload, type=About)
                case "presence":
                    self.presence = msgspec.json.decode(payload, type=PresentNow)
                case "config":
                    self.switches = msgspec.json.decode(payload, type=Switches)
                case "event":
                    self.events.appendleft(msgspec.json.decode(payload, type=Told))
                case "health":
                    self.health = health = msgspec.json.decode(payload, type=HealthNow)
                    self.course.append(Measured(time.time(), health.fps, health.temp_c, health.disk_free_mb))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
