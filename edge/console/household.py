"""What the console knows of the cameras at one broker, and how it asks them."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, Any, NamedTuple

import msgspec

from edge.config import MqttConfig
from edge.core.events import EventType, Phase
from edge.errors import BrokerError
from edge.mqtt.controller import Controller
from edge.mqtt.network import Network
from edge.mqtt.reports import Connected, Lost, Message, Session, Subscription

TOPICS = ("status", "info", "health", "event", "presence", "config", "gallery")
CAMERAS_MAX = 64
EVENTS_MAX = 50  # of each camera
COURSE_MAX = 1440  # reports of health: a day, at one a minute
PAYLOAD_BYTES_MAX = 64 * 1024
STOP_SECONDS = 2.0
PEOPLE_PAGE = 500
ASKED_AT_ONCE = 16  # of all cameras and browsers; a silent camera holds one at a time
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


class Household:
    """Everything that the broker says of its cameras, heard over one connection that is made again when it is lost.

    connected: whether there is a connection; problem: why not, in words; version: another one after every change
    """

    def __init__(self, config: MqttConfig) -> None:
        self.config, self.broker = config, f"{config.host}:{config.port}"
        self.connected, self.problem, self.version = False, "", 0
        self._lock = threading.Lock()
        self._cameras: dict[str, Camera] = {}
        self._askers: dict[str, Asker] = {}
        self._threads = ThreadPoolExecutor(ASKED_AT_ONCE, "ask")
        heard = tuple(Subscription(f"limen/+/{name}") for name in TOPICS)
        self._network = Network(config, Session("", self.receive, heard), notify=self._note_reports)

    def start(self) -> None:
        """Begin to connect."""
        self._network.start()

    def stop(self) -> None:
        """Disconnect; what is being asked is not waited for."""
        self._network.stop(STOP_SECONDS)
        with self._lock:
            askers, self._askers = list(self._askers.values()), {}
        self._threads.shutdown(wait=False, cancel_futures=True)
        for asker in askers:
            asker.close()

    def cameras(self) -> list[Camera]:
        """Every camera that was heard of, by name, as it is now: copies, which the network thread does not change."""
        with self._lock:
            return [self._cameras[device].copied() for device in sorted(self._cameras)]

    def camera(self, device: str) -> Camera | None:
        """The camera of that name; where there is none, the first that is online, or else the first."""
        cameras = self.cameras()
        named = [one for one in cameras if one.device == device]
        return next(iter(named or sorted(cameras, key=lambda one: not one.online)), None)

    def ask(self, device: str, verb: str, **fields: object) -> dict[str, Any]:
        """The data of a camera's answer; this waits. Raises RefusedError or BrokerError, as Controller.ask."""
        with self._lock:
            asker = self._askers.setdefault(device, Asker(self.config, device))
        return asker.ask(verb, fields)

    @property
    def asked(self) -> list[str]:
        """The cameras to which there is, or is being made, a connection for requests."""
        with self._lock:
            return sorted(self._askers)

    async def answer(self, device: str, verb: str, **fields: object) -> dict[str, Any]:
        """The same, for the event loop."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, partial(self.ask, device, verb, **fields)
        )

    async def everybody(self, device: str) -> list[dict[str, Any]]:
        """people(), for the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.people, device)

    def people(self, device: str) -> list[dict[str, Any]]:
        """Everybody who is enrolled at a camera, page after page; see edge.core.types.PersonSummary."""
        page = self.ask(device, "person/list", limit=PEOPLE_PAGE)
        people = list(page["people"])
        while "next" in page:
            page = self.ask(device, "person/list", limit=PEOPLE_PAGE, after=page["next"])
            people += page["people"]
        return people

    def receive(self, message: Message) -> None:
        """Take a message in, for the network thread."""
        device, _, name = message.topic.removeprefix("limen/").partition("/")
        if name not in TOPICS or len(message.payload) > PAYLOAD_BYTES_MAX:
            return
        with self._lock:
            if not message.payload:  # the broker keeps nothing more of it
                if name == "status":
                    self._cameras.pop(device, None)
            elif device in self._cameras or len(self._cameras) < CAMERAS_MAX:
                self._cameras.setdefault(device, Camera(device)).take(name, message.payload)
            self.version += 1
            gone = name == "status" and message.payload != b"online"
            asker = self._askers.pop(device, None) if gone else None
        if asker is not None:
            self._threads.submit(asker.close)  # which waits for a thread, as this one may not

    def _note_reports(self) -> None:
        """Note what happened to the connection, for the network thread: nobody else reads its reports."""
        self._follow(self._network.reports())

    def _follow(self, reports: Iterable[object]) -> None:
        for report in reports:
            match report:
                case Connected():
                    self.connected, self.problem = True, ""
                case Lost():
                    self.connected, self.problem = False, report.text
            self.version += 1


class Asker:
    """Asks one camera, one request after the other, over a connection that is made at need and kept."""

    def __init__(self, config: MqttConfig, device: str) -> None:
        self._config, self._device = config, device
        self._lock = threading.Lock()
        self._controller: Controller | None = None
        self._gone = False

    def ask(self, verb: str, fields: dict[str, object]) -> dict[str, Any]:
        """The data of the answer. Raises RefusedError or BrokerError."""
        try:
            with self._lock:
                return self._ask(verb, fields)
        finally:
            if self._gone:
                self.close()

    def close(self) -> None:
        """Disconnect, once what is asked was answered; does not wait for that."""
        self._gone = True
        if self._lock.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._lock.release()

    def _ask(self, verb: str, fields: dict[str, object]) -> dict[str, Any]:
        if self._controller is not None and not self._controller.connected:
            self._close()
        if self._controller is None:
            self._controller = Controller(self._config, self._device)
        try:
            return self._controller.ask(verb, fields)
        except BrokerError:
            self._close()
            raise

    def _close(self) -> None:
        if self._controller is not None:
            self._controller.close()
            self._controller = None
