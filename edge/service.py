"""The device: builds the adapters from the configuration and turns the loop; one thread owns all but their insides."""

import logging
import shutil
import threading
import time
import uuid
from datetime import UTC, datetime

import msgspec

import edge
from edge.config import Config
from edge.core.ports import FrameSource
from edge.core.types import Event, Frame, RemovePerson, RenamePerson, Reply
from edge.device import Device
from edge.errors import GalleryError, RefusedError
from edge.inference.runtime import interpreter_class
from edge.meters import Stopwatch, rss_mb, temp_c
from edge.mqtt.link import Incoming, Link, Outgoing
from edge.mqtt.messages import Limits, answer_json, command_of, event_json, read_request, slug_of, transaction_in
from edge.mqtt.topics import Topics

log = logging.getLogger("limen")

READ_SECONDS = 0.5
CAMERA_SILENT_SECONDS = 10.0


class Service:
    """The loop: commands in, frames in, events out."""

    def __init__(self, config: Config, device: Device) -> None:
        self.config, self.device = config, device
        self.topics = Topics(config.device)
        self.link = Link(config.mqtt, self.topics)
        self.limits = Limits(config.mqtt.request_bytes_max, config.mqtt.image_pixels_max)
        self.watch = Stopwatch()
        self.present: dict[str, str] = {}
        self._last: dict[str, object] | None = None
        self.published = 0
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
                newest = source.read(READ_SECONDS)
                if newest is not None:
                    frame, self._frame_at = newest, time.monotonic()
                    with self.watch:
                        events = self.device.door.see(frame)
                    for event in events:
                        self.publish(event)
                elif source.ended:
                    break
                elif frame is not None and not self._camera_ok():
                    frame = self._close(frame)  # whoever was there is not said to be there for ever
                self._say_health(source.dropped)
            if frame is not None:
                self._close(frame)
        finally:
            source.close()
            self.link.stop()

    def _close(self, frame: Frame) -> None:
        for event in self.device.door.close(frame):
            self.publish(event)

    def _camera_ok(self) -> bool:
        return time.monotonic() - self._frame_at < CAMERA_SILENT_SECONDS

    def turn_to_requests(self) -> None:
        """Answer everything that came in; and know whom `limen enroll` on this disk made known meanwhile."""
        if self.device.store.changed_elsewhere():
            self.device.door.reload()
            self._say_what_is()
        for incoming in self.link.pending():
            self.answer(incoming)

    def answer(self, incoming: Incoming) -> None:
        """Do as a request asks, or say why not; the answer goes where it was asked to go, if that is allowed."""
        verb = self.topics.verb_of(incoming.topic)
        if verb is None:
            return
        reply = self._reply_to(verb, incoming)
        to = incoming.response_topic
        allowed = to is not None and to.startswith(self.config.mqtt.response_prefix) and not set("+#") & set(to)
        topic = to if allowed else self.topics.response(verb)
        self.link.send(Outgoing(topic, reply, correlation=incoming.correlation if allowed else None))

    def _reply_to(self, verb: str, incoming: Incoming) -> bytes:
        transaction = transaction_in(incoming.payload)
        try:
            return self._carried_out(verb, incoming)
        except RefusedError as refusal:
            return answer_json(Reply(code=refusal.code, error=str(refusal)), transaction)
        except GalleryError as error:
            self.device.door.reload()  # what was not written is not known
            return answer_json(Reply(code="storage", error=str(error)), transaction)

    def _carried_out(self, verb: str, incoming: Incoming) -> bytes:
        """The answer, and what it answers, are on disk together or not at all; asked again, it is the same answer."""
        if incoming.retain:
            raise RefusedError("retained", "a retained request would be carried out again at every reconnect")
        request = read_request(verb, incoming.payload, incoming.size, self.limits)
        store = self.device.store
        earlier = store.answer_to(request.transaction)
        if earlier is not None:
            return earlier
        command = command_of(request, self.limits)
        with store.transaction():
            reply = self.device.door.handle(command)
            payload = answer_json(reply, request.transaction)
            store.remember(request.transaction, payload, time.time())
        store.settle()
        if reply.ok and isinstance(command, RemovePerson | RenamePerson):
            self._unsay(command.name)
        self._say_what_is()
        return payload

    def _unsay(self, name: str) -> None:
        """Nobody of that name is known any more: what the broker keeps of them goes too."""
        self.link.forget(f"person/{slug_of(name)}")
        if self._last is not None and str(self._last["name"]).casefold() == name.casefold():
            self._last = None

    def publish(self, event: Event) -> None:
        """Number an event, date it and send it; and say who is there now."""
        self.published += 1
        ts = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        payload = event_json(event, uuid.uuid4().hex, self.published, ts, self.device.model)
        expires_at = time.monotonic() + self.config.mqtt.event_expiry_seconds
        self.link.send(Outgoing(self.topics.of("event"), payload, expires_at, self.topics.of("event/late")))
        person = event.person
        name = event.kind if person is None else person.name
        log.info("%s %s %s: %s", event.track, event.phase, name, event.why)
        if event.kind == "low_quality":
            return
        if event.phase == "end":
            self.present.pop(event.track, None)
        else:
            self.present[event.track] = name
            self._last = {"name": name, "ts": ts}
            if person is not None:
                self.link.say(f"person/{slug_of(person.name)}", json_of({"name": person.name, "last_seen": ts}))
        self._say_presence()

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
        self.link.say("gallery", json_of({"people": self.device.door.people(), "model": self.device.model}))
        self._say_presence()

    def _say_presence(self) -> None:
        people = sorted(set(self.present.values()))
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
            "queued": self.link.depth,
            "dropped_messages": self.link.dropped,
            "refused_requests": self.link.refused,
        }
        self.link.say("health", json_of(health), qos=0)


def json_of(value: object) -> bytes:
    """JSON in UTF-8."""
    return msgspec.json.encode(value)
