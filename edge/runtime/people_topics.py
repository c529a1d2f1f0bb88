"""What the broker and Home Assistant have of each person: a topic and a sensor of their own."""

import re
import time
from collections.abc import Iterable, Mapping

import msgspec

import edge
from edge.api.discovery import SEEN, discovery_json, discovery_topic
from edge.api.messages import PersonSeen
from edge.config import Config
from edge.core.names import levels_of_slugs, slug_of
from edge.mqtt.device_link import DeviceLink
from edge.runtime.bounded import BoundedDict

LEVEL = re.compile(r"[a-z0-9_-]{1,200}")
AGAIN_SECONDS = 2.0  # after the last message that was cleared
AGAIN_MAX = 20  # times over one connection: a broker may not let us clear what it lets us hear
REMOVED_MAX = 1000  # levels that nobody has any more, or that the broker still had
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{8,20}Z")


class Introduced(msgspec.Struct):
    """What is read of a discovery message."""

    cmps: dict[str, dict[str, object]]


class PeopleTopics:
    """Publishes when each person was last seen, and their sensors; clears both where nobody has them any more.

    names: of everybody, by person id
    """

    def __init__(self, config: Config, link: DeviceLink, names: Mapping[str, str]) -> None:
        self._config, self._link = config, link
        self._signed = config.mqtt.signing_key() is not None  # Home Assistant cannot sign
        self.names = dict(names)
        self._slugs = {person_id: slug_of(name) for person_id, name in names.items()}
        self._levels = levels_of_slugs(self._slugs)
        self._owners = {level: person_id for person_id, level in self._levels.items()}
        self._last_seen: dict[str, str] = {}  # by person id
        self._removed = BoundedDict[str, None](REMOVED_MAX)
        self._connections, self._unsaid = 0, False
        self._again_at: float | None = None
        self._again = 0

    def tick(self) -> None:
        """Once per pass of the loop: remove what was heard since the last one; after a new connection, all once more.

        Of many retained messages a broker sends the first thousand or so. So where some were cleared they are asked
        for again, until there is none to clear.
        """
        if not self._link.connected:
            return
        if self._connections != self._link.connections:
            self._connections, self._unsaid, self._again = self._link.connections, True, 0
        if self._unsaid:
            self._unsaid = False
            self.publish_discovery(removed=bool(self._removed))
        if self._again_at is not None and time.monotonic() >= self._again_at:
            self._again_at, self._again = None, self._again + 1
            self._link.hear_people_again()

    def see(self, person_id: str, ts: str) -> None:
        """Note when somebody was seen, and publish it of one who is enrolled."""
        if person_id in self.names:
            self._last_seen[person_id] = ts
            self._publish(person_id)

    def update(self, names: Mapping[str, str]) -> None:
        """Move, add and clear topics and sensors after people were enrolled, renamed or removed."""
        if names == self.names:
            return
        before, self.names, old = self.names, dict(names), self._levels
        self._slugs = {
            person_id: self._slugs[person_id] if before.get(person_id) == name else slug_of(name)
            for person_id, name in names.items()
        }
        self._levels = levels_of_slugs(self._slugs)
        self._owners = {level: person_id for person_id, level in self._levels.items()}
        moved = {person_id: level for person_id, level in old.items() if self._levels.get(person_id) != level}
        for level in moved.values():
            self._link.clear_state(f"person/{level}")
        self._last_seen = {person_id: ts for person_id, ts in self._last_seen.items() if person_id in names}
        for person_id in self._last_seen:
            if person_id in moved or before[person_id] != names[person_id]:
                self._publish(person_id)
        if self._remove(moved.values()):
            self.publish_discovery(removed=True)

    def hear(self, level: str, payload: bytes, *, retained: bool) -> None:
        """Clear a topic that the broker has and nobody, as of somebody who was removed while this did not run.

        Where it is of somebody whose topic is another one now, that one gets what it said.
        """
        owner = self._owners.get(level)
        if owner is None:
            self._link.clear_retained(f"person/{level}")
            if retained and self._again < AGAIN_MAX:
                self._again_at = time.monotonic() + AGAIN_SECONDS
        seen = seen_of(payload)
        if seen is not None:
            self._take_over(seen, owner)
        if owner is None:
            self._unsaid |= self._remove([level])

    def hear_introduction(self, payload: bytes) -> None:
        """Take the sensors out of Home Assistant that the broker's discovery message has, of people who are no more."""
        try:
            introduced = msgspec.json.decode(payload, type=Introduced)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        self._unsaid |= self._remove(
            key.removeprefix(SEEN)
            for key, component in introduced.cmps.items()
            if key.startswith(SEEN) and "stat_t" in component
        )

    def publish_discovery(self, *, again: bool = False, removed: bool = False) -> None:
        """Tell Home Assistant of the device and its people.

        removed: with the sensors that go; the message that removes them names them, so it is not the one that the
                 broker keeps
        again: also what was published before, and every sensor that went
        """
        settings = self._config.home_assistant
        if not settings.discovery:
            return
        topic = discovery_topic(settings.prefix, self._config.device)
        gone = sorted(self._removed) if again or removed else []  # all: one message may replace another
        payloads = [
            discovery_json(
                self._link.topics,
                edge.__version__,
                {self._levels[person_id]: name for person_id, name in self.names.items()},
                gone_now,
                image=self._config.mqtt.image_last,
                asks=not self._signed,
            )
            for gone_now in ([gone, []] if gone else [[]])
        ]
        before = payloads[0] if gone else None
        self._link.publish_retained(topic, payloads[-1], again=again, before=before)

    def _publish(self, person_id: str) -> None:
        seen = PersonSeen(name=self.names[person_id], last_seen=self._last_seen[person_id])
        self._link.publish_state(f"person/{self._levels[person_id]}", seen.json())

    def _take_over(self, seen: PersonSeen, owner: str | None) -> None:
        """Note what an earlier run said, unless somebody was seen since; owner: who has its topic now."""
        asked = self.names if owner is None else [owner]
        person_id = next((one for one in asked if self.names[one] == seen.name), None)
        if person_id is None or person_id in self._last_seen:
            return
        self._last_seen[person_id] = seen.last_seen
        if owner is None:
            self._publish(person_id)

    def _remove(self, levels: Iterable[str]) -> bool:
        """Note the sensors of levels that nobody has. Returns whether there are any."""
        # Anything else is no topic of ours, and no sensor in Home Assistant.
        gone = [level for level in levels if level not in self._owners and LEVEL.fullmatch(level)]
        for level in gone:
            self._removed[level] = None
        for level in self._owners.keys() & self._removed.keys():
            del self._removed[level]
        return bool(gone)


def seen_of(payload: bytes) -> PersonSeen | None:
    """When somebody was last seen; None where that is not said."""
    try:
        seen = msgspec.json.decode(payload, type=PersonSeen)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return seen if TIME.fullmatch(seen.last_seen) else None
