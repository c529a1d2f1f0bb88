"""A request whose pictures are being read by the worker: it is answered when they are."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf

from edge.api.answers import Answer, ok_answer, refusal_answer
from edge.api.signing import Signatures
from edge.api.verbs import Access, Request
from edge.core.codes import Code
from edge.core.names import composed_name
from edge.errors import GalleryError, RefusedError
from edge.mqtt.device_link import DeviceLink
from edge.mqtt.inbox import Incoming
from edge.runtime.bounded import BoundedDict
from edge.runtime.context import DeviceContext
from edge.runtime.handlers import PICTURE_READERS, PictureWork
from edge.runtime.pictures import Found
from edge.runtime.responder import Address, RequestKey, Responder
from edge.runtime.worker import PictureWorker

# Writes what a handler does, or keeps the refusal, and gives the answer.
Write = Callable[[Request, RequestKey, Callable[[], object] | RefusedError], Answer]


FORGOTTEN_MAX = 1000  # names of people who were removed while requests may have waited
# Without the name: the answer is kept, and what is kept of somebody was erased.
REMOVED = "the person was removed or merged after this was asked: nothing was kept"


@dataclass
class PictureJob:
    """A request under way.

    person_id: who had the person's name when it began; forgotten: whether they were removed meanwhile
    """

    request: Request
    work: PictureWork
    key: RequestKey
    address: Address
    person_id: str | None
    forgotten: bool = False


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
        write: Write,
    ) -> None:
        self._device, self._worker, self._link, self._responder = device, worker, link, responder
        self._signatures, self._write = signatures, write
        self._forgotten = BoundedDict[int, float](FORGOTTEN_MAX)  # when, by the hash of the name
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
            work = self._work_of(request, incoming.came_at)
        except RefusedError as refusal:
            if request.access is not Access.READ:
                self._responder.record(refusal_answer(refusal, key.transaction), key)
            raise
        person = None if work.person is None else self._device.recognizer.gallery.find(work.person)
        self.job = PictureJob(request, work, key, address, None if person is None else person.person_id)
        self._link.work_for(incoming.asker)
        self._worker.start(work.task)

    def _work_of(self, request: Request, came_at: float) -> PictureWork:
        work = PICTURE_READERS[type(request)](request, self._device)
        if work.person is not None and self._forgotten.get(hashed(work.person), -inf) >= came_at:
            raise RefusedError(Code.CANCELLED, REMOVED)
        return work

    def refuse_reused(self, key: RequestKey) -> None:
        """Raise RefusedError with transaction_reused for another request under the transaction of the one under way.

        The same one again has pictures too, so it waits, and gets the answer that was kept by then.
        """
        if self.job is not None and self.job.key.transaction == key.transaction:
            raise RefusedError(Code.TRANSACTION_REUSED, "another request was made under this transaction")

    def poll(self) -> None:
        """Carry the request out whose pictures were read."""
        outcome = self._worker.poll()
        if self.job is not None and outcome is not None:
            self._finish(self.job, outcome)

    def close(self) -> None:
        """End the worker: no request is left without an answer."""
        self.poll()
        self._worker.close()
        if self.job is not None:
            self._finish(self.job, RefusedError(Code.STOPPED, "the device was stopped"))

    def forget(self, removed: Mapping[str, str], _enrolled: Mapping[str, str]) -> None:
        """Keep nothing of people who were removed, names by person id, of what was asked before; see Erasure."""
        for person_id, name in removed.items():
            self._forgotten[hashed(name)] = time.monotonic()
            job = self.job
            if job is not None and job.work.person is not None:
                job.forgotten |= person_id == job.person_id or hashed(name) == hashed(job.work.person)

    def _finish(self, job: PictureJob, outcome: list[Found] | RefusedError) -> None:
        self.job = None
        self._link.work_for(None)
        if job.forgotten:
            outcome = RefusedError(Code.CANCELLED, REMOVED)
        handler = outcome if isinstance(outcome, RefusedError) else partial(job.work.finish, outcome)
        try:
            if job.request.access is Access.READ:
                answer = answer_of(handler, job.key.transaction)
            else:
                answer = self._write(job.request, job.key, handler)
        except GalleryError as error:
            answer = self._responder.storage_answer(error, job.key.transaction)
        self._responder.send(answer, job.address)


def hashed(name: str) -> int:
    """In place of a name."""
    return hash(composed_name(name).casefold())


def answer_of(handler: Callable[[], object] | RefusedError, transaction: str) -> Answer:
    """The answer to a request that writes nothing."""
    if isinstance(handler, RefusedError):
        return refusal_answer(handler, transaction)
    try:
        return ok_answer(handler(), transaction)
    except RefusedError as refusal:
        return refusal_answer(refusal, transaction)
