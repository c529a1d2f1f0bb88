"""The desk: every request is answered, once carried out and never twice."""

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from edge.api.messages import answer_json, answer_to, progress_json
from edge.api.requests import DeviceContext, EnrollStartRequest, read_request, transaction_in
from edge.api.signing import Signatures, Signed, Stamp, request_in
from edge.api.topics import Topics
from edge.config import MqttConfig
from edge.core.commands import (
    CancelEnrollment,
    Command,
    FinishEnrollment,
    ListPeople,
    ListStrangers,
    Progress,
    RecognizeImage,
    RemovePerson,
    Reply,
    SwitchRecognition,
)
from edge.errors import GalleryError, RefusedError
from edge.mqtt.device_link import DeviceLink, Incoming, Outgoing
from edge.runtime.assembly import Device
from edge.runtime.publisher import EventPublisher
from edge.storage.gallery import NOT_OVERWRITTEN


class Address(NamedTuple):
    """Where an answer goes."""

    topic: str
    correlation: bytes | None


class RequestKey(NamedTuple):
    """By what a request is known when it comes again, and who asked. digest: of all that was asked."""

    transaction: str
    digest: str
    who: str
    stamp: Stamp | None


@dataclass
class LiveSession:
    """A live enrollment that is under way. said: the last that was answered; give_up_at: on the monotonic clock."""

    asked: RequestKey
    address: Address
    give_up_at: float
    said: bytes


class Dispatcher:
    """Requests in, answers out; the publisher says when people may have changed."""

    def __init__(
        self,
        config: MqttConfig,
        device: Device,
        link: DeviceLink,
        topics: Topics,
        publisher: EventPublisher,
        around: DeviceContext,
    ) -> None:
        self._config, self._device, self._link, self._topics = config, device, link, topics
        self._publisher, self._around = publisher, around
        self._signatures = Signatures(config.signing_key(), device.store.clock, device.store.nonces)
        device.store.audit.who = "limen itself"
        self._live: LiveSession | None = None

    def answer(self, incoming: Incoming) -> None:
        """Do as a request asks, or say why not; the answer goes where it was asked to go, if that is allowed."""
        self.poll()  # what came of a live enrollment comes before what is asked next
        verb = self._topics.verb_of(incoming.topic)
        if verb is None:
            return
        to = incoming.response_topic
        allowed = to is not None and to.startswith(self._config.response_prefix) and not set("+#") & set(to)
        address = Address(to, incoming.correlation) if allowed else Address(self._topics.response(verb), None)
        self._send(self._reply_to(verb, incoming, address), address)

    def _send(self, reply: bytes, address: Address) -> None:
        self._link.send(Outgoing(address.topic, reply, correlation=address.correlation))

    def _reply_to(self, verb: str, incoming: Incoming, address: Address) -> bytes:
        transaction = transaction_in(request_in(incoming.payload))
        try:
            return self._carried_out(verb, incoming, address)
        except RefusedError as refusal:
            return answer_json(Reply(code=refusal.code, error=str(refusal)), transaction)
        except GalleryError as error:
            return self._not_written(error, transaction)

    def _carried_out(self, verb: str, incoming: Incoming, address: Address) -> bytes:
        """The answer; asked again, it is the same."""
        if incoming.retain:
            raise RefusedError("retained", "a retained request would be carried out again at every reconnect")
        if incoming.busy:
            raise RefusedError("busy", "too much was asked at once to be kept; ask again")
        signed = self._opened(incoming)
        request = read_request(verb, signed.request, incoming.size, self._around.limits)
        digest = hashlib.sha256(verb.encode() + b"\0" + signed.request).hexdigest()
        asked = RequestKey(request.transaction, digest, audit_name(verb, signed.stamp), signed.stamp)
        if self._live is not None and self._live.asked.transaction == asked.transaction:
            return replay_answer(asked, self._live.asked.digest, self._live.said)
        earlier = self._device.store.answers.given(asked.transaction)
        if earlier is not None:
            return replay_answer(asked, *earlier)
        self._signatures.check_freshness(asked.stamp)  # not before: QoS 1 may bring the very same bytes twice
        with self._device.store.audit.on_behalf_of(asked.who):
            command = request.command(self._around)
        if isinstance(command, Reply):
            self._signatures.consume_nonce(asked.stamp)
            return answer_json(command, asked.transaction)  # how things are now: nothing was changed, nor is it kept
        if isinstance(request, EnrollStartRequest):
            return self._start(request, command, asked, address)
        if is_read(command):
            return self._looked_up(command, asked)
        payload = self._handled(command, asked)
        if isinstance(command, CancelEnrollment) and self._live is not None:
            self._end_live(Reply(code="cancelled", error="enroll/cancel was asked"))
        return payload

    def _opened(self, incoming: Incoming) -> Signed:
        """What is asked, if whoever asks may. Of what is too large nothing is there to look at."""
        if incoming.size > self._around.limits.request_bytes_max:
            return Signed(incoming.payload)
        return self._signatures.verify(incoming.topic, incoming.payload)

    def _start(self, request: EnrollStartRequest, command: Command, asked: RequestKey, address: Address) -> bytes:
        """A live enrollment is answered when it ends; until then its answers say how far it has come."""
        self._signatures.consume_nonce(asked.stamp)
        reply = self._device.recognizer.handle(command)
        if not reply.ok:
            return self._handled(reply, asked)
        said = progress_json(Progress(0, request.shots), asked.transaction)
        self._live = LiveSession(asked, address, time.monotonic() + request.timeout_seconds, said)
        return said

    def _looked_up(self, command: Command, asked: RequestKey) -> bytes:
        """How things are is told also where the disk cannot be written, and the answer not be kept."""
        reply = self._device.recognizer.handle(command)
        with suppress(GalleryError), self._device.store.transaction():
            self._signatures.consume_nonce(asked.stamp)
            self._keep(reply, asked)
        return answer_json(reply, asked.transaction)

    def _handled(self, command: Command | Reply, asked: RequestKey) -> bytes:
        """The answer, and what it answers, are on disk together or not at all. A reply is its own answer."""
        store = self._device.store
        with store.transaction(), store.audit.on_behalf_of(asked.who):
            self._signatures.consume_nonce(asked.stamp)
            reply = command if isinstance(command, Reply) else self._device.recognizer.handle(command)
            self._keep(reply, asked)
        self._publisher.publish_people()
        if not store.checkpoint() and isinstance(command, RemovePerson) and reply.ok:
            reply = Reply(code="not_overwritten", error=f"removed, but {NOT_OVERWRITTEN}")
            with suppress(GalleryError):  # it was removed, whatever becomes of the answer
                self._keep(reply, asked)
        return answer_json(reply, asked.transaction)

    def _keep(self, reply: Reply, asked: RequestKey) -> None:
        """For whoever asks again. Without the transaction, which is as they please: a name may be in it."""
        self._device.store.answers.keep(asked.transaction, asked.digest, answer_json(reply, None), time.time())

    def poll(self) -> None:
        """Say what is new of a live enrollment, and end it when there are enough shots or no more time."""
        live = self._live
        if live is None:
            return
        for progress in self._device.recognizer.progress():
            if progress.refusal is not None:
                self._end_live(progress.refusal)
                return
            live.said = progress_json(progress, live.asked.transaction)
            self._send(live.said, live.address)
            if progress.done:
                self._end_live(FinishEnrollment())
                return
        if time.monotonic() > live.give_up_at:  # what there is by then is kept
            self._end_live(FinishEnrollment())

    def close(self) -> None:
        """The device stops: nothing is left without an answer."""
        self.poll()
        if self._live is not None:
            self._device.recognizer.handle(CancelEnrollment())
            self._end_live(Reply(code="stopped", error="the device was stopped"))

    def _end_live(self, how: Command | Reply) -> None:
        live, self._live = self._live, None
        try:
            payload = self._handled(how, live.asked)
        except GalleryError as error:
            payload = self._not_written(error, live.asked.transaction)
        self._send(payload, live.address)

    def _not_written(self, error: GalleryError, transaction: str | None) -> bytes:
        with suppress(GalleryError):  # what was not written is not known, if it can be read what was
            self._device.recognizer.reload()
        return answer_json(Reply(code="storage", error=str(error)), transaction)


def is_read(command: Command) -> bool:
    """It only asks."""
    return isinstance(command, ListPeople | ListStrangers | RecognizeImage) or command == SwitchRecognition()


def replay_answer(asked: RequestKey, digest: str, said: bytes) -> bytes:
    """The earlier answer.

    Raises RefusedError where it was another request that got it, under the same transaction, or it is not kept.
    """
    if asked.digest != digest:
        raise RefusedError("transaction_reused", "something else was asked under this transaction")
    if not said:
        raise RefusedError(
            "answered_before",
            "this was answered before, and is not carried out again; the answer is not kept, for somebody was "
            "forgotten since whom it may name",
        )
    return answer_to(asked.transaction, said)


def audit_name(verb: str, stamp: Stamp | None) -> str:
    """For the audit record. A broker does not say whose message it hands on."""
    return f"mqtt {verb}, " + ("unsigned" if stamp is None else f"signed by key {stamp.key_id}")
