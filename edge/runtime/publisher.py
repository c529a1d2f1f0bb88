"""What the device publishes: events through the outbox, states as they are now."""

import logging
import re
import time
import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress

import edge
from edge.api.discovery import discovery_json, discovery_topic
from edge.api.messages import (
    Encoder,
    GalleryMessage,
    Health,
    Info,
    Model,
    PersonSeen,
    Presence,
    Seen,
    Settings,
    event_message,
)
from edge.api.redaction import redacted_event
from edge.api.topics import Topics
from edge.config import Config
from edge.core.codes import Code
from edge.core.events import Event, person_event
from edge.core.evidence import UNKNOWN
from edge.core.names import slug_of
from edge.errors import OutboxError, RefusedError
from edge.inference.runtime import interpreter_class
from edge.mqtt.device_link import INFLIGHT_MAX, DeviceLink, Outgoing
from edge.runtime.assembly import Device
from edge.runtime.bounded import BoundedDict
from edge.runtime.erasure import Erasure
from edge.storage.outbox import Entry, Outbox
from edge.storage.words import count_of
from edge.system.clock import rfc3339

log = logging.getLogger("limen")

CORRECTABLE_MAX = 100  # events of this run that can be corrected, each with its sample: in memory, 40 kB each
SLUG = r"[a-z0-9-]{1,200}"
SLUGS_MAX = 1000  # of people who were removed while this ran, or whose topics the broker still had
INSTANCE_ID = uuid.uuid4().hex[:12]


class EventPublisher:
    """Publishes events and states; erases what broker, outbox and memory hold of a person who was removed."""

    def __init__(self, config: Config, device: Device, link: DeviceLink, topics: Topics, outbox: Outbox) -> None:
        self._config, self._device, self._link, self._topics, self._outbox = config, device, link, topics, outbox
        self.published = 0
        self._present: dict[str, str | None] = {}  # the person's id of each track; None is somebody unknown
        self._last: Seen | None = None
        self._known = self._templates()
        self._names = self._enrolled()
        self._recent = BoundedDict[str, Event](CORRECTABLE_MAX)
        self._signed = config.mqtt.signing_key() is not None  # Home Assistant cannot sign
        self._removed_slugs = BoundedDict[str, None](SLUGS_MAX)
        self._deadlines = BoundedDict[int, float](config.mqtt.outbox_events_max)
        self._connections = 0
        self.erasure = Erasure(
            {
                "the outbox": self._redact_outbox,
                "the samples of recent events": self._clear_recent,
                "the broker": self._clear_topics,
            }
        )
        self._redaction_due = True  # somebody may have been removed while this did not run
        self._redacted()

    def publish(self, event: Event) -> None:
        """Send an event, and update who is present."""
        ts = self._send(event)
        if event.event_type == "low_quality" or event.track is None:
            return
        if event.phase == "end" or (event.event_type == "ignored" and event.person_id is None):
            self._present.pop(event.track, None)
        else:
            self._present[event.track] = event.person_id
            self._last = Seen(name=event.name or UNKNOWN, ts=ts)
            if event.name is not None and event.person_id in self._names:
                self._link.publish_state(
                    f"person/{slug_of(event.name)}", PersonSeen(name=event.name, last_seen=ts).json()
                )
        self._publish_presence()

    def event(self, event_id: str) -> Event:
        """One of the newest events of this run with a sample. Raises RefusedError with no_such_event."""
        if event_id not in self._recent:
            raise RefusedError(
                Code.NO_SUCH_EVENT,
                f"none of the newest {CORRECTABLE_MAX} events with a sample since the device started is {event_id}",
            )
        return self._recent[event_id]

    def _send(self, event: Event) -> str:
        """Have the outbox number an event and keep it until it is delivered; returns its time."""
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
            self._recent[entry.event_id] = event
        self.deliver()
        # Ids, never names: nobody could be erased from the system's journal.
        who = event.event_type if event.person_id is None else event.person_id
        log.info("%s %s %s: %s", event.track or event.event_type, event.phase, who, event.why)
        return ts

    def deliver(self) -> None:
        """Hand waiting events to the link, a few at a time, and drop what the broker acknowledged."""
        self.drop_delivered()
        if not self._link.connected or not self._redacted():
            return
        if self._connections != self._link.connections:
            self._connections = self._link.connections
            self._outbox.rewind()
            if self._removed_slugs:
                self.publish_discovery(removed=self._removed_slugs)
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

        So an event of this run expires by the monotonic clock. One of an earlier run that would be valid for longer
        than any event shows that the clock is not set yet: it is old, and must not be sent as if it were new.
        """
        now = time.monotonic()
        remaining = entry.expires_at - time.time()
        if remaining > self._config.mqtt.event_expiry_seconds:
            remaining = 0.0
        return self._deadlines.get(entry.seq, now + remaining)

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
        self.publish_discovery()
        gallery = GalleryMessage(people=recognizer.people.summaries(), model=self._device.model)
        self._link.publish_state("gallery", gallery.json())
        self._publish_presence()

    def publish_people(self) -> None:
        """Publish who was enrolled or removed since the last call; of the removed, erase everything."""
        before, names = self._known, self._names
        self._drop_purged()
        self._known, self._names = self._templates(), self._enrolled()
        removed = {person_id: name for person_id, name in names.items() if person_id not in self._names}
        renamed = {
            person_id: name
            for person_id, name in names.items()
            if person_id in self._names and slug_of(name) != slug_of(self._names[person_id])
        }
        if removed:
            self.erasure.erase(removed, self._names)
        if renamed:
            self.clear_topics(renamed)
        for person_id, name in self._names.items():
            added = self._known.get(person_id, 0) - before.get(person_id, 0)
            # Not where templates of another model were made again: then there were none before.
            if added > 0 and (before.get(person_id) or person_id not in names):
                why = f"{count_of(added, 'template')} added"
                self._send(person_event("enrolled", person_id, name, time.monotonic(), why))
        for person_id in removed:
            self._send(person_event("forgotten", person_id, None, time.monotonic(), "the person was removed"))
        self.publish_states()

    def _drop_purged(self) -> None:
        """Drop recent events of strangers who were purged: a correction could enroll them."""
        strangers = self._device.recognizer.people.strangers
        kept = set() if strangers is None else {stranger.stranger_id for stranger in strangers.list()}
        for event_id in [one for one, event in self._recent.items() if event.stranger not in {None, *kept}]:
            del self._recent[event_id]

    def clear_unknown_person(self, slug: str) -> None:
        """Clear a retained topic of somebody who was removed while this could not reach the broker."""
        if slug not in self._slugs():
            self._link.clear_retained(f"person/{slug}")
            if re.fullmatch(SLUG, slug):  # anything else is no topic of ours, and no sensor in Home Assistant
                self._note_removed([slug])
                self.publish_discovery(removed={slug})

    def clear_topics(self, people: Mapping[str, str]) -> None:
        """Clear the topics under names that nobody has any more; people: names by person id."""
        slugs = {slug_of(name) for name in people.values()} - self._slugs()
        self._note_removed(slugs)
        for slug in slugs:
            self._link.clear_state(f"person/{slug}")
        if self._last is not None and slug_of(self._last.name) in slugs:
            self._last = None
        if slugs:
            self.publish_discovery(removed=slugs)

    def publish_discovery(self, *, again: bool = False, removed: Iterable[str] = ()) -> None:
        """Tell Home Assistant of the device and its people.

        removed: slugs of people whose sensor goes; the message that removes it names them, so it is not the one that
                 the broker keeps
        again: also what was published before, and every removed slug
        """
        settings = self._config.home_assistant
        if not settings.discovery:
            return
        topic = discovery_topic(settings.prefix, self._config.device)
        slugs = sorted(self._removed_slugs) if again or removed else []  # all: one message may replace another
        payloads = [
            discovery_json(
                self._topics,
                edge.__version__,
                self._names.values(),
                removed_now,
                image=self._config.mqtt.image_last,
                asks=not self._signed,
            )
            for removed_now in ([slugs, []] if slugs else [[]])
        ]
        before = payloads[0] if slugs else None
        self._link.publish_retained(topic, payloads[-1], again=again, before=before)

    def publish_health(self, health: Health) -> None:
        """Publish health, also where nothing changed: a subscriber sees that the device still runs."""
        self._link.publish_retained(self._topics.of("health"), health.json(), qos=0, again=True)

    def _note_removed(self, slugs: Iterable[str]) -> None:
        for slug in slugs:
            self._removed_slugs[slug] = None
        for slug in self._slugs() & self._removed_slugs.keys():
            del self._removed_slugs[slug]

    def _templates(self) -> dict[str, int]:
        """How many templates each person has, by id."""
        return self._device.recognizer.gallery.template_counts()

    def _enrolled(self) -> dict[str, str]:
        """Names by person id."""
        return {person_id: person.name for person_id, person in self._device.recognizer.gallery.people.items()}

    def _slugs(self) -> set[str]:
        return {slug_of(name) for name in self._names.values()}

    def _publish_presence(self) -> None:
        people = sorted({self._names.get(person_id or "", UNKNOWN) for person_id in self._present.values()})
        presence = Presence(state=", ".join(people) or "nobody", people=people, last=self._last)
        self._link.publish_state("presence", presence.json())

    def _redact_outbox(self, _removed: Mapping[str, str], enrolled: Mapping[str, str]) -> None:
        """Take everybody who is not enrolled out of the events that wait. Raises OutboxError."""
        self._redaction_due = True
        self._outbox.revise(lambda payload: redacted_event(payload, enrolled))
        if self._outbox.problem is not None:
            raise OutboxError(self._outbox.problem)
        self._redaction_due = False

    def _redacted(self) -> bool:
        """Whether no event that waits names somebody who was removed; tries again where it could not be done."""
        if self._redaction_due:
            with suppress(OutboxError):
                self._redact_outbox({}, self._names)
        return not self._redaction_due

    def _clear_recent(self, _removed: Mapping[str, str], _enrolled: Mapping[str, str]) -> None:
        """Drop the samples of recent events: nobody can tell which of them are of the person."""
        self._recent.clear()

    def _clear_topics(self, removed: Mapping[str, str], _enrolled: Mapping[str, str]) -> None:
        """Clear retained topics and discovery."""
        self.clear_topics(removed)


def drained(queue: deque[int]) -> list[int]:
    """Everything in the queue, taken out."""
    taken = []
    while queue:
        taken.append(queue.popleft())
    return taken
