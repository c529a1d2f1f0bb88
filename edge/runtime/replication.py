"""Replication: the cameras of one household exchange revisions of people, encrypted, through the broker."""

import hashlib
import logging
import math
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np

from edge.api.messages import ReplicationHealth
from edge.api.replication import RevisionMessage, read_revision_message
from edge.api.topics import HouseholdTopics
from edge.config import Config
from edge.core.replication import Revision, TemplateRecord, join
from edge.errors import CipherError, GalleryError
from edge.mqtt.device_link import DeviceLink, Incoming
from edge.mqtt.outgoing import Outgoing
from edge.runtime.assembly import Device
from edge.runtime.bounded import BoundedDict
from edge.runtime.peer_clocks import PeerClocks
from edge.storage.blobs import blob_of
from edge.storage.replication import SqliteReplication
from edge.system.crypto import HouseholdCipher

log = logging.getLogger("limen")

RECEIVE_SECONDS = 0.1  # of messages, and then a frame: many messages must not stop recognition
IN_FLIGHT_MAX = 4  # messages at once: each may have a megabyte
SETTLE_SECONDS = 1.0  # after a connection, and after each retained message: what the broker has is not sent again
AGAIN_SECONDS = 1.0  # between two corrections of a message about one person
CHECKPOINT_SECONDS = 60.0  # until it is tried again to overwrite what was removed
RETRY_SECONDS = 5.0  # after the gallery could not be written
REMEMBERED_MAX = 20_000  # topics, people and templates: more than the store keeps people and tombstones
PACKET_HEAD_BYTES = 300  # topic, properties and seal


class Replication:
    """Receives revisions from the other cameras, and publishes what was changed here.

    A camera whose message shows that it is behind is answered with the newer revision: so a message may be lost, late
    or doubled, and a broker may lose everything, and still all cameras end with the same gallery.
    """

    def __init__(self, config: Config, device: Device, link: DeviceLink, cipher: HouseholdCipher) -> None:
        self._config, self._device, self._link, self._cipher = config.fleet, device, link, cipher
        self._name = config.device
        self._topics = HouseholdTopics(config.fleet.household)
        self._db = SqliteReplication(device.store, config.device)
        self._due: dict[str, float] = {}  # person ids of what is to be published, and when, monotonic; 0 is at once
        self._published_at = BoundedDict[str, float](REMEMBERED_MAX)
        self._received = BoundedDict[str, bytes](REMEMBERED_MAX)  # digests of the newest message by topic
        self._missed = BoundedDict[str, None](REMEMBERED_MAX)  # topics of messages for which the inbox had no room
        # Of templates of another model: which camera, which model.
        self._makers = BoundedDict[str, tuple[str, str]](REMEMBERED_MAX)
        self._settled_at = self._try_at = 0.0
        self._checkpoint_at = math.inf  # when the file's log is to be cut off
        self._connections = 0
        self._generation = device.store.generation
        self._dropped = self._too_large = 0
        self._problem: str | None = None
        self._over = BoundedDict[str, None](REMEMBERED_MAX)  # topics to remove: of guests whose time is over
        self._clocks = PeerClocks(device.store, config.device, cipher, self._topics, link.send_transient)
        self._changed = False  # the gallery, since the last tick

    def tick(self) -> bool:
        """Once per pass of the loop. Returns whether the gallery has changed and must be read again."""
        if time.monotonic() < self._try_at:
            return False
        try:
            self.note_local_changes()
            if self._link.connected and self._clocks.tick():
                self._received.clear()
                self._link.hear_shared_again()  # what was ignored or refused by the clock before
            self._receive()
            self._publish_due()
            self._problem = None
        except GalleryError as error:
            if str(error) != self._problem:
                log.warning("the household's gallery: %s", error)
            self._problem, self._try_at = str(error), time.monotonic() + RETRY_SECONDS
            self.reload()
        changed, self._changed = self._changed, False
        return changed

    def reload(self) -> None:
        """Read what is on the disk, after a transaction that failed."""
        self._received.clear()
        with suppress(GalleryError):
            self._db.load()
        self._due = {who: at for who, at in self._due.items() if who in self._db.revisions}

    def health(self) -> ReplicationHealth:
        """How the shared gallery is."""
        try:
            unusable = self._db.unusable()
        except GalleryError as error:
            unusable, self._problem = set[str](), str(error)
        models = {self._makers[template_id] for template_id in unusable & self._makers.keys()}
        own = self._device.embedder.card.sha256
        return ReplicationHealth(
            people=sum(not revision.forgotten for revision in self._db.revisions.values()),
            unsaid=len(self._due),
            refused=self._dropped + self._link.shared.refused,
            too_large=self._too_large,
            unusable_templates=len(unusable),
            problems=[
                f"camera {device}: its templates are of model {model[:12]}, this camera has {own[:12]}"
                for device, model in sorted(models)
            ]
            + self._clocks.problems
            + ([] if self._problem is None else [self._problem]),
        )

    def note_local_changes(self) -> None:
        """Write revisions of what was changed here, to be published. Raises GalleryError."""
        if self._generation != self._device.store.generation:  # what the new file lacks was not removed by anybody
            self._db.load()
            self._due, self._generation, self._connections = {}, self._device.store.generation, 0
            self._link.hear_shared_again()
        news = self._db.record_local_changes()
        self._changed |= self._db.gave_new_ids
        self._due |= dict.fromkeys(news, 0.0)
        if self._db.expired:
            for person_id in self._db.expired:
                self._over[self._topic(person_id)] = None
            self._due = {who: at for who, at in self._due.items() if who in self._db.revisions}
            self._db.expired.clear()
            self._checkpoint_at = 0.0
        self._checkpoint(self._db.revisions[person_id] for person_id in news)

    def _checkpoint(self, revisions: Iterable[Revision]) -> None:
        """Overwrite what was removed, in the log of writes too."""
        if any(revision.forgotten for revision in revisions):
            self._checkpoint_at = 0.0
        if self._checkpoint_at <= time.monotonic() and not self._device.store.writing:
            self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS  # somebody else may be reading the file
            self._checkpoint_at = math.inf if self._device.store.checkpoint() else self._checkpoint_at

    def _receive(self) -> None:
        """Read messages of the other cameras for a while."""
        if not self._link.connected:  # messages wait: something may have to be fetched again
            return
        self._note_connection()
        messages: dict[str, list[RevisionMessage]] = {}
        until = time.monotonic() + RECEIVE_SECONDS
        while time.monotonic() < until and (taken := self._link.shared.take(1)):
            (incoming,) = taken
            if (opened := self._taken(incoming)) is not None:
                messages.setdefault(incoming.topic, []).append(opened)
        if self._missed and not self._link.shared:
            topic = next(iter(self._missed))
            del self._missed[topic]
            self._link.refetch(topic)
        try:
            if messages:
                self._join([one for several in messages.values() for one in several])
        except GalleryError:
            for topic in messages:
                self._missed[topic] = None
            raise

    def _taken(self, incoming: Incoming) -> RevisionMessage | None:
        """The message, where it is to be joined; what else there is to do is noted."""
        if incoming.busy:
            self._missed[incoming.topic] = None
        elif not incoming.size:
            self._republish(incoming.topic)
        elif incoming.topic == self._clocks.topic:
            self._dropped += not self._clocks.hear(incoming.payload)
        elif (opened := self._opened(incoming.topic, incoming.payload)) is not None:
            if not self._db.ignores(opened.revision):
                return opened
            if incoming.retain:  # who has another time and another opinion publishes it again
                self._over[incoming.topic] = None
        return None

    def _opened(self, topic: str, payload: bytes) -> RevisionMessage | None:
        """The message; None where it is not new, or not authentic."""
        digest = hashlib.sha256(payload).digest()
        if self._received.get(topic) == digest:
            return None
        try:
            message = read_revision_message(self._cipher.decrypt(payload, topic))
        except CipherError as error:
            self._dropped += 1
            log.debug("%s", error)
            return None
        self._received[topic] = digest
        if self._clocks.refuses(message):
            self._dropped += 1
            return None
        self._settled_at = max(self._settled_at, time.monotonic() + SETTLE_SECONDS)
        return message

    def _join(self, messages: list[RevisionMessage]) -> None:
        """Join revisions, and write the gallery that follows, in one transaction; answer cameras that are behind."""
        with self._device.store.transaction():
            self.note_local_changes()  # what another process wrote just now must not be overwritten
            received = [self._db.receive(one.revision, one.records, self._usable) for one in messages]
            with self._device.store.audit.on_behalf_of("camera " + ", ".join(sorted({one.device for one in messages}))):
                changed = self._db.apply()
        self._changed |= changed
        self._checkpoint(one.revision for one in messages)
        for one, usable in zip(messages, received, strict=True):
            self._note_makers(one)
            self._compare(one, usable)

    def _compare(self, message: RevisionMessage, received: Revision) -> None:
        person_id = received.person_id
        own = self._db.revisions.get(person_id)
        if own is None:  # the household has too many people, or the guest's time is over
            self._dropped += not self._db.ignores(received)
            return
        crops = self._crop_bytes(own).keys() - {
            record.template_id for record in message.records if record.crop is not None
        }
        if join(own, received) == received and not crops:
            self._due.pop(person_id, None)
        else:
            at = max(time.monotonic(), self._published_at.get(person_id, 0.0) + AGAIN_SECONDS)
            self._due[person_id] = min(at, self._due.get(person_id, at))

    def _usable(self, record: TemplateRecord) -> TemplateRecord:
        """A template as the model here would make it, where it is of another model and has a crop."""
        card = self._device.embedder.card
        if record.crop is None or (record.model == card.sha256 and len(record.embedding) == 4 * card.dimension):
            return record
        crop = cv2.imdecode(np.frombuffer(record.crop, np.uint8), cv2.IMREAD_COLOR_RGB)
        if crop is None or crop.shape != (112, 112, 3):
            return record
        return replace(record, model=card.sha256, embedding=blob_of(self._device.embedder.embed(crop)))

    def _note_makers(self, message: RevisionMessage) -> None:
        for record in message.records:
            if record.crop is None and record.model != self._device.embedder.card.sha256:
                self._makers[record.template_id] = message.device, record.model

    def _note_connection(self) -> None:
        """After a new connection, publish whatever the broker turns out not to have."""
        if self._connections == self._link.connections:
            return
        self._connections = self._link.connections
        self._clocks.connected()
        self._received.clear()
        self._settled_at = time.monotonic() + SETTLE_SECONDS
        for person_id in self._db.revisions:
            self._due.setdefault(person_id, self._settled_at)

    def _republish(self, topic: str) -> None:
        """Publish again what somebody removed from the broker."""
        self._received.pop(topic, None)
        for person_id in self._db.revisions:
            if self._topic(person_id) == topic:
                self._due.setdefault(person_id, time.monotonic() + AGAIN_SECONDS)

    def _topic(self, person_id: str) -> str:
        return self._topics.person(self._cipher.opaque(person_id))

    def _publish_due(self) -> None:
        while self._over and self._link.connected and self._link.depth < IN_FLIGHT_MAX:
            topic = next(iter(self._over))
            del self._over[topic]
            self._link.send(Outgoing(topic, b"", retain=True))
        now = time.monotonic()
        ready = [who for who, at in self._due.items() if at == 0.0 or max(at, self._settled_at) <= now]
        for person_id in ready:
            if not self._link.connected or self._link.depth >= IN_FLIGHT_MAX:
                return
            del self._due[person_id]
            self._published_at[person_id] = now
            self._publish(self._db.revisions[person_id])

    def _publish(self, revision: Revision) -> None:
        crops = bool(self._crop_bytes(revision))
        message = RevisionMessage(device=self._name, revision=revision, records=self._db.records(revision, crops=crops))
        topic = self._topic(revision.person_id)
        encrypted = self._cipher.encrypt(message.bytes(), topic)
        if len(encrypted) > self._bytes_max:
            self._too_large += 1
            limit = f"{len(encrypted)} bytes, at most {self._bytes_max} are published"
            log.error("%s has %d templates: %s", revision.person_id, len(message.records), limit)
            return
        self._link.send(Outgoing(topic, encrypted, retain=True))

    def _crop_bytes(self, revision: Revision) -> dict[str, int]:
        """The sizes of the crops to publish, by template: of all, or, where that is too much, of none."""
        crops = self._db.crop_bytes(revision)
        each = 300 + 4 * self._device.embedder.card.dimension  # of a template beside its crop
        return crops if sum(crops.values()) + each * len(revision.ids | revision.removed) < self._bytes_max else {}

    @property
    def _bytes_max(self) -> int:
        packet = self._link.packet_bytes_max
        own = self._config.message_bytes_max
        return own if packet is None else min(own, packet - PACKET_HEAD_BYTES)
