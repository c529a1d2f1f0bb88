"""What a broker takes: sizes and topics. They are checked before anything is sent: the rest ends the connection."""

from dataclasses import dataclass
from typing import NamedTuple

TOPIC_BYTES_MAX = 65_535  # MQTT 5, 1.5.4
LEVELS_MAX = 200  # of mosquitto; a deeper topic ends the connection
# Fixed header 5, length of the topic 2, packet identifier 2, length of the properties 2, expiry 5: MQTT 5, 3.3.
HEAD_BYTES = 16
CORRELATION_HEAD_BYTES = 3


class TooLarge(NamedTuple):
    """The broker does not take a message for its size. limit, size: bytes of the packet that holds it."""

    limit: int
    size: int

    def __str__(self) -> str:
        return f"the message has {self.size} bytes; the broker takes {self.limit}"


class BadTopic(NamedTuple):
    """No broker takes a message on this topic."""

    reason: str

    def __str__(self) -> str:
        return self.reason


Refusal = TooLarge | BadTopic


@dataclass(frozen=True)
class Limits:
    """What the broker allows: its CONNACK (MQTT 5, 3.2.2.3), or what is configured for a broker that does not say.

    packet_bytes: of one packet, None where no limit is known; qos, retain: of messages to it; wildcards: in filters;
    inflight: messages of QoS 1 that may be unacknowledged at once
    """

    packet_bytes: int | None = None
    qos: int = 1
    retain: bool = True
    wildcards: bool = True
    inflight: int = 65_535


def topic_problem(topic: str) -> str | None:
    """Why no message can be published on this topic; None where one can."""
    size, levels = len(topic.encode(errors="surrogatepass")), topic.count("/") + 1
    if not topic or "+" in topic or "#" in topic:
        return "the topic is empty or has a wildcard"
    if size > TOPIC_BYTES_MAX:
        return f"the topic has {size} bytes; MQTT allows {TOPIC_BYTES_MAX}"
    if levels > LEVELS_MAX:
        return f"the topic has {levels} levels; {LEVELS_MAX} are allowed"
    if any(not letter.isprintable() and is_forbidden(ord(letter)) for letter in topic):
        return "the topic has a control character, a surrogate or a non-character"
    return None


def is_forbidden(point: int) -> bool:
    """Whether a broker may end the connection for a code point in a topic (MQTT 5, 1.5.4); mosquitto does."""
    control, surrogate = point < 0x20 or 0x7F <= point < 0xA0, 0xD800 <= point < 0xE000
    return control or surrogate or 0xFDD0 <= point < 0xFDF0 or point & 0xFFFE == 0xFFFE


def packet_bytes(topic: str, payload: bytes, correlation: bytes | None = None) -> int:
    """An upper bound of the bytes of a PUBLISH packet."""
    correlated = 0 if correlation is None else CORRELATION_HEAD_BYTES + len(correlation)
    return HEAD_BYTES + len(topic.encode()) + correlated + len(payload)
