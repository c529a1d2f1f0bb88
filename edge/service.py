"""The device: builds the adapters from the configuration and turns the loop; one thread owns all but their insides."""

import logging
import shutil
import threading
import time
from collections import deque
from datetime import UTC, datetime

import cv2
import msgspec
import numpy as np

import edge
from edge.config import Config
from edge.core.names import slug_of
from edge.core.ports import FrameSource
from edge.core.tracker import UNKNOWN
from edge.core.types import Event, Frame
from edge.desk import Desk
from edge.device import Device
from edge.inference.runtime import interpreter_class
from edge.meters import Stopwatch, rss_mb, temp_c
from edge.mqtt.discovery import birth_topic, discovery_json, discovery_topic
from edge.mqtt.link import INFLIGHT_MAX, Link, Outgoing
from edge.mqtt.messages import event_json
from edge.mqtt.topics import Topics
from edge.notify import Watchdog, notify
from edge.storage.outbox import Entry, Outbox

log = logging.getLogger("limen")

READ_SECONDS = 0.5
REQUESTS_SECONDS = 0.2  # of requests, and then a frame: whoever asks much must not blind the door
CAMERA_SILENT_SECONDS = 10.0
NOTHING = np.zeros((240, 320, 3), np.uint8)
IMAGE_PX_MAX, IMAGE_BYTES_MAX = 400, 64 * 1024


class Service:
    """The loop: commands in, frames in, events out."""

    def __init__(self, config: Config, device: Device) -> None:
        self.config, self.device = config, device
        self.topics = Topics(config.device)
        self._birth = birth_topic(config.home_assistant.prefix)
        self.link = Link(config.mqtt, self.topics, (self._birth,) if config.home_assistant.discovery else ())
        self.desk = Desk(config.mqtt, device, self.link, self.topics, self._say_who_is_known)
        self.watch = Stopwatch()
        self.watchdog = Watchdog()
        self.present: dict[str, str | None] = {}  # who each track is, by their id; None is somebody unknown
        self._last: dict[str, str] | None = None
        self._known = self._slugs()
        self._gone: set[str] = set()  # slugs of people who were forgotten while this ran
        self.published = 0
        self._deadlines: dict[int, float] = {}
        self._connections = 0
        mqtt = config.mqtt
        self.outbox = Outbox(mqtt.outbox_path or config.gallery.path.with_name("outbox.db"), mqtt.outbox_events_max)
        self._health_at = 0.0
        self._health_said_at, self._health_frames = time.monotonic(), 0
        self._frame_at = float("-inf")

    def run(self, source: FrameSource, stop: threading.Event) -> None:
        """Until told to stop, or the source of frames ends; it is closed then. Raises CameraError if it fails."""
        frame: Frame | None = None
        try:
            self.link.start()
            self._say_what_is()
            while not stop.is_set():
                self.turn_to_requests()
                self.desk.go_on()
                self._deliver()
                newest = source.read(READ_SECONDS)
                if newest is not None:
                    frame, self._frame_at = newest, time.monotonic()
                    with self.watch:
                        events = self.device.door.see(frame)
                    self._prove_alive()
                    for event in events:
                        self.publish(event)
                        if self.config.mqtt.image_last and event.phase == "new" and event.kind != "low_quality":
                            self.link.show("image/last", face_jpeg(frame.best, event.box))
                elif source.ended:
                    break
                elif frame is not None and not self._camera_ok():
                    self._close(frame)  # whoever was there is not said to be there for ever
                    frame = None
                self._say_health(source.dropped)
            if frame is not None:
                self._close(frame)
        finally:
            notify("STOPPING=1")
            source.close()
            self.desk.close()
            self._deliver()
            self.link.stop()
            self._forget_delivered()
            self.outbox.close()

    def _prove_alive(self) -> None:
        """Feed the watchdog. With recognition off nobody is looked at, but whether inference works is."""
        detect = self.device.watches["detect"]
        if not self.device.door.looking and self.watchdog.wants_inference(self._frame_at):
            self.device.door.detector.detect(NOTHING)
        self.watchdog.frame(detect.count, self._frame_at)

    def _close(self, frame: Frame) -> None:
        for event in self.device.door.close(frame):
            self.publish(event)

    def _camera_ok(self) -> bool:
        return time.monotonic() - self._frame_at < CAMERA_SILENT_SECONDS

    def turn_to_requests(self) -> None:
        """Answer what came in, for a while; and know whom `limen enroll` on this disk made known meanwhile."""
        if self.device.store.changed_elsewhere():
            self.device.door.reload()
            self._say_who_is_known()
        until = time.monotonic() + REQUESTS_SECONDS
        while time.monotonic() < until and (came := self.link.pending(1)):
            (incoming,) = came
            slug = self.topics.person_of(incoming.topic)
            if incoming.topic == self._birth:
                self._introduce(again=incoming.payload == b"online")
            elif slug is None:
                self.desk.answer(incoming)
            elif incoming.size and slug not in self._known:
                self._gone.add(slug)  # somebody who was forgotten while nobody could tell the broker
                self.link.erase(f"person/{slug}")
                self._introduce()

    def _say_who_is_known(self) -> None:
        """Of who is not known any more, nothing is said from now on, and the broker keeps nothing."""
        before, self._known = self._known, self._slugs()
        self._gone = (self._gone | before) - self._known
        for slug in before - self._known:
            self.link.forget(f"person/{slug}")
            if self._last is not None and slug_of(self._last["name"]) == slug:
                self._last = None
        self._say_what_is()

    def _slugs(self) -> set[str]:
        return {slug_of(person.name) for person in self.device.door.gallery.people.values()}

    def publish(self, event: Event) -> None:
        """Date an event, have the outbox number and keep it until it is delivered, and say who is there now."""
        self.published += 1
        now = datetime.now(UTC)
        ts = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        expiry_seconds = self.config.mqtt.event_expiry_seconds
        entry = self.outbox.put(
            lambda seq, event_id: event_json(event, event_id, seq, ts, self.device.model),
            now.timestamp() + expiry_seconds,
        )
        self._deadlines[entry.seq] = time.monotonic() + expiry_seconds
        if len(self._deadlines) > self.config.mqtt.outbox_events_max:
            del self._deadlines[next(iter(self._deadlines))]
        self._deliver()
        person = event.person
        name = event.kind if person is None else person.name
        log.info("%s %s %s: %s", event.track, event.phase, name, event.why)
        if event.kind == "low_quality":
            return
        if event.phase == "end":
            self.present.pop(event.track, None)
        else:
            self.present[event.track] = None if person is None else person.person_id
            self._last = {"name": name, "ts": ts}
            if person is not None and slug_of(person.name) in self._known:
                self.link.say(f"person/{slug_of(person.name)}", json_of({"name": person.name, "last_seen": ts}))
        self._say_presence()

    def _deliver(self) -> None:
        """Hand what waits in the outbox to the link, a few at a time, and forget what the broker has."""
        self._forget_delivered()
        if not self.link.connected:
            return
        if self._connections != self.link.connections:
            self._connections = self.link.connections
            self.outbox.rewind()
        for entry in self.outbox.take(INFLIGHT_MAX - self.link.depth):
            late = self.topics.of("event/late")
            self.link.send(
                Outgoing(self.topics.of("event"), entry.payload, self._deadline(entry), late, token=entry.seq)
            )

    def _forget_delivered(self) -> None:
        numbers = drained(self.link.delivered)
        self.outbox.delivered(numbers)
        for seq in numbers:
            self._deadlines.pop(seq, None)

    def _deadline(self, entry: Entry) -> float:
        """On the monotonic clock. A Pi has no clock at boot: its time of day may be hours behind, and then jump.

        So an event of this run expires by the monotonic clock. One of an earlier run that would be valid for longer
        than any event is shows that the clock is not set yet: it is old, and must not fire as if it were new.
        """
        now = time.monotonic()
        remaining = entry.expires_at - time.time()
        if remaining > self.config.mqtt.event_expiry_seconds:
            remaining = 0.0
        return self._deadlines.get(entry.seq, now + remaining)

    def _say_what_is(self) -> None:
        card, gallery = self.device.embedder.card, self.device.door.gallery
        info = {
            "version": edge.__version__,
            "detector": {"name": self.device.detector.card.name, "sha256": self.device.detector.card.sha256},
            "embedder": {"name": card.name, "sha256": card.sha256, "dimension": card.dimension},
            "tau": round(gallery.tau, 4),
            "runtime": interpreter_class().__module__.split(".")[0],
        }
        self.link.say("info", json_of(info))
        self.link.say("config", json_of({"recognition": self.device.door.looking}))
        self._introduce()
        self.link.say("gallery", json_of({"people": self.device.door.people(), "model": self.device.model}))
        self._say_presence()

    def _introduce(self, *, again: bool = False) -> None:
        """Tell Home Assistant of the device and of whom it knows."""
        settings = self.config.home_assistant
        if not settings.discovery:
            return
        names = [person.name for person in self.device.door.gallery.people.values()]
        told = discovery_json(
            self.topics, edge.__version__, names, sorted(self._gone), image=self.config.mqtt.image_last
        )
        self.link.keep(discovery_topic(settings.prefix, self.config.device), told, again=again)

    def _say_presence(self) -> None:
        known = self.device.door.gallery.people
        people = sorted({known[who].name if who in known else UNKNOWN for who in self.present.values()})
        self.link.say(
            "presence", json_of({"state": ", ".join(people) or "nobody", "people": people, "last": self._last})
        )

    def _say_health(self, dropped: int) -> None:
        now = time.monotonic()
        if now < self._health_at:
            return
        self._health_at = now + self.config.mqtt.health_every_seconds
        fps = (self.watch.count - self._health_frames) / max(1e-6, now - self._health_said_at)
        self._health_said_at, self._health_frames = now, self.watch.count
        watches = {"frame": self.watch, **self.device.watches}
        health = {
            "fps": round(fps, 1),
            "ms": {stage: watch.ms() for stage, watch in watches.items()},
            "rss_mb": rss_mb(),
            "temp_c": temp_c(),
            "camera_ok": self._camera_ok(),
            "disk_free_mb": shutil.disk_usage(self.config.gallery.path.parent).free // 1_000_000,
            "dropped_frames": dropped,
            "outbox": self.outbox.depth,
            "outbox_problem": self.outbox.problem,
            "dropped_events": self.outbox.dropped,
            "dropped_answers": self.link.dropped,
            "refused_requests": self.link.refused,
        }
        self.link.say("health", json_of(health), qos=0)


def face_jpeg(image: np.ndarray, box: tuple[float, float, float, float]) -> bytes:
    """The face in (H, W, 3) uint8 RGB with something around it, as a JPEG of at most 64 KiB.

    box: left, top, width, height as shares of the picture
    """
    height, width = image.shape[:2]
    left, top, wide, high = box
    rows = slice(max(0, int((top - high / 2) * height)), int((top + 1.5 * high) * height))
    columns = slice(max(0, int((left - wide / 2) * width)), int((left + 1.5 * wide) * width))
    face = image[rows, columns]
    scale = min(1.0, IMAGE_PX_MAX / max(face.shape[:2]))
    face = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else face
    for quality in (90, 70, 40, 10):
        encoded = cv2.imencode(".jpg", face[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(encoded) <= IMAGE_BYTES_MAX:
            break
    return encoded


def drained(queue: deque) -> list:
    """Everything in it, taken out."""
    taken = []
    while queue:
        taken.append(queue.popleft())
    return taken


def json_of(value: object) -> bytes:
    """JSON in UTF-8."""
    return msgspec.json.encode(value)
