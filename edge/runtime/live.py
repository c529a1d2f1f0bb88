"""A live enrollment in progress: its request is answered when it ends, and until then with its progress."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from edge.api.answers import Answer, ok_answer, progress_answer, refusal_answer
from edge.api.requests.people import StartEnrollment
from edge.api.signing import Signatures
from edge.core.codes import Code
from edge.core.names import clean_name
from edge.errors import GalleryError, RefusedError
from edge.runtime.context import DeviceContext
from edge.runtime.handlers.enrollment import enrolled_reply, start_enrollment
from edge.runtime.removals import REMOVED, Removals
from edge.runtime.responder import Address, RequestKey, Responder, replay_answer


@dataclass
class LiveSession:
    """A live enrollment in progress. last: the newest answer; began_at, give_up_at: on the monotonic clock."""

    name: str
    key: RequestKey
    address: Address
    began_at: float
    give_up_at: float
    last: Answer


class LiveRequests:
    """Starts, polls and ends live enrollments, one at a time. people_changed: as of Dispatcher."""

    def __init__(
        self,
        device: DeviceContext,
        responder: Responder,
        signatures: Signatures,
        removals: Removals,
        people_changed: Callable[[], None],
    ) -> None:
        self._device, self._responder, self._people_changed = device, responder, people_changed
        self._signatures, self._store, self._recognizer = signatures, device.store, device.recognizer
        self._removals = removals
        self.session: LiveSession | None = None

    def poll(self) -> None:
        """Report the progress of a live enrollment, and end it when there are enough samples or no more time."""
        live = self.session
        if live is None:
            return
        for progress in self._recognizer.progress():
            if progress.refusal is not None:
                self._end(live, progress.refusal)
                return
            live.last = progress_answer(progress, live.key.transaction)
            self._responder.send(live.last, live.address)
            if progress.done:
                self._finish(live)
                return
        if time.monotonic() > live.give_up_at:  # the samples taken by then are kept
            self._finish(live)

    def close(self) -> None:
        """End a live enrollment: no request is left without an answer."""
        self.poll()
        if self.session is not None:
            with suppress(RefusedError):  # it has ended in the meantime
                self._recognizer.cancel_enrollment()
            self._end(self.session, RefusedError(Code.STOPPED, "the device was stopped"))

    def cancel(self) -> None:
        """Keep nothing of a live enrollment, where one is in progress."""
        if self.session is not None:
            self._recognizer.cancel_enrollment()
            self._end(self.session, RefusedError(Code.CANCELLED, "enroll/cancel was asked"))

    def forget(self) -> None:
        """Keep nothing of a live enrollment of somebody who was removed since it began; see edge.runtime.erasure.

        One that has ended with a refusal which is not told yet is told without its text, which may name them.
        """
        live = self.session
        if live is None:
            return
        if self._recognizer.live is None or self._removals.cover(live.name, live.began_at):
            with suppress(RefusedError):  # it has ended in the meantime
                self._recognizer.cancel_enrollment()
            self._end(live, RefusedError(Code.CANCELLED, REMOVED))

    def repeated(self, key: RequestKey) -> Answer | None:
        """The newest answer, where this is the request in progress again. Raises RefusedError as replay_answer does."""
        if self.session is None or self.session.key.transaction != key.transaction:
            return None
        return replay_answer(key, self.session.key.digest, self.session.last)

    def start(self, request: StartEnrollment, key: RequestKey, address: Address) -> Answer:
        """Begin a live enrollment. Raises RefusedError."""
        with self._store.transaction():
            self._signatures.consume_nonce(key.stamp)
        now = time.monotonic()
        try:
            progress = start_enrollment(request, self._device)
        except RefusedError as refusal:
            self._responder.record(refusal_answer(refusal, key.transaction), key)
            raise
        answer = progress_answer(progress, key.transaction)
        name = clean_name(request.name)
        self.session = LiveSession(name, key, address, now, now + request.timeout_seconds, answer)
        return answer

    def _finish(self, live: LiveSession) -> None:
        """Make templates of the samples, and answer."""
        self.session = None
        try:
            with self._store.transaction(), self._store.audit.on_behalf_of(live.key.who):
                try:
                    with self._store.transaction():
                        reply = enrolled_reply(self._recognizer.finish_enrollment())
                    answer = ok_answer(reply, live.key.transaction)
                except RefusedError as refusal:
                    answer = refusal_answer(refusal, live.key.transaction)
                self._responder.keep(answer, live.key)
            self._people_changed()
            self._store.checkpoint()
        except GalleryError as error:
            answer = self._responder.storage_answer(error, live.key.transaction)
        self._responder.send(answer, live.address)

    def _end(self, live: LiveSession, refusal: RefusedError) -> None:
        """Answer that there will be no templates."""
        self.session = None
        answer = refusal_answer(refusal, live.key.transaction)
        try:
            self._responder.record(answer, live.key)
        except GalleryError as error:
            answer = self._responder.storage_answer(error, live.key.transaction)
        self._responder.send(answer, live.address)
