"""The frame loop: requests in, frames in, events out. One thread owns everything but the insides of adapters."""

import logging
import math
import threading
import time
from contextlib import ExitStack, suppress

import numpy as np

from edge.api.discovery import birth_topic, discovery_topic
from edge.api.fields import DAY_SECONDS
from edge.api.images import face_jpeg, small_jpeg
from edge.api.topics import HouseholdTopics, Topics
from edge.config import Config
from edge.core.align import CROP_PX
from edge.core.events import Event
from edge.core.ports import FrameSource
from edge.core.types import Frame
from edge.errors import GalleryError
from edge.mqtt.device_link import DeviceLink, Incoming
from edge.runtime.assembly import Device
from edge.runtime.dispatcher import Dispatcher
from edge.runtime.learning import learn
from edge.runtime.publisher import EventPublisher
from edge.runtime.replication import Replication
from edge.runtime.running import RunningDevice
from edge.runtime.worker import PictureWorker, settings_of
from edge.storage.outbox import Outbox
from edge.storage.strangers import SqliteStrangers
from edge.storage.words import count_of
from edge.system.crypto import REVISIONS, HouseholdCipher
from edge.system.systemd import Watchdog, notify

log = logging.getLogger("limen")

READ_SECONDS = 0.5
POLL_SECONDS = 0.02  # the same while pictures are read: their answer need not wait for a frame
REQUESTS_SECONDS = 0.2  # of requests, and then a frame, at most
REQUESTS_SHARE = 0.7  # of the time from one frame to the next: many requests must not stop recognition
REQUESTS_SHARE_MIN = 0.1  # of the same, also where frames take all of it
REPAID = 4  # seconds without requests for each second that one of them kept a frame waiting
REPAID_SECONDS_MAX = 2.0
FRAMES_STOPPED_SECONDS = 1.0  # from then on no frame is waited for
CONGESTED_SECONDS = 0.001  # in which the network thread can work
DELIVER_SECONDS = 5.0  # at the end
EXPIRE_EVERY_SECONDS = 60.0
PICTURED = ("recognized", "unknown")
BLANK_IMAGE = np.zeros((240, 320, 3), np.uint8)


class DeviceLoop:
    """Builds the adapters of a device from its configuration and runs them until stopped."""

    def __init__(self, config: Config, device: Device) -> None:
        self.config, self.device = config, device
        self.topics = Topics(config.device)
        mqtt, key = config.mqtt, config.fleet.key()
        self._birth = birth_topic(config.home_assistant.prefix)
        self._introduction = discovery_topic(config.home_assistant.prefix, config.device)
        heard = (self._birth, self._introduction) if config.home_assistant.discovery else ()
        shared = None if key is None else HouseholdTopics(config.fleet.household).people
        self.link = DeviceLink(mqtt, self.topics, heard, shared)
        cipher = None if key is None else HouseholdCipher(key, REVISIONS)
        self.replication = None if cipher is None else Replication(config, device, self.link, cipher)
        self.outbox = Outbox(mqtt.outbox_beside(config.gallery.path), mqtt.outbox_events_max, anyway=True)
        self.publisher = EventPublisher(config, device, self.link, self.topics, self.outbox)
        worker = PictureWorker(settings_of(config, device))
        self.running = RunningDevice(config, device, self.link, self.outbox, self.publisher, self.replication, worker)
        self.dispatcher = Dispatcher(self.running, self.link, worker, self._publish_people)
        self.publisher.erasure.places["requests under way"] = self.dispatcher.forget
        if not config.strangers.keep_days:
            self._purge_strangers()
        device.history.start()
        self.watchdog = Watchdog()
        self._health_at = self._expire_at = self._requests_from = 0.0
        self._gallery_changed = False  # another process wrote into the gallery since it was read

    def _purge_strangers(self) -> None:
        """Remove the strangers that an earlier configuration kept."""
        try:
            strangers = SqliteStrangers(self.device.store)
            if strangers.load()[0]:
                strangers.purge()
        except GalleryError as error:
            log.warning("strangers of an earlier configuration could not be removed: %s", error)

    def run(self, source: FrameSource, stop: threading.Event) -> None:
        """Run until stopped, or until the source of frames ends. Raises CameraError if it fails.

        Everything is closed at the end, in this order; one part that fails to close does not keep the others open.
        """
        self.running.source = source
        with ExitStack() as closing:
            closing.callback(self.device.history.close)
            closing.callback(self.outbox.close)
            closing.callback(self.publisher.drop_delivered)
            closing.callback(self.link.stop)
            closing.callback(self._deliver_all)
            closing.callback(self.dispatcher.close)
            closing.callback(source.close)
            closing.callback(notify, "STOPPING=1")
            self.link.start()
            self.publisher.publish_states()
            while not stop.is_set() and self._advance(source):
                pass
            self._flush()

    def _deliver_all(self) -> None:
        """Deliver what waits, while the broker takes it; the rest is delivered after the next start."""
        give_up_at = time.monotonic() + DELIVER_SECONDS
        self.publisher.deliver()
        while self.link.connected and self.outbox.depth and time.monotonic() < give_up_at:
            self.link.pending(0)
            self.publisher.deliver()
            time.sleep(0.005)

    def _advance(self, source: FrameSource) -> bool:
        """Once through the loop. Returns whether more frames may come."""
        self._process_requests_between_frames()
        self._expire()
        if self.replication is not None and self.replication.tick():
            self._gallery_changed = True
            self._reload_gallery()
        self.publisher.deliver()
        self.device.history.tick()
        frame = source.read(POLL_SECONDS if self.dispatcher.waiting else READ_SECONDS)
        if frame is not None:
            self._process(frame)
        elif source.ended:
            return False
        elif self.running.camera_silent:
            self._flush()  # nobody is present for ever before a camera that gives no frames
        self._publish_health()
        return True

    def _process(self, frame: Frame) -> None:
        self.running.see(frame)
        with self.running.watch:
            events = self.device.recognizer.process(frame)
        self._feed_watchdog()
        for event in events:
            self._publish_picture(event, frame)  # so it is there when the event is
            told, learned = learn(event, self.device)
            self.publisher.publish(told, frame)
            if learned:
                self._publish_people()
        self.publisher.update_undecided(undecided=self.device.recognizer.tracker.undecided(frame.at))

    def _publish_picture(self, event: Event, frame: Frame) -> None:
        """Publish the newest face where mqtt.image_last is set; of a track that has ended, its sample's own crop."""
        if not self.config.mqtt.image_last or event.phase != "new" or event.event_type not in PICTURED:
            return
        if event.in_frame and event.box is not None:
            self.link.publish_transient("image/last", face_jpeg(frame.best, event.box))
        elif event.sample is not None:
            self.link.publish_transient("image/last", small_jpeg(event.sample.crop, CROP_PX))

    def _feed_watchdog(self) -> None:
        """Feed the watchdog; with recognition off, by an inference of its own."""
        detect = self.device.times["detect"]
        if not self.device.recognizer.recognizing and self.watchdog.wants_inference(self.running.newest_at):
            with detect:
                self.device.detector.detect(BLANK_IMAGE)
        self.watchdog.frame(detect.count, self.running.newest_at)

    def _flush(self) -> None:
        """End every track."""
        if self.running.newest is not None:
            for event in self.device.recognizer.flush(self.running.newest):
                self.publisher.publish(event)
            self.publisher.update_undecided(undecided=False)
            self.running.newest = None

    def _process_requests_between_frames(self) -> None:
        """Answer requests until the next frame is about to come; one that kept it waiting is followed by a pause."""
        now, interval = time.monotonic(), 1 / self.config.camera.fps_max
        newest_at = self.running.newest_at
        if now - newest_at > FRAMES_STOPPED_SECONDS:
            self.process_requests(now + REQUESTS_SECONDS)
            return
        until = max(newest_at + REQUESTS_SHARE * interval, now + REQUESTS_SHARE_MIN * interval)
        until = min(until, now + REQUESTS_SECONDS)
        self.process_requests(until if now >= self._requests_from else now)
        after = time.monotonic()
        if (late_seconds := after - max(until, newest_at + interval)) > 0:
            self._requests_from = after + min(REPAID * late_seconds, REPAID_SECONDS_MAX)

    def process_requests(self, until: float = math.inf) -> None:
        """Answer requests, until then on the monotonic clock; first what has come of those that take long.

        Before that, read what a command wrote into the gallery.
        """
        self._reload_gallery()
        self.dispatcher.poll()
        while time.monotonic() < until:
            if messages := self.link.pending(1):
                self._process_message(messages[0])
            elif self.link.congested:
                time.sleep(CONGESTED_SECONDS)
            else:
                return

    def _process_message(self, incoming: Incoming) -> None:
        verb, level = self.topics.verb_of(incoming.topic), self.topics.person_of(incoming.topic)
        if incoming.topic == self._birth:
            self.publisher.people.publish_discovery(again=incoming.payload == b"online")
        elif incoming.topic == self._introduction:
            if incoming.retain:  # of an earlier run; the rest is what this one publishes
                self.publisher.people.hear_introduction(incoming.payload)
        elif verb is not None:
            self.dispatcher.dispatch(verb, incoming)
        elif level is not None and incoming.size:
            self.publisher.people.hear(level, incoming.payload, retained=incoming.retain)

    def _reload_gallery(self) -> None:
        """Read the gallery where another process wrote into it; while it cannot be read, people stay as they were."""
        store, generation = self.device.store, self.device.store.generation
        try:
            self._gallery_changed |= store.changed_elsewhere()
            if not self._gallery_changed:
                return
            self.device.recognizer.reload()
        except GalleryError as error:
            if str(error) != self.running.gallery_unread:
                log.warning("the gallery is as it was read last: %s", error)
            self.running.gallery_unread = str(error)
            return
        self._gallery_changed, self.running.gallery_unread = False, None
        if store.generation != generation:
            people = count_of(len(self.device.recognizer.gallery.people), "person")
            log.warning("gallery %s was replaced by another file; it has %s", store.path, people)
        self._publish_people()

    def _publish_people(self) -> None:
        """Publish who was enrolled, renamed or removed; before that, note the names that people gave up."""
        gallery, before = self.device.recognizer.gallery, self.publisher.people.names
        here = [gallery.people[one] for one in gallery.changed if one in gallery.people]
        renamed = [one.person_id for one in here if before.get(one.person_id, one.name) != one.name]
        self.dispatcher.removals.note_renamed({one: before[one] for one in renamed})
        self.publisher.publish_people()

    def _expire(self) -> None:
        """Remove guests whose time is over, and strangers who did not come again."""
        if time.monotonic() < self._expire_at:
            return
        self._expire_at = time.monotonic() + EXPIRE_EVERY_SECONDS
        store = self.device.store
        if store.checkpoint_pending:
            store.checkpoint()
        try:
            store.clock.keep()
            now = store.clock.now()
            if now is None:
                return
            unseen_since = now - self.config.strangers.keep_days * DAY_SECONDS
            with store.transaction():
                people, strangers = self.device.recognizer.people.expire(now, unseen_since)
                if self.replication is not None:  # while the clock is what it was for this
                    self.replication.note_local_changes()
            self.device.recognizer.update_tracks()
            if people or strangers:
                self._publish_people()
                store.checkpoint()
        except GalleryError as error:
            log.warning("nobody was expired: %s", error)
            with suppress(GalleryError):  # what was not removed from the disk must be in memory
                self.device.recognizer.reload(rolled_back=True)
            if self.replication is not None:
                self.replication.reload()

    def _publish_health(self) -> None:
        if time.monotonic() >= self._health_at:
            self._health_at = time.monotonic() + self.config.mqtt.health_every_seconds
            self.running.publish_health()
