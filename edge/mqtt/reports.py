"""What passes between the network thread and the thread that owns a connection: values alone."""

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from edge.mqtt.limits import Limits


class Message(NamedTuple):
    """A message as it arrived."""

    topic: str
    payload: bytes
    retain: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None


class Publication(NamedTuple):
    """A message to publish. expiry_seconds, correlation, response_topic: with MQTT 5 alone."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    expiry_seconds: int | None = None
    correlation: bytes | None = None
    response_topic: str | None = None


class Subscription(NamedTuple):
    """A filter. fresh: no retained messages, and the flag of others as published; own: what this client publishes too.

    Both need MQTT 5.
    """

    filter: str
    fresh: bool = False
    own: bool = True


class Presence(NamedTuple):
    """The retained topic that says whether the client is connected: `online`, and `offline` by the Last Will."""

    topic: str
    online: bytes
    offline: bytes


class Session(NamedTuple):
    """What is the same for every connection of a client.

    receive: called by the network thread with every message; it must not wait
    """

    client_id: str
    receive: Callable[[Message], None]
    subscriptions: tuple[Subscription, ...]
    presence: Presence | None = None


class Attempt(NamedTuple):
    """How a connection is tried. number: how many connections there were before; the Last Will has a QoS and a flag."""

    version_5: bool
    number: int = 0
    will_qos: int = 1
    will_retain: bool = True


class Cause(Enum):
    """Why there is no connection."""

    UNREACHABLE = auto()  # no such host, no such port, no TLS with it
    REFUSED = auto()  # by CONNACK
    NO_CONNACK = auto()  # closed, or silent, after CONNECT
    TAKEN_OVER = auto()  # another client has the same client id
    BROKER = auto()  # the broker closed the connection and did not say that it has reasons of its own
    LEFT = auto()  # the broker stops, is busy, or sends clients away
    NETWORK = auto()  # nothing came for as long as keepalive allows
    STOPPED = auto()  # by stop()
    FAILED = auto()  # a fault of this program


class Lost(NamedTuple):
    """A connection ended, or none was made.

    code: the broker's reason code, 0 where it gave none; next_try: what is tried at once in place of it
    """

    cause: Cause
    text: str
    code: int = 0
    next_try: str = ""


class Connected(NamedTuple):
    """The broker accepted the connection. number: how many connections there were, with this one."""

    number: int
    version_5: bool
    limits: Limits


class Outcome(Enum):
    """What became of a publication."""

    DONE = auto()  # acknowledged; with QoS 0: written
    REFUSED = auto()  # by PUBACK
    NOT_SENT = auto()  # paho did not take it


class Receipt(NamedTuple):
    """What became of the publication with this ticket. code: the broker's reason code; text: of a failure."""

    ticket: int
    outcome: Outcome
    code: int = 0
    text: str = ""


class Subscribed(NamedTuple):
    """The broker answered a subscription. refused: the reason by filter."""

    filters: tuple[str, ...]
    refused: dict[str, str]


Report = Connected | Lost | Receipt | Subscribed
