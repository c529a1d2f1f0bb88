"""The publisher: what the device says, and to whom the broker still has to hand it."""

import logging
import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

import edge
from edge.api.discovery import discovery_json, discovery_topic
from edge.api.messages import (
    Encoder,
    GalleryMessage,
    Health,
    Info,
    Known,
    Model,
    PersonSeen,
    Presence,
    Seen,
    Settings,
    event_json,
)
from edge.api.redaction import redacted_event
from edge.api.topics import Topics
from edge.config import Config
from edge.core.events import person_event
from edge.core.names import slug_of
from edge.core.tracker import UNKNOWN
from edge.core.types import Event, Person
from edge.errors import RefusedError
from edge.inference.runtime import interpreter_class
from edge.mqtt.device_link import INFLIGHT_MAX, DeviceLink, Outgoing
from edge.runtime.assembly import Device
from edge.storage.outbox import Entry, Outbox

log = logging.getLogger("limen")

CORRECTABLE_MAX = 100  # events that can be corrected, each with its look: in memory alone, 40 kB each


class EventPublisher:
    """Events through the outbox, states as they are now; of who is forgotten, nothing."""

    def __init__(self, config: Config, device: Device, link: DeviceLink, topics: Topics, outbox: Outbox) -> None:
        self._config, self._device, self._link, self._topics, self._outbox = config, device, link, topics, outbox
        self.published = 0
        self._present: dict[str, str | None] = {}  # who each track is, by their id; None is somebody unknown
        self._last: Seen | None = None
        self._known = self._people()
        self._recent_events: dict[str, Event] = {}
        self._asks = config.mqtt.signing_key() is None  # Home Assistant cannot sign
        self._gone: set[str] = set()  # slugs of people who were forgotten while this ran
        self._deadlines: dict[int, float] = {}
        self._connections = 0
        self._withhold()  # somebody may have been forgotten while this did not run

    def publish(self, event: Event) -> None:
        """Send an event, and say who is there now."""
        ts = self._send(event)
        if event.kind == "low_quality":
            return
        person = event.person
        if event.phase == "end" or (event.kind == "ignored" and person is None):
            self._present.pop(event.track, None)
        else:
            self._present[event.track] = None if person is None else person.person_id
            self._last = Seen(name=UNKNOWN if person is None else person.name, ts=ts)
            if person is not None and slug_of(person.name) in self._slugs_known():
                self._link.publish_state(
                    f"person/{slug_of(person.name)}", PersonSeen(name=person.name, last_seen=ts).json()
                )
        self._say_presence()

    def event(self, event_id: str) -> Event:
        """One of the newest events of this run that had a look at somebody. Raises RefusedError with no_such_event."""
        if event_id not in self._recent_events:
            raise RefusedError(
                "no_such_event",
                f"of the newest {CORRECTABLE_MAX} looks since the device started, none is event {event_id}",
            )
        return self._recent_events[event_id]

    def _send(self, event: Event) -> str:
        """Date an event, have the outbox number and keep it until it is delivered; returns its time."""
        self.published += 1
        now = datetime.now(UTC)
        ts = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        expiry_seconds = self._config.mqtt.event_expiry_seconds
        entry = self._outbox.put(
            lambda seq, event_id: event_json(event, event_id, seq, ts, self._device.model),
            now.timestamp() + expiry_seconds,
        )
        self._deadlines[entry.seq] = time.monotonic() + expiry_seconds
        if len(self._deadlines) > self._config.mqtt.outbox_events_max:
            del self._deadlines[next(iter(self._deadlines))]
        if event.shot is not None:
            self._recent_events[entry.event_id] = event
            if len(self._recent_events) > CORRECTABLE_MAX:
                del self._recent_events[next(iter(self._recent_events))]
        self.deliver()
        # Never a name: nobody can be forgotten by the system's journal.
        who = event.kind if event.person is None else event.person.person_id
        log.info("%s %s %s: %s", event.track or event.kind, event.phase, who, event.why)
        return ts

    def deliver(self) -> None:
        """Hand what waits in the outbox to the link, a few at a time, and forget what the broker has."""
        self.drop_delivered()
        if not self._link.connected:
            return
        if self._connections != self._link.connections:
            self._connections = self._link.connections
            self._outbox.rewind()
            if self._gone:
                self.publish_discovery(gone=self._gone)
        for entry in self._outbox.take(INFLIGHT_MAX - self._link.depth):
            late = self._topics.of("event/late")
            self._link.send(
                Outgoing(self._topics.of("event"), entry.payload, self._deadline(entry), late, token=entry.seq)
            )

    def drop_delivered(self) -> None:
        """What the broker has need not wait any more."""
        numbers = drained(self._link.delivered)
        self._outbox.delivered(numbers)
        for seq in numbers:
            self._deadlines.pop(seq, None)

    def _deadline(self, entry: Entry) -> float:
        """On the monotonic clock. A Pi has no clock at boot: its time of day may be hours behind, and then jump.

        So an event of this run expires by the monotonic clock. One of an earlier run that would be valid for longer
        than any event is shows that the clock is not set yet: it is old, and must not fire as if it were new.
        """
        now = time.monotonic()
        remaining = entry.expires_at - time.time()
        if remaining > self._config.mqtt.event_expiry_seconds:
            remaining = 0.0
        return self._deadlines.get(entry.seq, now + remaining)

    def publish_states(self) -> None:
        """What the device is, whom it knows, what is set and who is there."""
        detector, embedder, gallery = (
            self._device.detector.card,
            self._device.embedder.card,
            self._device.recognizer.gallery,
        )
        info = Info(
            version=edge.__version__,
            detector=Model(name=detector.name, sha256=detector.sha256),
            embedder=Encoder(name=embedder.name, sha256=embedder.sha256, dimension=embedder.dimension),
            tau=round(gallery.tau, 4),
            runtime=interpreter_class().__module__.split(".")[0],
        )
        self._link.publish_state("info", info.json())
        self._link.publish_state("config", Settings(recognition=self._device.recognizer.recognizing).json())
        self.publish_discovery()
        people = [Known(**person) for person in self._device.recognizer.people.people()]
        self._link.publish_state("gallery", GalleryMessage(people=people, model=self._device.model).json())
        self._say_presence()

    def publish_people(self) -> None:
        """Who is new, and who is known no longer: of them nothing is said any more, and the broker keeps nothing."""
        before, self._known = self._known, self._people()
        slugs = self._slugs_known()
        gone = {slug_of(name) for name, _ in before.values()} - slugs
        for slug in gone:
            self._gone.add(slug)
            self._link.clear_state(f"person/{slug}")
            if self._last is not None and slug_of(self._last.name) == slug:
                self._last = None
        self._gone -= slugs
        if gone:
            self.publish_discovery(gone=gone)
        if before.keys() - self._known.keys():
            self._withhold()
            self._recent_events.clear()  # of whom each look is, nobody can say
        for person_id, (name, templates) in self._known.items():
            _, had = before.get(person_id, (name, 0))
            new = templates - had
            if new > 0 and (had or person_id not in before):  # not where another model's were made anew
                why = f"{new} template{'s' if new > 1 else ''} more"
                self._send(person_event("enrolled", Person(person_id, name), time.monotonic(), why))
        for person_id in before.keys() - self._known.keys():
            name, _ = before[person_id]
            self._send(person_event("forgotten", Person(person_id, name), time.monotonic(), "not known any more"))
        self.publish_states()

    def clear_unknown_person(self, slug: str) -> None:
        """The broker keeps something of a person: of one who was forgotten while nobody could tell it, no longer."""
        if slug not in self._slugs_known():
            self._gone.add(slug)
            self._link.clear_retained(f"person/{slug}")
            self.publish_discovery(gone={slug})

    def publish_discovery(self, *, again: bool = False, gone: Iterable[str] = ()) -> None:
        """Tell Home Assistant of the device and of whom it knows.

        gone: slugs of people whose sensor goes. What takes it away names them, so it is not what the broker keeps.
        again: also what it was told before, and everybody who is gone
        """
        settings = self._config.home_assistant
        if not settings.discovery:
            return
        topic = discovery_topic(settings.prefix, self._config.device)
        names = [person.name for person in self._device.recognizer.gallery.people.values()]
        slugs = sorted(self._gone if again else gone)
        for going in (slugs, []) if slugs else ([],):
            told = discovery_json(
                self._topics,
                edge.__version__,
                names,
                going,
                image=self._config.mqtt.image_last,
                asks=self._asks,
            )
            self._link.publish_retained(topic, told, again=again)

    def publish_health(self, health: Health) -> None:
        """How the device is; also where it is as it was, for whoever waits to hear that it still is."""
        self._link.publish_retained(self._topics.of("health"), health.json(), qos=0, again=True)

    def _withhold(self) -> None:
        """Events that wait name nobody who is not known any more."""
        people = {person_id: name for person_id, (name, _) in self._known.items()}
        self._outbox.revise(lambda payload: redacted_event(payload, people))

    def _people(self) -> dict[str, tuple[str, int]]:
        """Name and number of templates by id."""
        return {who["person_id"]: (who["name"], who["templates"]) for who in self._device.recognizer.people.people()}

    def _slugs_known(self) -> set[str]:
        return {slug_of(name) for name, _ in self._known.values()}

    def _say_presence(self) -> None:
        known = self._device.recognizer.gallery.people
        people = sorted({known[who].name if who in known else UNKNOWN for who in self._present.values()})
        self._link.publish_state(
            "presence", Presence(state=", ".join(people) or "nobody", people=people, last=self._last).json()
        )


def drained(queue: deque) -> list:
    """Everything in it, taken out."""
    taken = []
    while queue:
        taken.append(queue.popleft())
    return taken
