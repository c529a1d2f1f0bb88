"""The fleet: what the cameras of one household know of people, each tells the others, sealed, by way of the broker."""

import hashlib
import logging
import math
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np

from edge.api.messages import FleetHealth
from edge.api.replication import RevisionMessage, read_revision_message
from edge.api.topics import SharedTopics
from edge.config import Config
from edge.core.replication import Revision, TemplateRecord, join
from edge.errors import GalleryError, SealError
from edge.mqtt.device_link import DeviceLink, Outgoing
from edge.runtime.assembly import Device
from edge.storage.blobs import blob_of
from edge.storage.replication import SqliteReplication
from edge.system.crypto import HouseholdCipher

log = logging.getLogger("limen")

HEARING_SECONDS = 0.1  # of others, and then a frame: whoever says much must not blind the door
UNDERWAY_MAX = 4  # messages at once: each may have a megabyte
SETTLE_SECONDS = 1.0  # after a connection, and after what the broker kept: who is up to date need not say so
AGAIN_SECONDS = 1.0  # between two corrections of what was heard of one person
UNSETTLED_SECONDS = 60.0  # until what is forgotten is tried again to be overwritten
WAIT_SECONDS = 5.0  # until what could not be written is tried again
PACKET_HEAD_BYTES = 300  # topic, properties and seal


class Replication:
    """Hears the others, notices what was changed here, and says it.

    Whoever is behind is told, by what it says itself: so a message may be lost, come late or come twice, and a broker
    may forget everything, and still all end with the same. What is heard back from the broker is known to be there.
    """

    def __init__(self, config: Config, device: Device, link: DeviceLink, seal: HouseholdCipher) -> None:
        self._config, self._device, self._link, self._seal = config.fleet, device, link, seal
        self._name = config.device
        self._topics = SharedTopics(config.fleet.household)
        self._db = SqliteReplication(device.store, config.device)
        self._due: dict[str, float] = {}  # person ids of what is to be said, and when, monotonic; 0 is at once
        self._said_at: dict[str, float] = {}
        self._heard: dict[str, bytes] = {}  # digests of the newest by topic
        self._missed: dict[str, None] = {}  # topics of what there was no room for
        self._makers: dict[str, tuple[str, str]] = {}  # of templates that are of no use here: which camera, which model
        self._settled_at = self._try_at = 0.0
        self._settle_at = math.inf  # when the file's log is to be cut off
        self._connections = 0
        self._dropped = self._too_large = 0
        self._problem: str | None = None
        self._another = False  # the gallery, since the last turn

    def tick(self) -> bool:
        """Once a turn of the loop. Returns whether the gallery is another: whoever has read it must read it again."""
        if time.monotonic() < self._try_at:
            return False
        try:
            self._notice()
            self._hear()
            self._say()
            self._problem = None
        except GalleryError as error:
            if str(error) != self._problem:
                log.warning("the household's gallery: %s", error)
            self._problem, self._try_at = str(error), time.monotonic() + WAIT_SECONDS
            self._heard.clear()
            with suppress(GalleryError):
                self._db.load()
            self._due = {who: at for who, at in self._due.items() if who in self._db.revisions}
        another, self._another = self._another, False
        return another

    def health(self) -> FleetHealth:
        """How it is."""
        try:
            unusable = self._db.unusable()
        except GalleryError as error:
            unusable, self._problem = set[str](), str(error)
        models = {self._makers[template_id] for template_id in unusable & self._makers.keys()}
        own = self._device.embedder.card.sha256
        return FleetHealth(
            people=sum(not revision.forgotten for revision in self._db.revisions.values()),
            unsaid=len(self._due),
            refused=self._dropped + self._link.shared.refused,
            too_large=self._too_large,
            unusable_templates=len(unusable),
            problems=[
                f"camera {device}: its templates are of model {model[:12]}, this camera has {own[:12]}"
                for device, model in sorted(models)
            ]
            + ([] if self._problem is None else [self._problem]),
        )

    def _notice(self) -> None:
        news = self._db.notice()
        self._due |= dict.fromkeys(news, 0.0)
        self._settle(self._db.revisions[person_id] for person_id in news)

    def _settle(self, revisions: Iterable[Revision]) -> None:
        """Nothing of who is forgotten stays on the disk, in what was said of them neither."""
        if any(revision.forgotten for revision in revisions):
            self._settle_at = 0.0
        if self._settle_at <= time.monotonic() and not self._device.store.writing:
            self._settle_at = time.monotonic() + UNSETTLED_SECONDS  # somebody else may be reading the file
            self._settle_at = math.inf if self._device.store.checkpoint() else self._settle_at

    def _hear(self) -> None:
        """What the others say, for a while."""
        if not self._link.connected:  # what came just now waits: of it something may have to be asked for again
            return
        self._note_connection()
        told: dict[str, list[RevisionMessage]] = {}
        until = time.monotonic() + HEARING_SECONDS
        while time.monotonic() < until and (came := self._link.shared.take(1)):
            (incoming,) = came
            if incoming.busy:
                self._missed[incoming.topic] = None
            elif not incoming.size:
                self._put_back(incoming.topic)
            elif (opened := self._opened(incoming.topic, incoming.payload)) is not None:
                told.setdefault(incoming.topic, []).append(opened)
        if self._missed and not self._link.shared:
            topic = next(iter(self._missed))
            del self._missed[topic]
            self._link.refetch(topic)
        try:
            if told:
                self._join([one for several in told.values() for one in several])
        except GalleryError:
            self._missed |= dict.fromkeys(told)
            raise

    def _opened(self, topic: str, payload: bytes) -> RevisionMessage | None:
        """None where there is nothing new in it, or nothing that can be trusted."""
        digest = hashlib.sha256(payload).digest()
        if self._heard.get(topic) == digest:
            return None
        try:
            told = read_revision_message(self._seal.open(payload, topic))
        except SealError as error:
            self._dropped += 1
            log.debug("%s", error)
            return None
        self._heard[topic] = digest
        self._settled_at = max(self._settled_at, time.monotonic() + SETTLE_SECONDS)
        return told

    def _join(self, told: list[RevisionMessage]) -> None:
        """On disk together with what follows from it. Whoever says less than is known here is told so."""
        with self._device.store.transaction():
            self._notice()  # what another process wrote just now is not to be overwritten
            heard = [self._db.take(one.revision, one.looks, self._ours) for one in told]
            with self._device.store.audit.on_behalf_of("camera " + ", ".join(sorted({one.device for one in told}))):
                another = self._db.show()
        self._another |= another
        self._settle(one.revision for one in told)
        for one, usable in zip(told, heard, strict=True):
            self._note_makers(one)
            self._compare(one, usable)

    def _compare(self, told: RevisionMessage, heard: Revision) -> None:
        person_id = heard.person_id
        own = self._db.revisions[person_id]
        crops = self._crops_said(own).keys() - {look.template_id for look in told.looks if look.crop is not None}
        if join(own, heard) == heard and not crops:
            self._due.pop(person_id, None)
        else:
            at = max(time.monotonic(), self._said_at.get(person_id, 0.0) + AGAIN_SECONDS)
            self._due[person_id] = min(at, self._due.get(person_id, at))

    def _ours(self, look: TemplateRecord) -> TemplateRecord:
        """Of another model, but with a crop: as the model here sees it."""
        card = self._device.embedder.card
        if look.crop is None or (look.model == card.sha256 and len(look.embedding) == 4 * card.dimension):
            return look
        crop = cv2.imdecode(np.frombuffer(look.crop, np.uint8), cv2.IMREAD_COLOR_RGB)
        if crop is None or crop.shape != (112, 112, 3):
            return look
        return replace(look, model=card.sha256, embedding=blob_of(self._device.embedder.embed(crop)))

    def _note_makers(self, told: RevisionMessage) -> None:
        for look in told.looks:
            if look.crop is None and look.model != self._device.embedder.card.sha256:
                self._makers[look.template_id] = told.device, look.model

    def _note_connection(self) -> None:
        """The broker may have forgotten what it had: whatever it does not say itself is to be said."""
        if self._connections == self._link.connections:
            return
        self._connections = self._link.connections
        self._heard.clear()
        self._settled_at = time.monotonic() + SETTLE_SECONDS
        for person_id in self._db.revisions:
            self._due.setdefault(person_id, self._settled_at)

    def _put_back(self, topic: str) -> None:
        """Somebody had the broker forget what it kept."""
        self._heard.pop(topic, None)
        for person_id in self._db.revisions:
            if self._topic(person_id) == topic:
                self._due.setdefault(person_id, time.monotonic() + AGAIN_SECONDS)

    def _topic(self, person_id: str) -> str:
        return self._topics.person(self._seal.opaque(person_id))

    def _say(self) -> None:
        now = time.monotonic()
        ready = [who for who, at in self._due.items() if at == 0.0 or max(at, self._settled_at) <= now]
        for person_id in ready:
            if not self._link.connected or self._link.depth >= UNDERWAY_MAX:
                return
            del self._due[person_id]
            self._said_at[person_id] = now
            self._tell(self._db.revisions[person_id])

    def _tell(self, revision: Revision) -> None:
        crops = bool(self._crops_said(revision))
        told = RevisionMessage(device=self._name, revision=revision, looks=self._db.looks(revision, crops=crops))
        topic = self._topic(revision.person_id)
        sealed = self._seal.seal(told.bytes(), topic)
        if len(sealed) > self._bytes_max:
            self._too_large += 1
            limit = f"{len(sealed)} bytes, at most {self._bytes_max} are said"
            log.error("%s has %d templates: %s", revision.person_id, len(told.looks), limit)
            return
        self._link.send(Outgoing(topic, sealed, retain=True))

    def _crops_said(self, revision: Revision) -> dict[str, int]:
        """The sizes of the crops that go along with it, by template: of all, or, where that is too much, of none."""
        crops = self._db.crop_bytes(revision)
        each = 300 + 4 * self._device.embedder.card.dimension  # of what is said of a template besides
        return crops if sum(crops.values()) + each * len(revision.ids | revision.removed) < self._bytes_max else {}

    @property
    def _bytes_max(self) -> int:
        packet = self._link.packet_bytes_max
        own = self._config.message_bytes_max
        return own if packet is None else min(own, packet - PACKET_HEAD_BYTES)
