"""The envelope of an answer: status, data or code, and the transaction it belongs to."""

from typing import Any, Literal

import msgspec

from edge.api.messages import Message
from edge.api.replies import ProgressReply
from edge.core.enrollment import EnrollmentProgress
from edge.errors import RefusedError


class Answer(Message, frozen=True):
    """An answer to a request; with status progress, how far a request has come that is not answered yet.

    data: the reply of the verb; with status error {}, or retry_after_seconds of what may be asked again
    code, error: null unless status is error
    """

    status: Literal["ok", "error", "progress"]
    data: Any
    code: str | None
    error: str | None
    transaction: str | None

    def to(self, transaction: str | None) -> "Answer":
        """The same answer to another transaction."""
        return msgspec.structs.replace(self, transaction=transaction)


def ok_answer(reply: object, transaction: str | None) -> Answer:
    """What was asked was done."""
    return Answer(status="ok", data=reply, code=None, error=None, transaction=transaction)


def refusal_answer(refusal: RefusedError, transaction: str | None) -> Answer:
    """What was asked was refused."""
    after = refusal.retry_after_seconds
    data = {} if after is None else {"retry_after_seconds": after}
    return Answer(status="error", data=data, code=str(refusal.code), error=str(refusal), transaction=transaction)


def progress_answer(progress: EnrollmentProgress, transaction: str) -> Answer:
    """What was asked is under way."""
    data = ProgressReply(shots=progress.samples, of=progress.of, reason=progress.reason)
    return Answer(status="progress", data=data, code=None, error=None, transaction=transaction)


def decode_answer(payload: bytes) -> Answer:
    """An answer that was kept. Raises msgspec.DecodeError."""
    return msgspec.json.decode(payload, type=Answer)
