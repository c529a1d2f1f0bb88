"""What the console knows of the cameras at one broker, and how it asks them."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from edge.config import MqttConfig
from edge.console.camera import Camera
from edge.errors import BrokerError
from edge.mqtt.controller import Controller
from edge.mqtt.network import Network
from edge.mqtt.reports import Connected, Lost, Message, Session, Subscription

TOPICS = ("status", "info", "health", "event", "presence", "config", "gallery")
CAMERAS_MAX = 64
PAYLOAD_BYTES_MAX = 64 * 1024
STOP_SECONDS = 2.0
PEOPLE_PAGE = 500
WAITING_MAX = 32  # requests to one camera, with the one that it is asked: a silent one takes 20 s for each
T = TypeVar("T")


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
        self._stopped = False
        heard = tuple(Subscription(f"limen/+/{name}") for name in TOPICS)
        self._network = Network(config, Session("", self.receive, heard), notify=self._note_reports)

    def start(self) -> None:
        """Begin to connect."""
        self._network.start()

    def stop(self) -> None:
        """Disconnect; what is being asked is not waited for."""
        self._network.stop(STOP_SECONDS)
        with self._lock:
            self._stopped = True
            askers, self._askers = list(self._askers.values()), {}
        for asker in askers:
            asker.stop()

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
            asker = self._asker(device)
        return asker.ask(verb, fields)

    @property
    def asked(self) -> list[str]:
        """The cameras to which there is, or is being made, a connection for requests."""
        with self._lock:
            return sorted(self._askers)

    async def answer(self, device: str, verb: str, **fields: object) -> dict[str, Any]:
        """The same, for the event loop. Raises BrokerError too where WAITING_MAX requests to the camera wait."""
        return await self._call(device, lambda asker: asker.ask(verb, fields))

    async def everybody(self, device: str) -> list[dict[str, Any]]:
        """people(), for the event loop."""
        return await self._call(device, Asker.people)

    def people(self, device: str) -> list[dict[str, Any]]:
        """Everybody who is enrolled at a camera, page after page; see edge.core.types.PersonSummary."""
        with self._lock:
            asker = self._asker(device)
        return asker.people()

    async def _call(self, device: str, call: Callable[["Asker"], T]) -> T:
        """What that returns, called in the camera's thread."""
        with self._lock:  # an asker that is let go gets nothing more
            asker = self._asker(device)
            future = asker.submit(partial(call, asker))
        return await asyncio.wrap_future(future)

    def _asker(self, device: str) -> "Asker":
        """Who asks that camera; the lock is held."""
        if self._stopped:
            raise BrokerError("the console ends")
        if device not in self._askers:
            self._askers[device] = Asker(self.config, device)
        return self._askers[device]

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
            asker.let_go()

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
    """Asks one camera, one request after the other, over a connection that is made at need and kept.

    It has a thread of its own, so that a camera that is silent keeps nobody from asking another one. A request that
    nobody waits for any more is not sent; one that was sent holds the thread until it is answered or given up.
    """

    def __init__(self, config: MqttConfig, device: str) -> None:
        self._config, self._device = config, device
        self._lock = threading.Lock()
        self._thread, self._places = ThreadPoolExecutor(1, "ask"), threading.BoundedSemaphore(WAITING_MAX)
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

    def people(self) -> list[dict[str, Any]]:
        """Everybody who is enrolled at the camera, page after page. Raises RefusedError or BrokerError."""
        page = self.ask("person/list", {"limit": PEOPLE_PAGE})
        people = list(page["people"])
        while "next" in page:
            page = self.ask("person/list", {"limit": PEOPLE_PAGE, "after": page["next"]})
            people += page["people"]
        return people

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have that called in the thread, after what was submitted before. Raises BrokerError where too many wait."""
        if not self._places.acquire(blocking=False):
            raise BrokerError(f"{WAITING_MAX} requests wait for device '{self._device}' already: try again later")
        future = self._thread.submit(call)
        future.add_done_callback(lambda _: self._places.release())
        return future

    def let_go(self) -> None:
        """Disconnect and end the thread, after what was submitted; does not wait for that. Submit nothing more."""
        self._thread.submit(self.close)
        self._thread.shutdown(wait=False)

    def stop(self) -> None:
        """The same, but of what was submitted nothing more is begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)
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
