"""Takes a person who was removed out of an event that was not delivered yet."""

from collections.abc import Callable, Container, Mapping

import msgspec

from edge.core.evidence import UNKNOWN


def redaction(people: Mapping[str, str]) -> Callable[[bytes], bytes | None]:
    """redacted_event for these people, names by id, as they are now; many events may wait."""
    names = frozenset(people.values())
    return lambda payload: redacted_event(payload, people, names)


def redacted_event(payload: bytes, people: Container[str], enrolled: frozenset[str]) -> bytes | None:
    """The event without anybody who is not enrolled; None where it is about one of them.

    people: their ids; enrolled: their names. Read as plain JSON: an event of another version of limen may wait as well.
    """
    try:
        event = msgspec.json.decode(payload)
        about, runner_up, votes = event["person_id"], event["runner_up"], event["votes"]
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, KeyError):
        return payload
    if about is not None and about not in people and event["event_type"] != "forgotten":
        return None
    names = {event["name"], UNKNOWN}
    if runner_up is not None and runner_up["name"] not in enrolled and runner_up["name"] not in names:
        event["runner_up"] = event["margin"] = None
    event["votes"] = {name: count for name, count in votes.items() if name in enrolled or name in names}
    return payload if (event["runner_up"], event["votes"]) == (runner_up, votes) else msgspec.json.encode(event)


def without_person(payload: bytes, person_id: str, name: str) -> bytes | None:
    """An event without a person; None where it is about them.

    Of other events, the runner-up and the votes for other names go too: they may hold an earlier name of the person. An
    event is read as plain JSON, for one of another version of limen may wait; such a one is deleted where it holds the
    name.
    """
    try:
        event = msgspec.json.decode(payload)
        own, kind = {event["name"], UNKNOWN}, event["event_type"]
        if kind != "forgotten" and (event["person_id"] == person_id or event["name"] == name):
            return None
        votes = {voted: count for voted, count in event["votes"].items() if voted in own}
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, KeyError, AttributeError):
        return None if name.encode() in payload else payload
    if event["votes"] == votes and event.get("runner_up") is None:
        return payload
    return msgspec.json.encode({**event, "runner_up": None, "margin": None, "votes": votes})
