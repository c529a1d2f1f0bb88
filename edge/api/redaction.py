"""Takes a person who was removed out of an event that was not delivered yet."""

from collections.abc import Mapping

import msgspec

from edge.core.evidence import UNKNOWN


def redacted_event(payload: bytes, people: Mapping[str, str]) -> bytes | None:
    """The event without anybody who is not enrolled; None where it is about one of them.

    people: names by id. Read as plain JSON: an event of another version of limen may wait as well.
    """
    try:
        event = msgspec.json.decode(payload)
        about, runner_up, votes = event["person_id"], event["runner_up"], event["votes"]
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, KeyError):
        return payload
    if about is not None and about not in people and event["event_type"] != "forgotten":
        return None
    names = {*people.values(), event["name"], UNKNOWN}
    if runner_up is not None and runner_up["name"] not in names:
        event["runner_up"] = event["margin"] = None
    event["votes"] = {name: count for name, count in votes.items() if name in names}
    return payload if (event["runner_up"], event["votes"]) == (runner_up, votes) else msgspec.json.encode(event)
