"""Answers: where they go, which are kept, and what a request that comes again gets."""

import hashlib
from contextlib import suppress
from typing import NamedTuple

from edge.api.answers import Answer, decode_answer, refusal_answer
from edge.api.signing import Stamp
from edge.api.verbs import Request
from edge.core.codes import Code
from edge.errors import GalleryError, RefusedError
from edge.mqtt.device_link import DeviceLink, topic_problem
from edge.mqtt.inbox import Incoming
from edge.mqtt.outgoing import Outgoing
from edge.runtime.context import DeviceContext


class Address(NamedTuple):
    """Where an answer goes."""

    topic: str
    correlation: bytes | None


class RequestKey(NamedTuple):
    """What identifies a request that is delivered twice, and who asked. digest: of the verb and the request's bytes."""

    transaction: str
    digest: str
    who: str
    stamp: Stamp | None


class Responder:
    """Sends and keeps answers."""

    def __init__(self, device: DeviceContext, link: DeviceLink) -> None:
        self._device, self._link, self._store = device, link, device.store

    def address(self, verb: str, incoming: Incoming) -> Address:
        """The ResponseTopic where that is allowed, else the twin of the request's topic."""
        topic = incoming.response_topic
        prefix = self._device.config.mqtt.response_prefix
        if topic is not None and topic.startswith(prefix) and topic_problem(topic) is None:
            return Address(topic, incoming.correlation)
        twin = self._link.topics.response(verb)
        return Address(twin if topic_problem(twin) is None else self._link.topics.response("unknown"), None)

    def send(self, answer: Answer, address: Address) -> None:
        """Send an answer; where the broker does not take one so large, that is the answer."""
        limit = self._link.packet_bytes_max
        most = "" if limit is None else f"; it takes {limit} bytes"
        refusal = RefusedError(Code.ANSWER_TOO_LARGE, f"the answer is too large for the broker{most}")
        instead = refusal_answer(refusal, answer.transaction).json()
        self._link.send(Outgoing(address.topic, answer.json(), correlation=address.correlation, instead=instead))

    def given(self, key: RequestKey) -> Answer | None:
        """The earlier answer to the same request, or None. Raises RefusedError as replay_answer does."""
        earlier = self._store.answers.given(key.transaction)
        if earlier is None:
            return None
        return replay_answer(key, earlier[0], decode_answer(earlier[1]) if earlier[1] else None)

    def keep(self, answer: Answer, key: RequestKey) -> None:
        """Keep an answer without its transaction, which is as the asker pleases: a name may be in it.

        One with `busy` is not kept: nothing was done, and the same request may be made again.
        """
        if answer.code == Code.BUSY:
            return
        self._store.answers.keep(key.transaction, key.digest, answer.to(None).json())

    def record(self, answer: Answer, key: RequestKey) -> None:
        """Keep an answer in a transaction of its own."""
        with self._store.transaction():
            self.keep(answer, key)

    def storage_answer(self, error: GalleryError, transaction: str | None) -> Answer:
        """The answer where the gallery could not be read or written."""
        with suppress(GalleryError):  # what was not written must not be in memory
            self._device.recognizer.reload(rolled_back=True)
        return refusal_answer(RefusedError(Code.STORAGE, str(error)), transaction)


def request_key(request: Request, payload: bytes, stamp: Stamp | None) -> RequestKey:
    """What identifies a request; a broker does not say whose message it delivers."""
    digest = hashlib.sha256(request.verb.encode() + b"\0" + payload).hexdigest()
    who = "unsigned" if stamp is None else f"signed by key {stamp.key_id}"
    return RequestKey(request.transaction, digest, f"mqtt {request.verb}, {who}", stamp)


def replay_answer(key: RequestKey, digest: str, earlier: Answer | None) -> Answer:
    """The earlier answer to the same request.

    Raises RefusedError with transaction_reused where it was another request, answered_before where it is not kept.
    """
    if key.digest != digest:
        raise RefusedError(Code.TRANSACTION_REUSED, "another request was made under this transaction")
    if earlier is None:
        raise RefusedError(
            Code.ANSWERED_BEFORE,
            "this request was answered before and is not carried out again; its answer was dropped when somebody "
            "whom it may name was removed",
        )
    return earlier.to(key.transaction)
