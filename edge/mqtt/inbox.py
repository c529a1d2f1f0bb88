"""What came in and was not read yet: the network thread fills it, the door's empties it; it holds so much, no more."""

from collections import deque
from typing import NamedTuple

from paho.mqtt.client import MQTTMessage

COUNT_MAX = 256
BYTES_MAX = 16_000_000


class Incoming(NamedTuple):
    """A message as it came, not read yet.

    size: of the payload; one that is too large to be read is not kept; busy: nor is one for which there was no room
    """

    topic: str
    payload: bytes
    size: int
    retain: bool
    response_topic: str | None
    correlation: bytes | None
    busy: bool = False


class Inbox:
    """Messages in the order in which they came. Needs no lock: a deque has its own, and each count has one writer.

    message_bytes_max: of what is kept of one
    refused: how many did not fit at all
    """

    def __init__(self, message_bytes_max: int, count_max: int = COUNT_MAX, bytes_max: int = BYTES_MAX) -> None:
        self.message_bytes_max, self.count_max, self.bytes_max = message_bytes_max, count_max, bytes_max
        self.refused = 0
        self._messages: deque[Incoming] = deque()
        self._bytes_in = self._bytes_out = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: MQTTMessage) -> None:
        """For the network thread."""
        if len(self._messages) >= self.count_max:
            self.refused += 1
            return
        size = len(message.payload)
        kept = message.payload if size <= self.message_bytes_max else b""
        busy = self._bytes_in - self._bytes_out + len(kept) > self.bytes_max
        if busy:
            kept = b""
        self._bytes_in += len(kept)
        properties = message.properties
        answer_to = getattr(properties, "ResponseTopic", None), getattr(properties, "CorrelationData", None)
        self._messages.append(Incoming(message.topic, kept, size, message.retain, *answer_to, busy=busy))

    def take(self, count: int) -> list[Incoming]:
        """For the door's thread: the oldest, at most so many."""
        taken: list[Incoming] = []
        while self._messages and len(taken) < count:
            taken.append(self._messages.popleft())
            self._bytes_out += len(taken[-1].payload)
        return taken
