"""What the broker and Home Assistant have of each person: a topic and a sensor of their own."""

import re
import time
from collections.abc import Iterable, Mapping
from itertools import islice

import msgspec

import edge
from edge.api.discovery import SEEN, discovery_json, discovery_topic
from edge.api.messages import PersonSeen
from edge.config import Config
from edge.core.names import level_of, slug_of
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
        self.names: dict[str, str] = {}
        self._slugs: dict[str, str | None] = {}
        self._alike: dict[str, set[str]] = {}  # person ids by slug
        self._levels: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._take_names(names, names)
        self._introduced = self._newest()
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

    def update(self, names: Mapping[str, str], changed: Iterable[str]) -> None:
        """Move, add and clear topics and sensors after people were enrolled, renamed or removed.

        names: of everybody, by person id; changed: ids of all whose names may be others than before
        """
        changed = [one for one in changed if names.get(one) != self.names.get(one)]
        if not changed:
            return
        moved = self._take_names(names, changed)
        for level in moved.values():
            self._link.clear_state(f"person/{level}")
        for person_id in dict.fromkeys([*changed, *moved]):
            if person_id not in names:
                self._last_seen.pop(person_id, None)
            elif person_id in self._last_seen:
                self._publish(person_id)
        before, self._introduced = self._introduced, self._newest()
        if self._remove(before):
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
        if owner is None and level not in self._removed:  # else Home Assistant was told, and this is an echo
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
                self._introduced,
                gone_now,
                image=self._config.mqtt.image_last,
                asks=not self._signed,
            )
            for gone_now in ([gone, []] if gone else [[]])
        ]
        before = payloads[0] if gone else None
        self._link.publish_retained(topic, payloads[-1], again=again, before=before)

    def _newest(self) -> dict[str, str]:
        """Names by level of those who have a sensor, in the order of enrollment."""
        newest = list(islice(reversed(self.names), self._config.home_assistant.people_max))
        return {self._levels[person_id]: self.names[person_id] for person_id in reversed(newest)}

    def _take_names(self, names: Mapping[str, str], changed: Iterable[str]) -> dict[str, str]:
        """Name some people anew. Returns the levels that somebody had and has no longer, by person id.

        The levels of those who share a slug with them, or did, follow: see edge.core.names.levels_of.
        """
        touched: dict[str, None] = {}
        for person_id in changed:
            slugs = [self._slugs.pop(person_id, None)]
            if person_id in names:
                self.names[person_id], self._slugs[person_id] = names[person_id], slug_of(names[person_id])
                slugs.append(self._slugs[person_id])
            else:
                self.names.pop(person_id, None)
            touched[person_id] = None
            for slug, belongs in zip(slugs, (False, True), strict=False):
                if slug is not None:
                    alike = self._alike.setdefault(slug, set())
                    touched |= dict.fromkeys(sorted(alike)[:2])  # of more, each has a level of their id already
                    (alike.add if belongs else alike.discard)(person_id)
                    touched |= dict.fromkeys(sorted(alike)[:2])
                    if not alike:
                        del self._alike[slug]
        levels = {one: self._level(one) for one in touched if one in self._slugs}
        moved = {one: self._levels[one] for one in touched if levels.get(one) != self._levels.get(one, levels.get(one))}
        for person_id, level in moved.items():
            del self._levels[person_id], self._owners[level]
        for person_id, level in levels.items():
            self._levels[person_id], self._owners[level] = level, person_id
        return moved

    def _level(self, person_id: str) -> str:
        slug = self._slugs[person_id]
        return slug if slug is not None and len(self._alike[slug]) == 1 else level_of(person_id)

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
        """Note which levels have no sensor any more. Returns whether there are any."""
        # Anything else is no topic of ours, and no sensor in Home Assistant.
        gone = [level for level in levels if level not in self._introduced and LEVEL.fullmatch(level)]
        for level in gone:
            self._removed[level] = None
        for level in self._introduced.keys() & self._removed.keys():
            del self._removed[level]
        return bool(gone)


def seen_of(payload: bytes) -> PersonSeen | None:
    """When somebody was last seen; None where that is not said."""
    try:
        seen = msgspec.json.decode(payload, type=PersonSeen)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return seen if TIME.fullmatch(seen.last_seen) else None
