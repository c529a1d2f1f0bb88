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

from edge.api.discovery import birth_topic
from edge.api.images import face_jpeg, small_jpeg
from edge.api.messages import Health
from edge.api.requests import DAY_SECONDS, Limits
from edge.api.topics import SharedTopics, Topics
from edge.config import Config
from edge.core.commands import ForgetExpired
from edge.core.ports import FrameSource
from edge.core.types import Event, Frame
from edge.errors import GalleryError, RefusedError, SealError
from edge.mqtt.device_link import DeviceLink
from edge.runtime.assembly import Device
from edge.runtime.dispatcher import Dispatcher
from edge.runtime.publisher import EventPublisher
from edge.runtime.replication import Replication
from edge.storage.archive import check
from edge.storage.outbox import Outbox
from edge.storage.strangers import SqliteStrangers
from edge.system.crypto import CARRIED, REVISIONS, HouseholdCipher
from edge.system.metrics import Stopwatch, rss_mb, temp_c, throttled
from edge.system.systemd import Watchdog, notify

log = logging.getLogger("limen")

READ_SECONDS = 0.5
REQUESTS_SECONDS = 0.2  # of requests, and then a frame: whoever asks much must not blind the door
CAMERA_SILENT_SECONDS = 10.0
TIDY_SECONDS = 60.0
SNAPSHOT_PX_MAX = 640
ANSWER_BYTES = 1000  # of an answer besides what it is about
PICTURED = ("recognized", "unknown")
BLANK_IMAGE = np.zeros((240, 320, 3), np.uint8)


class DeviceLoop:
    """The loop: commands in, frames in, events out."""

    def __init__(self, config: Config, device: Device) -> None:
        self.config, self.device = config, device
        self.topics = Topics(config.device)
        self._birth = birth_topic(config.home_assistant.prefix)
        mqtt, key = config.mqtt, config.fleet.key()
        shared = None if key is None else SharedTopics(config.fleet.household).people
        self.link = DeviceLink(mqtt, self.topics, (self._birth,) if config.home_assistant.discovery else (), shared)
        self.fleet = None if key is None else Replication(config, device, self.link, HouseholdCipher(key, REVISIONS))
        self._carried = None if key is None else HouseholdCipher(key, CARRIED)
        self.outbox = Outbox(mqtt.outbox_path or config.gallery.path.with_name("outbox.db"), mqtt.outbox_events_max)
        self.publisher = EventPublisher(config, device, self.link, self.topics, self.outbox)
        self.dispatcher = Dispatcher(mqtt, device, self.link, self.topics, self.publisher, self)
        if not config.strangers.keep_days:
            self._purge_strangers()
        self.limits = Limits(mqtt.request_bytes_max, mqtt.image_pixels_max)
        self.watch = Stopwatch()
        self.watchdog = Watchdog()
        self._health_at = 0.0
        self._health_said_at, self._health_frames = time.monotonic(), 0
        self._frame: Frame | None = None
        self._frame_at = float("-inf")
        self._tidy_at = 0.0
        self._gallery_changed = False  # others wrote into the gallery since it was read
        self._unreadable: str | None = None
        self._source: FrameSource | None = None

    def _purge_strangers(self) -> None:
        """Those of before go."""
        try:
            strangers = SqliteStrangers(self.device.store)
            if strangers.load()[0]:
                strangers.purge()
        except GalleryError as error:
            log.warning("the strangers that were kept are kept still: %s", error)

    def run(self, source: FrameSource, stop: threading.Event) -> None:
        """Until told to stop, or the source of frames ends; it is closed then. Raises CameraError if it fails."""
        self._source = source
        try:
            self.link.start()
            self.publisher.publish_states()
            while not stop.is_set():
                self.process_requests()
                self.dispatcher.poll()
                self._forget_expired()
                if self.fleet is not None and self.fleet.tick():
                    self._gallery_changed = True
                    self._reload_gallery()
                self.publisher.deliver()
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
            self.dispatcher.close()
            self.publisher.deliver()
            self.link.stop()
            self.publisher.drop_delivered()
            self.outbox.close()

    def _see(self, frame: Frame) -> None:
        self._frame, self._frame_at = frame, time.monotonic()
        with self.watch:
            events = self.device.recognizer.process(frame)
        self._feed_watchdog()
        for event in events:
            self.publisher.publish(event)
            if self.config.mqtt.image_last and event.phase == "new" and event.kind in PICTURED:
                self.link.publish_transient("image/last", face_jpeg(frame.best, event.box))

    def _feed_watchdog(self) -> None:
        """Feed the watchdog. With recognition off nobody is looked at, but whether inference works is."""
        detect = self.device.times["detect"]
        if not self.device.recognizer.recognizing and self.watchdog.wants_inference(self._frame_at):
            with detect:
                self.device.detector.detect(BLANK_IMAGE)
        self.watchdog.frame(detect.count, self._frame_at)

    def _close(self) -> None:
        if self._frame is not None:
            for event in self.device.recognizer.flush(self._frame):
                self.publisher.publish(event)
            self._frame = None

    def _camera_ok(self) -> bool:
        return time.monotonic() - self._frame_at < CAMERA_SILENT_SECONDS

    def process_requests(self) -> None:
        """Answer what came in, for a while; and know whom `limen enroll` on this disk made known meanwhile."""
        self._reload_gallery()
        until = time.monotonic() + REQUESTS_SECONDS
        while time.monotonic() < until and (came := self.link.pending(1)):
            (incoming,) = came
            slug = self.topics.person_of(incoming.topic)
            if incoming.topic == self._birth:
                self.publisher.publish_discovery(again=incoming.payload == b"online")
            elif slug is None:
                self.dispatcher.answer(incoming)
            elif incoming.size:
                self.publisher.clear_unknown_person(slug)

    def _reload_gallery(self) -> None:
        """Where others wrote into the gallery. While it cannot be read, whoever was known is known."""
        try:
            self._gallery_changed |= self.device.store.changed_elsewhere()
            if not self._gallery_changed:
                return
            self.device.recognizer.reload()
        except GalleryError as error:
            if str(error) != self._unreadable:
                log.warning("what others wrote is not known yet: %s", error)
            self._unreadable = str(error)
            return
        self._gallery_changed, self._unreadable = False, None
        self.publisher.publish_people()

    def _forget_expired(self) -> None:
        """Guests whose time is over, and strangers who did not come again."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + TIDY_SECONDS
        store = self.device.store
        if store.checkpoint_pending:
            store.checkpoint()
        try:
            store.clock.keep()
            now = store.clock.now()
            if now is None:
                return
            command = ForgetExpired(now, now - self.config.strangers.keep_days * DAY_SECONDS)
            with store.transaction():
                gone = self.device.recognizer.handle(command).data
            if gone["people"] or gone["strangers"]:
                self.publisher.publish_people()
                store.checkpoint()
        except GalleryError as error:
            log.warning("nobody's time is over yet: %s", error)
            with suppress(GalleryError):  # who was not forgotten on the disk is known
                self.device.recognizer.reload()

    def now(self) -> float:
        """See edge.api.requests.DeviceContext."""
        now = self.device.store.clock.now()
        if now is None:
            raise RefusedError("clock_not_set", "this device does not know the time of day yet")
        return now

    def told(self, event_id: str) -> Event:
        """See edge.api.requests.DeviceContext."""
        return self.publisher.event(event_id)

    def snapshot(self) -> dict[str, object]:
        """See edge.api.requests.DeviceContext."""
        if not self.config.mqtt.snapshot:
            raise RefusedError("snapshot_off", "no pictures are given away: mqtt.snapshot is not set")
        if not self.device.recognizer.recognizing:
            raise RefusedError("recognition_off", "nobody is looked at: recognition is switched off")
        if self._frame is None:
            raise RefusedError("no_frame", "the camera gives no frames")
        return {"image": base64.b64encode(small_jpeg(self._frame.best, SNAPSHOT_PX_MAX)).decode()}

    def export(self, *, crops: bool) -> dict[str, object]:
        """See edge.api.requests.DeviceContext."""
        with self.device.store.transaction():  # what is refused leaves no record
            data, people = self.device.store.export(crops=crops)
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
        """See edge.api.requests.DeviceContext."""
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
    def _seal(self) -> HouseholdCipher:
        if self._carried is None:
            raise RefusedError("no_household_key", "a gallery crosses MQTT sealed alone: fleet.key_file is not set")
        return self._carried

    def health(self) -> dict[str, object]:
        """See edge.api.requests.DeviceContext."""
        return msgspec.to_builtins(self._health())

    def _say_health(self) -> None:
        now = time.monotonic()
        if now < self._health_at:
            return
        self._health_at = now + self.config.mqtt.health_every_seconds
        self.publisher.publish_health(self._health())
        self._health_said_at, self._health_frames = now, self.watch.count

    def _clock_set(self) -> bool:
        """As far as can be read."""
        with suppress(GalleryError):
            return self.device.store.clock.now() is not None
        return False

    def _health(self) -> Health:
        """Frames a second are those since it was last said."""
        fps = (self.watch.count - self._health_frames) / max(1e-6, time.monotonic() - self._health_said_at)
        watches = {"frame": self.watch} | {stage: self.device.times[stage] for stage in ("detect", "embed")}
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
