"""Every request that arrives over MQTT is answered, carried out once and never twice.

decode (once) -> verify the signature -> answered before? -> begin -> handler -> record -> commit -> encode

Where pictures have to be read, or somebody stands before the camera, the handler comes later: see
edge.runtime.picture_requests and edge.runtime.live.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress

from edge.api.answers import Answer, ok_answer, refusal_answer
from edge.api.requests.people import CancelEnrollment, StartEnrollment
from edge.api.signing import Signatures, signed_text
from edge.api.verbs import Access, Request, convert_request, decode_json, request_type, transaction_of
from edge.core.codes import Code
from edge.errors import GalleryError, RefusedError
from edge.mqtt.device_link import DeviceLink
from edge.mqtt.inbox import Incoming
from edge.runtime import executor
from edge.runtime.context import DeviceContext
from edge.runtime.handlers import prepare
from edge.runtime.live import LiveRequests
from edge.runtime.picture_requests import PictureRequests
from edge.runtime.removals import Removals
from edge.runtime.responder import Address, RequestKey, Responder, request_key
from edge.runtime.worker import PictureWorker


class Dispatcher:
    """Requests in, answers out.

    people_changed: called after every commit that may have changed people
    removals: told of everybody who was renamed, before people_changed publishes it
    """

    def __init__(
        self, device: DeviceContext, link: DeviceLink, worker: PictureWorker, people_changed: Callable[[], None]
    ) -> None:
        self._device, self._link, self._people_changed = device, link, people_changed
        self._store = device.store
        self._responder = Responder(device, link)
        self._signatures = Signatures(device.config.mqtt.signing_key(), self._store.clock, self._store.nonces)
        self._store.audit.who = "limen itself"
        self.removals = Removals()
        self._live = LiveRequests(device, self._responder, self._signatures, self.removals, people_changed)
        self._pictures = PictureRequests(
            device, worker, link, self._responder, self._signatures, self.removals, self._write
        )

    @property
    def waiting(self) -> bool:
        """Whether the pictures of a request are being read."""
        return self._pictures.job is not None

    def dispatch(self, verb: str, incoming: Incoming) -> None:
        """Answer a request, now or when it is done; the answer goes to its ResponseTopic where that is allowed."""
        self.poll()  # what became of earlier requests comes before the next one
        address = self._responder.address(verb, incoming)
        answer = self._answer(verb, incoming, address)
        if answer is not None:
            self._responder.send(answer, address)

    def poll(self) -> None:
        """Report the progress of what takes long, and end what is done."""
        self._live.poll()
        self._pictures.poll()

    def forget(self, removed: Mapping[str, str], _enrolled: Mapping[str, str]) -> None:
        """Keep nothing of people who were removed, names by person id, by requests that are not done; see Erasure."""
        self.removals.note_removed(removed)
        self._live.forget()

    def close(self) -> None:
        """End what takes long, and answer what still waits: no request is left without an answer."""
        self._live.close()
        self._pictures.close()
        refusal = RefusedError(Code.STOPPED, "the device was stopped before it read this request: ask again")
        for incoming in self._link.pending():
            verb = self._link.topics.verb_of(incoming.topic)
            if verb is not None:
                value, _ = decoded(verb, incoming.payload)
                transaction = transaction_of(request_value(verb, value)[0])
                self._responder.send(refusal_answer(refusal, transaction), self._responder.address(verb, incoming))

    def _answer(self, verb: str, incoming: Incoming, address: Address) -> Answer | None:
        """The answer; None where it comes later."""
        value, malformed = decoded(verb, incoming.payload)
        signed = request_value(verb, value)
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
            return self._carry_out(request, key, address, incoming)
        except RefusedError as refusal:
            return refusal_answer(refusal, transaction)
        except GalleryError as error:
            return self._responder.storage_answer(error, transaction)

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

    def _carry_out(self, request: Request, key: RequestKey, address: Address, incoming: Incoming) -> Answer | None:
        self._pictures.refuse_reused(key)
        earlier = self._live.repeated(key) or self._responder.given(key)
        if earlier is not None:
            return earlier
        self._signatures.check_freshness(key.stamp)  # not before: QoS 1 may deliver the same bytes twice
        if request.reads_pictures:
            self._pictures.start(request, key, address, incoming)
            return None
        if request.access is Access.READ:
            self._signatures.remember_read(key.stamp)
            return ok_answer(executor.read(request, self._device), key.transaction)
        if isinstance(request, StartEnrollment):
            return self._live.start(request, key, address)
        answer = self._write(request, key, prepared(request, self._device))
        if isinstance(request, CancelEnrollment) and answer.status == "ok":
            self._live.cancel()
        return answer

    def _write(self, request: Request, key: RequestKey, handler: Callable[[], object] | RefusedError) -> Answer:
        """The answer and what it answers are on disk together or not at all."""
        with self._store.transaction(), self._store.audit.on_behalf_of(key.who):
            self._signatures.consume_nonce(key.stamp)
            answer = self._written(handler, key)
            if request.answer_kept:
                self._responder.keep(answer, key)
        self._people_changed()
        try:
            executor.checkpoint(request, self._device)
        except RefusedError as refusal:
            if answer.status == "ok":
                answer = refusal_answer(refusal, key.transaction)
                with suppress(GalleryError):  # it was removed, whatever becomes of the answer
                    self._responder.keep(answer, key)
        return answer

    def _written(self, handler: Callable[[], object] | RefusedError, key: RequestKey) -> Answer:
        if isinstance(handler, RefusedError):
            return refusal_answer(handler, key.transaction)
        try:
            return ok_answer(executor.write(handler, self._device), key.transaction)
        except RefusedError as refusal:
            return refusal_answer(refusal, key.transaction)


def prepared(request: Request, device: DeviceContext) -> Callable[[], object] | RefusedError:
    """The handler of a request whose long work is done, or why it was refused."""
    try:
        return prepare(request, device)
    except RefusedError as refusal:
        return refusal


def request_value(verb: str, value: object) -> tuple[object, RefusedError | None]:
    """The JSON value of a request, out of its envelope where it has one, or why there is none."""
    text = signed_text(value)
    return (value, None) if text is None else decoded(verb, text)


def decoded(verb: str, payload: bytes) -> tuple[object, RefusedError | None]:
    """The JSON value of a payload, or why there is none."""
    try:
        return decode_json(verb, payload), None
    except RefusedError as refusal:
        return None, refusal
