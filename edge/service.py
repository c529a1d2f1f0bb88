"""The device: builds the adapters from the configuration and turns the loop; one thread owns all but their insides."""

import base64
import binascii
import logging
import shutil
import threading
import time
from contextlib import suppress

import msgspec
import numpy as np

from edge.config import Config
from edge.core.commands import ForgetExpired
from edge.core.ports import FrameSource
from edge.core.types import Event, Frame
from edge.desk import Desk
from edge.device import Device
from edge.errors import GalleryError, RefusedError, SealError
from edge.fleet import Fleet
from edge.herald import Herald
from edge.meters import Stopwatch, rss_mb, temp_c, throttled
from edge.mqtt.discovery import birth_topic
from edge.mqtt.link import Link
from edge.mqtt.messages import Health
from edge.mqtt.pictures import face_jpeg, small_jpeg
from edge.mqtt.requests import DAY_SECONDS, Limits
from edge.mqtt.topics import SharedTopics, Topics
from edge.notify import Watchdog, notify
from edge.sealed import CARRIED, REVISIONS, Seal
from edge.storage.carry import check
from edge.storage.outbox import Outbox
from edge.storage.strangers_db import StrangersDb

log = logging.getLogger("limen")

READ_SECONDS = 0.5
REQUESTS_SECONDS = 0.2  # of requests, and then a frame: whoever asks much must not blind the door
CAMERA_SILENT_SECONDS = 10.0
TIDY_SECONDS = 60.0
SNAPSHOT_PX_MAX = 640
ANSWER_BYTES = 1000  # of an answer besides what it is about
SHOWN = ("recognized", "unknown")
NOTHING = np.zeros((240, 320, 3), np.uint8)


class Service:
    """The loop: commands in, frames in, events out."""

    def __init__(self, config: Config, device: Device) -> None:
        self.config, self.device = config, device
        self.topics = Topics(config.device)
        self._birth = birth_topic(config.home_assistant.prefix)
        mqtt, key = config.mqtt, config.fleet.key()
        shared = None if key is None else SharedTopics(config.fleet.household).people
        self.link = Link(mqtt, self.topics, (self._birth,) if config.home_assistant.discovery else (), shared)
        self.fleet = None if key is None else Fleet(config, device, self.link, Seal(key, REVISIONS))
        self._carried = None if key is None else Seal(key, CARRIED)
        self.outbox = Outbox(mqtt.outbox_path or config.gallery.path.with_name("outbox.db"), mqtt.outbox_events_max)
        self.herald = Herald(config, device, self.link, self.topics, self.outbox)
        self.desk = Desk(mqtt, device, self.link, self.topics, self.herald, self)
        if not config.strangers.keep_days:
            self._keep_no_strangers()
        self.limits = Limits(mqtt.request_bytes_max, mqtt.image_pixels_max)
        self.watch = Stopwatch()
        self.watchdog = Watchdog()
        self._health_at = 0.0
        self._health_said_at, self._health_frames = time.monotonic(), 0
        self._frame: Frame | None = None
        self._frame_at = float("-inf")
        self._tidy_at = 0.0
        self._stale = False  # others wrote into the gallery since it was read
        self._unreadable: str | None = None
        self._source: FrameSource | None = None

    def _keep_no_strangers(self) -> None:
        """Those of before go."""
        try:
            strangers = StrangersDb(self.device.store)
            if strangers.load()[0]:
                strangers.purge()
        except GalleryError as error:
            log.warning("the strangers that were kept are kept still: %s", error)

    def run(self, source: FrameSource, stop: threading.Event) -> None:
        """Until told to stop, or the source of frames ends; it is closed then. Raises CameraError if it fails."""
        self._source = source
        try:
            self.link.start()
            self.herald.say_what_is()
            while not stop.is_set():
                self.turn_to_requests()
                self.desk.go_on()
                self._forget_expired()
                if self.fleet is not None and self.fleet.turn():
                    self._stale = True
                    self._know_again()
                self.herald.deliver()
                newest = source.read(READ_SECONDS)
                if newest is not None:
                    self._see(newest)
                elif source.ended:
                    break
                elif not self._camera_ok():
                    self._close()  # whoever was there is not said to be there for ever
                self._say_health()
            self._close()
        finally:
            notify("STOPPING=1")
            source.close()
            self.desk.close()
            self.herald.deliver()
            self.link.stop()
            self.herald.forget_delivered()
            self.outbox.close()

    def _see(self, frame: Frame) -> None:
        self._frame, self._frame_at = frame, time.monotonic()
        with self.watch:
            events = self.device.door.see(frame)
        self._prove_alive()
        for event in events:
            self.herald.tell(event)
            if self.config.mqtt.image_last and event.phase == "new" and event.kind in SHOWN:
                self.link.show("image/last", face_jpeg(frame.best, event.box))

    def _prove_alive(self) -> None:
        """Feed the watchdog. With recognition off nobody is looked at, but whether inference works is."""
        detect = self.device.watches["detect"]
        if not self.device.door.looking and self.watchdog.wants_inference(self._frame_at):
            self.device.door.detector.detect(NOTHING)
        self.watchdog.frame(detect.count, self._frame_at)

    def _close(self) -> None:
        if self._frame is not None:
            for event in self.device.door.close(self._frame):
                self.herald.tell(event)
            self._frame = None

    def _camera_ok(self) -> bool:
        return time.monotonic() - self._frame_at < CAMERA_SILENT_SECONDS

    def turn_to_requests(self) -> None:
        """Answer what came in, for a while; and know whom `limen enroll` on this disk made known meanwhile."""
        self._know_again()
        until = time.monotonic() + REQUESTS_SECONDS
        while time.monotonic() < until and (came := self.link.pending(1)):
            (incoming,) = came
            slug = self.topics.person_of(incoming.topic)
            if incoming.topic == self._birth:
                self.herald.introduce(again=incoming.payload == b"online")
            elif slug is None:
                self.desk.answer(incoming)
            elif incoming.size:
                self.herald.heard_of(slug)

    def _know_again(self) -> None:
        """Where others wrote into the gallery. While it cannot be read, whoever was known is known."""
        try:
            self._stale |= self.device.store.changed_elsewhere()
            if not self._stale:
                return
            self.device.door.reload()
        except GalleryError as error:
            if str(error) != self._unreadable:
                log.warning("what others wrote is not known yet: %s", error)
            self._unreadable = str(error)
            return
        self._stale, self._unreadable = False, None
        self.herald.say_who_is_known()

    def _forget_expired(self) -> None:
        """Guests whose time is over, and strangers who did not come again."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + TIDY_SECONDS
        store = self.device.store
        if store.unsettled:
            store.settle()
        try:
            store.clock.keep()
            now = store.clock.now()
            if now is None:
                return
            command = ForgetExpired(now, now - self.config.strangers.keep_days * DAY_SECONDS)
            with store.transaction():
                gone = self.device.door.handle(command).data
            if gone["people"] or gone["strangers"]:
                self.herald.say_who_is_known()
                store.settle()
        except GalleryError as error:
            log.warning("nobody's time is over yet: %s", error)
            with suppress(GalleryError):  # who was not forgotten on the disk is known
                self.device.door.reload()

    def now(self) -> float:
        """See edge.mqtt.requests.Around."""
        now = self.device.store.clock.now()
        if now is None:
            raise RefusedError("clock_not_set", "this device does not know the time of day yet")
        return now

    def told(self, event_id: str) -> Event:
        """See edge.mqtt.requests.Around."""
        return self.herald.told(event_id)

    def snapshot(self) -> dict[str, object]:
        """See edge.mqtt.requests.Around."""
        if not self.config.mqtt.snapshot:
            raise RefusedError("snapshot_off", "no pictures are given away: mqtt.snapshot is not set")
        if not self.device.door.looking:
            raise RefusedError("recognition_off", "nobody is looked at: recognition is switched off")
        if self._frame is None:
            raise RefusedError("no_frame", "the camera gives no frames")
        return {"image": base64.b64encode(small_jpeg(self._frame.best, SNAPSHOT_PX_MAX)).decode()}

    def exported(self, *, crops: bool) -> dict[str, object]:
        """See edge.mqtt.requests.Around."""
        with self.device.store.transaction():  # what is refused leaves no record
            data, people = self.device.store.exported(crops=crops)
            sealed = base64.b64encode(self._seal.seal(data, CARRIED)).decode()
            most = self.limits.request_bytes_max - ANSWER_BYTES
            if len(sealed) > most:
                raise RefusedError(
                    "too_large",
                    f"the gallery has {len(sealed)} bytes; at most {most} cross MQTT: without crops it has less, and "
                    "`limen people export` on the device takes any number",
                )
        return {"people": people, "gallery": sealed}

    def opened(self, gallery: str) -> bytes:
        """See edge.mqtt.requests.Around."""
        try:
            data = self._seal.open(base64.b64decode(gallery, validate=True), CARRIED)
            check(data, "the gallery")
        except binascii.Error as error:
            raise RefusedError("not_base64", f"the gallery is not base64: {error}") from error
        except SealError as error:
            raise RefusedError("not_authentic", str(error)) from error
        except GalleryError as error:
            raise RefusedError("invalid", str(error)) from error
        return data

    @property
    def _seal(self) -> Seal:
        if self._carried is None:
            raise RefusedError("no_household_key", "a gallery crosses MQTT sealed alone: fleet.key_file is not set")
        return self._carried

    def health(self) -> dict[str, object]:
        """See edge.mqtt.requests.Around."""
        return msgspec.to_builtins(self._health())

    def _say_health(self) -> None:
        now = time.monotonic()
        if now < self._health_at:
            return
        self._health_at = now + self.config.mqtt.health_every_seconds
        self.herald.say_health(self._health())
        self._health_said_at, self._health_frames = now, self.watch.count

    def _clock_set(self) -> bool:
        """As far as can be read."""
        with suppress(GalleryError):
            return self.device.store.clock.now() is not None
        return False

    def _health(self) -> Health:
        """Frames a second are those since it was last said."""
        fps = (self.watch.count - self._health_frames) / max(1e-6, time.monotonic() - self._health_said_at)
        watches = {"frame": self.watch, **self.device.watches}
        return Health(
            fps=round(fps, 1),
            ms={stage: watch.ms() for stage, watch in watches.items()},
            rss_mb=rss_mb(),
            temp_c=temp_c(),
            throttled=throttled(),
            camera_ok=self._camera_ok(),
            clock_set=self._clock_set(),
            disk_free_mb=shutil.disk_usage(self.config.gallery.path.parent).free // 1_000_000,
            dropped_frames=0 if self._source is None else self._source.dropped,
            outbox=self.outbox.depth,
            outbox_problem=self.outbox.problem,
            dropped_events=self.outbox.dropped,
            dropped_answers=self.link.dropped,
            refused_requests=self.link.refused,
            fleet=None if self.fleet is None else self.fleet.health(),
        )
