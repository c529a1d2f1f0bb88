"""What the device publishes: events through the outbox, states as they are now."""

import logging
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import edge
from edge.api.messages import (
    Encoder,
    GalleryMessage,
    Health,
    Info,
    Model,
    Presence,
    Seen,
    Settings,
    event_message,
)
from edge.api.redaction import redaction
from edge.api.topics import Topics
from edge.config import Config
from edge.core.codes import Code
from edge.core.events import Event, person_event
from edge.core.evidence import SOMEBODY, UNKNOWN
from edge.core.types import Frame, Person
from edge.errors import OutboxError, RefusedError
from edge.inference.runtime import interpreter_class
from edge.mqtt.device_link import INFLIGHT_MAX, DeviceLink
from edge.mqtt.outgoing import Outgoing
from edge.runtime.assembly import Device
from edge.runtime.bounded import BoundedDict
from edge.runtime.erasure import Erasure
from edge.runtime.people_topics import PeopleTopics
from edge.storage.outbox import Entry, Outbox
from edge.storage.words import count_of
from edge.system.clock import rfc3339

log = logging.getLogger("limen")

LISTED_MAX = 100  # people in the state `gallery`, each with some 140 bytes
CORRECTABLE_MAX = 100  # events of this run that can be corrected, each with its sample: in memory, 40 kB each
INSTANCE_ID = uuid.uuid4().hex[:12]


class EventPublisher:
    """Publishes events and states; erases what broker, outbox and memory hold of a person who was removed."""

    def __init__(self, config: Config, device: Device, link: DeviceLink, topics: Topics, outbox: Outbox) -> None:
        self._config, self._device, self._link, self._topics, self._outbox = config, device, link, topics, outbox
        self.published = 0
        self._present: dict[str, str | None] = {}  # the person's id of each track; None is somebody unknown
        self._last: Seen | None = None
        self._undecided = False
        gallery = device.recognizer.gallery
        self._known = {person_id: gallery.given_count(person_id) for person_id in gallery.people}
        gallery.take_changed()
        self._enrolled, self._changed = Names(gallery.people), list[str]()
        self.people = PeopleTopics(config, link, self._enrolled)
        self._recent = BoundedDict[str, Event](CORRECTABLE_MAX)
        self._deadlines = BoundedDict[int, float](config.mqtt.outbox_events_max)
        self._connections = 0
        self.erasure = Erasure(
            {
                "the outbox": self._redact_outbox,
                "the samples of recent events": self._clear_recent,
                "the history": device.history.erase,
                "the broker": self._update_topics,
            }
        )
        self._redaction_due = True  # somebody may have been removed while this did not run
        self._redacted()

    def publish(self, event: Event, frame: Frame | None = None) -> str:
        """Send an event, keep it in the history, and update who is present. frame: the newest. Returns the id."""
        event_id, ts = self._send(event, frame)
        self._update_presence(event, ts)
        return event_id

    def _update_presence(self, event: Event, ts: str) -> None:
        if event.event_type == "low_quality" or event.track is None:
            return
        if event.phase == "end" or (event.event_type == "ignored" and event.person_id is None):
            self._present.pop(event.track, None)
        else:
            self._present[event.track] = event.person_id
            self._last = Seen(name=event.name or UNKNOWN, ts=ts)
            if event.person_id is not None:
                self.people.see(event.person_id, ts)
        self._publish_presence()

    def update_undecided(self, *, undecided: bool) -> None:
        """Say whether a face is there of which nothing is decided yet."""
        if undecided != self._undecided:
            self._undecided = undecided
            self._publish_presence()

    def event(self, event_id: str) -> Event:
        """One of the newest events with a sample, or one that is kept. Raises RefusedError with no_such_event."""
        if event_id in self._recent:
            return self._recent[event_id]
        try:
            return self._device.history.event(event_id)
        except RefusedError as refusal:
            if refusal.code != Code.NO_SUCH_EVENT:
                raise
            raise RefusedError(
                Code.NO_SUCH_EVENT,
                f"{refusal}, nor has it a sample among the newest {CORRECTABLE_MAX} since the device started",
            ) from refusal

    def drop_samples(self, event_ids: Iterable[str]) -> None:
        """Drop the samples of these events: their visit was removed."""
        for event_id in event_ids:
            self._recent.pop(event_id, None)

    def _send(self, event: Event, frame: Frame | None = None) -> tuple[str, str]:
        """Have the outbox number an event and keep it until it is delivered; returns its id and time."""
        self.published += 1
        now = time.time()
        ts, clock_set = rfc3339(now), self._device.clock_set
        expiry_seconds = self._config.mqtt.event_expiry_seconds
        entry = self._outbox.put(
            lambda seq, event_id: event_message(
                event, event_id, seq, ts, self._device.model, clock_set=clock_set
            ).json(),
            now + expiry_seconds,
        )
        self._deadlines[entry.seq] = time.monotonic() + expiry_seconds
        if event.sample is not None:
            visit = self._device.history.visit(event.track, entry.event_id)
            self._recent[entry.event_id] = replace(event, visit=visit, candidate=None)
        self._device.history.note(entry.event_id, now, clock_set, event, frame)
        self.deliver()
        # Ids, and names where that is asked for: nobody can be erased from the system's journal.
        who = event.event_type if event.person_id is None else event.person_id
        if self._config.log.names and event.name is not None:
            who = f"{who} {event.name}"
        log.info("%s %s %s: %s", event.track or event.event_type, event.phase, who, event.why)
        return entry.event_id, ts

    def deliver(self) -> None:
        """Hand waiting events to the link, a few at a time, and drop what the broker acknowledged."""
        self.drop_delivered()
        self.people.tick()
        if not self._link.connected or not self._redacted():
            return
        if self._connections != self._link.connections:
            self._connections = self._link.connections
            self._outbox.rewind()
        for entry in self._outbox.take(INFLIGHT_MAX - self._link.depth):
            late = self._topics.of("event/late")
            self._link.send(
                Outgoing(self._topics.of("event"), entry.payload, self._deadline(entry), late, token=entry.seq)
            )

    def drop_delivered(self) -> None:
        """Drop the events that the broker acknowledged."""
        numbers = drained(self._link.delivered)
        self._outbox.delivered(numbers)
        for seq in numbers:
            self._deadlines.pop(seq, None)

    def _deadline(self, entry: Entry) -> float:
        """On the monotonic clock. A Pi has no clock at boot: its time of day may be hours behind, and then jump.

        So an event of this run expires by the monotonic clock. One of an earlier run is sent as new only where the
        clock is known to be set: a Pi boots with the time at which it was switched off, and an event of hours ago looks
        like one of just now.
        """
        if entry.seq in self._deadlines:
            return self._deadlines[entry.seq]
        remaining = entry.expires_at - time.time()
        if remaining > self._config.mqtt.event_expiry_seconds or not self._device.clock_set:
            remaining = 0.0
        return time.monotonic() + remaining

    def publish_states(self) -> None:
        """Publish info, config, discovery, gallery and presence."""
        detector, embedder = self._device.detector.card, self._device.embedder.card
        recognizer = self._device.recognizer
        info = Info(
            version=edge.__version__,
            instance=INSTANCE_ID,
            detector=Model(name=detector.name, sha256=detector.sha256),
            embedder=Encoder(name=embedder.name, sha256=embedder.sha256, dimension=embedder.dimension),
            tau=round(recognizer.gallery.tau, 4),
            fpir=self._device.fpir,
            runtime=interpreter_class().__module__.split(".")[0],
        )
        self._link.publish_state("info", info.json())
        self._link.publish_state("config", Settings(recognition=recognizer.recognizing, fpir=self._device.fpir).json())
        self.people.publish_discovery()
        gallery = GalleryMessage(
            people=recognizer.people.summaries(LISTED_MAX),
            model=self._device.model,
            count=len(recognizer.gallery.people),
        )
        self._link.publish_state("gallery", gallery.json())
        self._publish_presence()

    def publish_people(self) -> None:
        """Publish who was enrolled or removed since the last call; of the removed, erase everything."""
        self._drop_purged()
        gallery, names = self._device.recognizer.gallery, self.people.names
        changed = gallery.take_changed()
        removed = {one: names[one] for one in changed if one in names and one not in gallery.people}
        present = [gallery.people[one] for one in changed if one in gallery.people]
        new = {person.person_id for person in present} - names.keys()
        self._changed = changed
        if removed:
            self.erasure.erase(removed, self._enrolled)
        self._update_topics(removed, self._enrolled)
        for person in present:
            before, now = self._known.get(person.person_id, 0), gallery.given_count(person.person_id)
            self._known[person.person_id] = now
            # Not where templates of another model were made again: then there were none before.
            if now > before and (before or person.person_id in new):
                why = f"{count_of(now - before, 'template')} added"
                self._send(person_event("enrolled", person.person_id, person.name, time.monotonic(), why))
        for person_id in removed:
            self._known.pop(person_id, None)
            self._send(person_event("forgotten", person_id, None, time.monotonic(), "the person was removed"))
        self.publish_states()

    def _drop_purged(self) -> None:
        """Drop recent events of strangers who were purged: a correction could enroll them."""
        strangers = self._device.recognizer.people.strangers
        kept = set() if strangers is None else {stranger.stranger_id for stranger in strangers.list()}
        for event_id in [one for one, event in self._recent.items() if event.stranger not in {None, *kept}]:
            del self._recent[event_id]

    def publish_health(self, health: Health) -> None:
        """Publish health, also where nothing changed: a subscriber sees that the device still runs."""
        self._link.publish_retained(self._topics.of("health"), health.json(), qos=0, again=True)

    def _publish_presence(self) -> None:
        people = sorted({self.people.names.get(person_id or "", UNKNOWN) for person_id in self._present.values()})
        people += [SOMEBODY] if self._undecided else []
        presence = Presence(state=", ".join(people) or "nobody", people=people, last=self._last)
        self._link.publish_state("presence", presence.json())

    def _redact_outbox(self, removed: Mapping[str, str], enrolled: Mapping[str, str]) -> None:
        """Take everybody who is not enrolled out of the events that wait. Raises OutboxError."""
        self._redaction_due = True
        self._outbox.revise(redaction(enrolled))
        if self._outbox.problem is not None:
            raise OutboxError(self._outbox.problem)
        self._redaction_due = False
        if removed:
            self._outbox.erase_set_aside()

    def _redacted(self) -> bool:
        """Whether no event that waits names somebody who was removed; tries again where it could not be done."""
        if self._redaction_due:
            with suppress(OutboxError):
                self._redact_outbox({}, self.people.names)
        return not self._redaction_due

    def _clear_recent(self, _removed: Mapping[str, str], _enrolled: Mapping[str, str]) -> None:
        """Drop the samples of recent events: nobody can tell which of them are of the person."""
        self._recent.clear()

    def _update_topics(self, _removed: Mapping[str, str], enrolled: Mapping[str, str]) -> None:
        """Clear retained topics and discovery of people who are no more, or have another name."""
        self.people.update(enrolled, self._changed)
        if self._last is not None and self._last.name != UNKNOWN:
            person = self._device.recognizer.gallery.find(self._last.name)
            if person is None or person.name != self._last.name:
                self._last = None


class Names(Mapping[str, str]):
    """The names of people as they are now, by person id."""

    def __init__(self, people: Mapping[str, Person]) -> None:
        self._people = people

    def __getitem__(self, person_id: str) -> str:
        return self._people[person_id].name

    def __iter__(self) -> Iterator[str]:
        return iter(self._people)

    def __len__(self) -> int:
        return len(self._people)


def drained(queue: deque[int]) -> list[int]:
    """Everything in the queue, taken out."""
    taken = []
    while queue:
        taken.append(queue.popleft())
    return taken
