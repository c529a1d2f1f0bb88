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
