"""A message of the device: while it waits, and while it is under way."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from edge.mqtt.states import State
from edge.mqtt.suspects import Key


@dataclass
class Outgoing:
    """A message that waits to be delivered.

    expires_at: on the monotonic clock; later it goes to late_topic
    token: by which the sender knows it when it is done with
    retain: the broker keeps it; a lost connection loses it, and the sender has a newer one by then
    instead: the payload that is sent in its place where it is too large for the broker
    """

    topic: str
    payload: bytes
    expires_at: float | None = None
    late_topic: str | None = None
    correlation: bytes | None = None
    token: int | None = None
    retain: bool = False
    instead: bytes | None = None

    @property
    def key(self) -> Key:
        """What it is known by when it is suspected; an event comes again as another object."""
        return self.topic if self.token is None else self.token

    def smaller(self) -> "Outgoing | None":
        """What is sent in its place; None where there is nothing."""
        return None if self.instead is None else replace(self, payload=self.instead, instead=None)


class Sent(NamedTuple):
    """A message under way. size: bytes of its packet; neither message nor state: it is sent once and then forgotten."""

    key: Key
    size: int
    qos: int
    message: Outgoing | None = None
    state: State | None = None
