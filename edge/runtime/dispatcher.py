"""Every request that arrives over MQTT is answered, carried out once and never twice.

decode (once) -> verify the signature -> answered before? -> begin -> handler -> record -> commit -> encode
"""

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from edge.api.answers import Answer, decode_answer, ok_answer, progress_answer, refusal_answer
from edge.api.requests import CancelEnrollment, StartEnrollment
from edge.api.signing import Signatures, Stamp, signed_text
from edge.api.verbs import Access, Request, convert_request, decode_json, request_type, transaction_of
from edge.core.codes import Code
from edge.errors import GalleryError, RefusedError
from edge.mqtt.device_link import DeviceLink, Outgoing, topic_problem
from edge.mqtt.inbox import Incoming
from edge.runtime import executor
from edge.runtime.context import DeviceContext
from edge.runtime.handlers import prepare
from edge.runtime.handlers.enrollment import enrolled_reply, start_enrollment


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


@dataclass
class LiveSession:
    """A live enrollment in progress. last: the newest answer; give_up_at: on the monotonic clock."""

    key: RequestKey
    address: Address
    give_up_at: float
    last: Answer


class Dispatcher:
    """Requests in, answers out. people_changed: called after every commit that may have changed people."""

    def __init__(self, device: DeviceContext, link: DeviceLink, people_changed: Callable[[], None]) -> None:
        self._device, self._link, self._people_changed = device, link, people_changed
        self._store, self._recognizer = device.store, device.recognizer
        self._signatures = Signatures(device.config.mqtt.signing_key(), self._store.clock, self._store.nonces)
        self._store.audit.who = "limen itself"
        self._live: LiveSession | None = None

    def dispatch(self, verb: str, incoming: Incoming) -> None:
        """Answer a request; the answer goes to its ResponseTopic where that is allowed."""
        self.poll()  # what became of a live enrollment comes before the next request
        address = self._address(verb, incoming)
        self._send(self._answer(verb, incoming, address), address)

    def poll(self) -> None:
        """Report the progress of a live enrollment, and end it when there are enough samples or no more time."""
        live = self._live
        if live is None:
            return
        for progress in self._recognizer.progress():
            if progress.refusal is not None:
                self._end_live(live, progress.refusal)
                return
            live.last = progress_answer(progress, live.key.transaction)
            self._send(live.last, live.address)
            if progress.done:
                self._finish_live(live)
                return
        if time.monotonic() > live.give_up_at:  # the samples taken by then are kept
            self._finish_live(live)

    def close(self) -> None:
        """End a live enrollment: no request is left without an answer."""
        self.poll()
        if self._live is not None:
            with suppress(RefusedError):  # it has ended in the meantime
                self._recognizer.cancel_enrollment()
            self._end_live(self._live, RefusedError(Code.STOPPED, "the device was stopped"))

    def _address(self, verb: str, incoming: Incoming) -> Address:
        topic = incoming.response_topic
        prefix = self._device.config.mqtt.response_prefix
        if topic is not None and topic.startswith(prefix) and topic_problem(topic) is None:
            return Address(topic, incoming.correlation)
        twin = self._link.topics.response(verb)
        return Address(twin if topic_problem(twin) is None else self._link.topics.response("unknown"), None)

    def _send(self, answer: Answer, address: Address) -> None:
        """Send an answer; where the broker does not take one so large, that is the answer."""
        limit = self._link.packet_bytes_max
        most = "" if limit is None else f"; it takes {limit} bytes"
        refusal = RefusedError(Code.ANSWER_TOO_LARGE, f"the answer is too large for the broker{most}")
        instead = refusal_answer(refusal, answer.transaction).json()
        self._link.send(Outgoing(address.topic, answer.json(), correlation=address.correlation, instead=instead))

    def _answer(self, verb: str, incoming: Incoming, address: Address) -> Answer:
        value, malformed = decoded(verb, incoming.payload)
        text = signed_text(value)
        signed = (value, malformed) if text is None else decoded(verb, text)
        transaction = transaction_of(signed[0])
        try:
            self._refuse_unread(verb, incoming)
            text, stamp = self._signatures.open(incoming.topic, value)
            if malformed is not None:
                raise malformed
            if text is not None:
                value, malformed = signed
                if malformed is not None:
                    raise malformed
            request = convert_request(verb, value)
            key = request_key(request, incoming.payload if text is None else text, stamp)
            return self._carry_out(request, key, address)
        except RefusedError as refusal:
            return refusal_answer(refusal, transaction)
        except GalleryError as error:
            return self._storage_answer(error, transaction)

    def _refuse_unread(self, verb: str, incoming: Incoming) -> None:
        """Raise RefusedError for a request whose content does not matter."""
        if incoming.retain:
            raise RefusedError(Code.RETAINED, "a retained request would be carried out again at every reconnect")
        if incoming.busy:
            after = incoming.retry_after_seconds or 1.0
            raise RefusedError(Code.BUSY, f"too many requests are waiting: ask again in {after:g} s", after)
        request_type(verb)
        limit = self._device.limits.request_bytes_max
        if incoming.size > limit:
            raise RefusedError(Code.TOO_LARGE, f"the request has {incoming.size} bytes; at most {limit} are read")

    def _carry_out(self, request: Request, key: RequestKey, address: Address) -> Answer:
        if self._live is not None and self._live.key.transaction == key.transaction:
            return replay_answer(key, self._live.key.digest, self._live.last)
        earlier = self._store.answers.given(key.transaction)
        if earlier is not None:
            return replay_answer(key, earlier[0], decode_answer(earlier[1]) if earlier[1] else None)
        self._signatures.check_freshness(key.stamp)  # not before: QoS 1 may deliver the same bytes twice
        if request.access is Access.READ:
            self._signatures.remember_read(key.stamp)
            return ok_answer(executor.read(request, self._device), key.transaction)
        if isinstance(request, StartEnrollment):
            return self._start_live(request, key, address)
        answer = self._write(request, key)
        if isinstance(request, CancelEnrollment) and answer.status == "ok" and self._live is not None:
            self._recognizer.cancel_enrollment()
            self._end_live(self._live, RefusedError(Code.CANCELLED, "enroll/cancel was asked"))
        return answer

    def _write(self, request: Request, key: RequestKey) -> Answer:
        """The answer and what it answers are on disk together or not at all."""
        handler = prepared(request, self._device)
        with self._store.transaction(), self._store.audit.on_behalf_of(key.who):
            self._signatures.consume_nonce(key.stamp)
            try:
                answer = ok_answer(executor.write(handler, self._device), key.transaction)
            except RefusedError as refusal:
                answer = refusal_answer(refusal, key.transaction)
            if request.answer_kept:
                self._keep(answer, key)
        self._people_changed()
        try:
            executor.checkpoint(request, self._device)
        except RefusedError as refusal:
            if answer.status == "ok":
                answer = refusal_answer(refusal, key.transaction)
                with suppress(GalleryError):  # it was removed, whatever becomes of the answer
                    self._keep(answer, key)
        return answer

    def _keep(self, answer: Answer, key: RequestKey) -> None:
        """Keep an answer without its transaction, which is as the asker pleases: a name may be in it."""
        self._store.answers.keep(key.transaction, key.digest, answer.to(None).json())

    def _start_live(self, request: StartEnrollment, key: RequestKey, address: Address) -> Answer:
        """Begin a live enrollment: it is answered when it ends, and until then with its progress."""
        with self._store.transaction():
            self._signatures.consume_nonce(key.stamp)
        try:
            progress = start_enrollment(request, self._device)
        except RefusedError as refusal:
            self._record(refusal_answer(refusal, key.transaction), key)
            raise
        answer = progress_answer(progress, key.transaction)
        self._live = LiveSession(key, address, time.monotonic() + request.timeout_seconds, answer)
        return answer

    def _finish_live(self, live: LiveSession) -> None:
        """Make templates of the samples, and answer."""
        self._live = None
        try:
            with self._store.transaction(), self._store.audit.on_behalf_of(live.key.who):
                try:
                    with self._store.transaction():
                        reply = enrolled_reply(self._recognizer.finish_enrollment())
                    answer = ok_answer(reply, live.key.transaction)
                except RefusedError as refusal:
                    answer = refusal_answer(refusal, live.key.transaction)
                self._keep(answer, live.key)
            self._people_changed()
            self._store.checkpoint()
        except GalleryError as error:
            answer = self._storage_answer(error, live.key.transaction)
        self._send(answer, live.address)

    def _end_live(self, live: LiveSession, refusal: RefusedError) -> None:
        """Answer that there will be no templates."""
        self._live = None
        answer = refusal_answer(refusal, live.key.transaction)
        try:
            self._record(answer, live.key)
        except GalleryError as error:
            answer = self._storage_answer(error, live.key.transaction)
        self._send(answer, live.address)

    def _record(self, answer: Answer, key: RequestKey) -> None:
        with self._store.transaction():
            self._keep(answer, key)

    def _storage_answer(self, error: GalleryError, transaction: str | None) -> Answer:
        with suppress(GalleryError):  # what was not written must not be in memory
            self._recognizer.reload(rolled_back=True)
        return refusal_answer(RefusedError(Code.STORAGE, str(error)), transaction)


def prepared(request: Request, device: DeviceContext) -> Callable[[], object]:
    """The handler of a request whose long work is done; where that was refused, one that refuses."""
    try:
        return prepare(request, device)
    except RefusedError as error:
        refusal = error

    def refuse() -> object:
        raise refusal

    return refuse


def request_key(request: Request, payload: bytes, stamp: Stamp | None) -> RequestKey:
    """What identifies a request; a broker does not say whose message it delivers."""
    digest = hashlib.sha256(request.verb.encode() + b"\0" + payload).hexdigest()
    who = "unsigned" if stamp is None else f"signed by key {stamp.key_id}"
    return RequestKey(request.transaction, digest, f"mqtt {request.verb}, {who}", stamp)


def decoded(verb: str, payload: bytes) -> tuple[object, RefusedError | None]:
    """The JSON value of a payload, or why there is none."""
    try:
        return decode_json(verb, payload), None
    except RefusedError as refusal:
        return None, refusal


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
