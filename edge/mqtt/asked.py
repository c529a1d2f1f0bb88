"""A request that waits for its answer, and what is its answer."""

from dataclasses import dataclass

import msgspec

from edge.api.answers import Answer
from edge.mqtt.blame import LARGE_BYTES


@dataclass(frozen=True)
class Asked:
    """One request: its topic, its payload, and what of it an answer repeats."""

    verb: str
    transaction: str
    topic: str
    payload: bytes

    def is_answered(self, about: str, answer: Answer) -> bool:
        """Whether that is its answer. about: the verb, or on our own topic the CorrelationData: the transaction."""
        unread = len(self.payload) > LARGE_BYTES and is_unread(answer)
        return about in {self.verb, self.transaction} and (answer.transaction == self.transaction or unread)


def read_answer(payload: bytes) -> Answer | None:
    """The answer in a payload; None where there is none."""
    try:
        return msgspec.json.decode(payload, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the last: [[[[... without end
        return None


def is_unread(answer: Answer) -> bool:
    """Whether it is about a request that was too large to be read: then the device cannot say about which one."""
    return answer.transaction is None and answer.code in {"too_large", "busy"}
