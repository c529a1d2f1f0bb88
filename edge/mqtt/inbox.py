"""Messages that arrived and were not read yet: the network thread fills it, the owner empties it; it is bounded."""

from collections import deque
from typing import NamedTuple

from edge.mqtt.reports import Message

COUNT_MAX = 256
BYTES_MAX = 16_000_000


class Incoming(NamedTuple):
    """A message as it arrived, not read yet.

    size: bytes of the payload; the payload of a message that is too large, or busy, is not kept
    busy: there was no room for it; retry_after_seconds: when there may be, where that is known
    asker, came_at: who asks, and when, on the monotonic clock; see edge.mqtt.fair_queue
    """

    topic: str
    payload: bytes
    size: int
    retain: bool
    response_topic: str | None
    correlation: bytes | None
    busy: bool = False
    retry_after_seconds: float | None = None
    asker: int = 0
    came_at: float = 0.0


class Inbox:
    """Messages in the order of arrival. Needs no lock: a deque has its own, and each count has one writer.

    message_bytes_max: a longer payload is not kept; count_max: messages; bytes_max: of all payloads, and again of all
    topics and properties
    refused: how many messages did not fit at all
    """

    def __init__(self, message_bytes_max: int, count_max: int = COUNT_MAX, bytes_max: int = BYTES_MAX) -> None:
        self.message_bytes_max, self.count_max, self.bytes_max = message_bytes_max, count_max, bytes_max
        self.refused = 0
        self._messages: deque[Incoming] = deque()
        self._bytes_in = self._bytes_out = self._heads_in = self._heads_out = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> None:
        """Add a message, for the network thread."""
        head = head_bytes(message)
        if len(self._messages) >= self.count_max or self._heads_in - self._heads_out + head > self.bytes_max:
            self.refused += 1
            return
        self._heads_in += head
        size = len(message.payload)
        kept = message.payload if size <= self.message_bytes_max else b""
        busy = self._bytes_in - self._bytes_out + len(kept) > self.bytes_max
        if busy:
            kept = b""
        self._bytes_in += len(kept)
        answer_to = message.response_topic, message.correlation
        self._messages.append(Incoming(message.topic, kept, size, message.retain, *answer_to, busy=busy))

    def take(self, count: int) -> list[Incoming]:
        """The oldest messages, at most so many, for the owner's thread."""
        taken: list[Incoming] = []
        while self._messages and len(taken) < count:
            taken.append(self._messages.popleft())
            self._bytes_out += len(taken[-1].payload)
            self._heads_out += head_bytes(taken[-1])
        return taken


def head_bytes(message: Message | Incoming) -> int:
    """The size of a message beside its payload; characters are taken for bytes."""
    return len(message.topic) + len(message.response_topic or "") + len(message.correlation or b"")
