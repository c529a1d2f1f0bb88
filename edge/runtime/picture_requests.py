"""A request whose pictures are being read by the worker: it is answered when they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from edge.api.answers import Answer, ok_answer, refusal_answer
from edge.api.signing import Signatures
from edge.api.verbs import Access, Request
from edge.core.codes import Code
from edge.errors import GalleryError, RefusedError
from edge.mqtt.device_link import DeviceLink
from edge.mqtt.inbox import Incoming
from edge.runtime.context import DeviceContext
from edge.runtime.handlers import PICTURE_READERS, PictureWork
from edge.runtime.pictures import Found, PictureTask
from edge.runtime.removals import REMOVED, Removals
from edge.runtime.responder import Address, RequestKey, Responder
from edge.runtime.worker import PictureWorker

# Writes what a handler does, or keeps the refusal, and gives the answer.
Write = Callable[[Request, RequestKey, Callable[[], object] | RefusedError], Answer]


@dataclass
class PictureJob:
    """A request under way. came_at: when it arrived, on the monotonic clock.

    tasks: what is to be read after this; found: what was found before
    """

    request: Request
    work: PictureWork
    key: RequestKey
    address: Address
    came_at: float
    tasks: Iterator[PictureTask]
    found: list[Found] = field(default_factory=list)


class PictureRequests:
    """Has the pictures of one request at a time read by a worker, and carries the request out when they are.

    Others wait in the link's queue: see edge.mqtt.fair_queue.
    """

    def __init__(
        self,
        device: DeviceContext,
        worker: PictureWorker,
        link: DeviceLink,
        responder: Responder,
        signatures: Signatures,
        removals: Removals,
        write: Write,
    ) -> None:
        self._device, self._worker, self._link, self._responder = device, worker, link, responder
        self._signatures, self._removals, self._write = signatures, removals, write
        self.job: PictureJob | None = None

    def start(self, request: Request, key: RequestKey, address: Address, incoming: Incoming) -> None:
        """Have the pictures of a request read; it is a new one, and fresh. Raises RefusedError and GalleryError."""
        if request.access is Access.READ:
            self._signatures.remember_read(key.stamp)
        else:  # also where the device ends before the answer: the same signature never counts again
            with self._device.store.transaction():
                self._signatures.consume_nonce(key.stamp)
        key = key._replace(stamp=None)
        try:
            work = PICTURE_READERS[type(request)](request, self._device)
            self._refuse_removed(work, incoming.came_at)
        except RefusedError as refusal:
            if request.access is not Access.READ:
                self._responder.record(refusal_answer(refusal, key.transaction), key)
            raise
        self.job = PictureJob(request, work, key, address, incoming.came_at, iter(work.tasks))
        self._link.work_for(incoming.asker)
        self._go_on(self.job)

    def _refuse_removed(self, work: PictureWork, came_at: float) -> None:
        if work.person is not None and self._removals.cover(work.person, came_at):
            raise RefusedError(Code.CANCELLED, REMOVED)

    def refuse_reused(self, key: RequestKey) -> None:
        """Raise RefusedError with transaction_reused for another request under the transaction of the one under way.

        The same one again has pictures too, so it waits, and gets the answer that was kept by then.
        """
        if self.job is not None and self.job.key.transaction == key.transaction:
            raise RefusedError(Code.TRANSACTION_REUSED, "another request was made under this transaction")

    def poll(self) -> None:
        """Carry the request out whose pictures were read."""
        outcome = self._worker.poll()
        if self.job is None or outcome is None:
            return
        if isinstance(outcome, RefusedError):
            self._finish(self.job, outcome)
            return
        self.job.found += outcome
        self._go_on(self.job)

    def _go_on(self, job: PictureJob) -> None:
        """Have the next pictures read; after the last, carry the request out."""
        try:
            task = next(job.tasks, None)
        except GalleryError as error:
            self._finish(job, error)
            return
        if task is None:
            self._finish(job, job.found)
        else:
            self._worker.start(task)

    def close(self) -> None:
        """End the worker: no request is left without an answer."""
        self.poll()
        self._worker.close()
        if self.job is not None:
            self._finish(self.job, RefusedError(Code.STOPPED, "the device was stopped"))

    def _finish(self, job: PictureJob, outcome: list[Found] | RefusedError | GalleryError) -> None:
        self.job = None
        self._link.work_for(None)
        try:
            self._refuse_removed(job.work, job.came_at)
        except RefusedError as refusal:
            outcome = refusal
        try:
            if isinstance(outcome, GalleryError):
                raise outcome
            handler = outcome if isinstance(outcome, RefusedError) else partial(job.work.finish, outcome)
            if job.request.access is Access.READ:
                answer = answer_of(handler, job.key.transaction)
            else:
                answer = self._write(job.request, job.key, handler)
        except GalleryError as error:
            answer = self._responder.storage_answer(error, job.key.transaction)
        self._responder.send(answer, job.address)


def answer_of(handler: Callable[[], object] | RefusedError, transaction: str) -> Answer:
    """The answer to a request that writes nothing."""
    if isinstance(handler, RefusedError):
        return refusal_answer(handler, transaction)
    try:
        return ok_answer(handler(), transaction)
    except RefusedError as refusal:
        return refusal_answer(refusal, transaction)
