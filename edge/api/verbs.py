"""A verb: the request class with its access, its reply and its codes, and how one is read from JSON."""

import base64
import binascii
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Self, TypeVar

import msgspec

from edge.core.codes import Code
from edge.errors import RefusedError

Transaction = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
# What any request may be refused with.
ANY_CODES = (
    Code.RETAINED,
    Code.BUSY,
    Code.TOO_LARGE,
    Code.ANSWER_TOO_LARGE,
    Code.NOT_JSON,
    Code.INVALID,
    Code.TRANSACTION_REUSED,
    Code.ANSWERED_BEFORE,
    Code.STORAGE,
    Code.NO_KEY,
    Code.UNSIGNED,
    Code.BAD_SIGNATURE,
    Code.REPLAYED,
    Code.STALE,
    Code.OUT_OF_ORDER,
    Code.CLOCK_NOT_SET,
    Code.STOPPED,
)


class Access(StrEnum):
    """What a verb does to the device.

    READ writes nothing; WRITE is carried out once, and its answer is kept for a day; LIVE reports progress until it
    ends.
    """

    READ = "read"
    WRITE = "write"
    LIVE = "live"


@dataclass(frozen=True)
class Limits:
    """What one request may hold. image_pixels_max: of all its pictures together."""

    request_bytes_max: int
    image_pixels_max: int


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every request has. transaction: made by the asker; the same one gets the same answer.

    answer_kept: whether the answer to a WRITE is kept for a day; one with a whole gallery in it is not
    reads_pictures: whether pictures are read for it, which takes long
    """

    verb: ClassVar[str]
    access: ClassVar[Access]
    reply: ClassVar[type]
    codes: ClassVar[tuple[Code, ...]]
    answer_kept: ClassVar[bool]
    reads_pictures: ClassVar[bool]

    transaction: Transaction

    @classmethod
    def new(cls, **fields: object) -> Self:
        """A request under a new transaction."""
        return cls(transaction=cls.new_transaction(), **fields)

    @staticmethod
    def new_transaction() -> str:
        """A transaction that nobody used before."""
        return uuid.uuid4().hex


AnyRequest = TypeVar("AnyRequest", bound=type[Request])
VERBS: dict[str, type[Request]] = {}


def verb(
    name: str, access: Access, reply: type, *codes: Code, answer_kept: bool = True, reads_pictures: bool = False
) -> Callable[[AnyRequest], AnyRequest]:
    """Register a request class. codes: what it may be refused with, beside what any request may be."""

    def register(kind: AnyRequest) -> AnyRequest:
        kind.verb, kind.access, kind.reply, kind.codes, kind.answer_kept = name, access, reply, codes, answer_kept
        kind.reads_pictures = reads_pictures
        VERBS[name] = kind
        return kind

    return register


def request_type(verb_name: str) -> type[Request]:
    """The class of a verb. Raises RefusedError with unknown_verb."""
    if verb_name not in VERBS:
        raise RefusedError(Code.UNKNOWN_VERB, f"there is no request '{verb_name[:64]}'; known are {', '.join(VERBS)}")
    return VERBS[verb_name]


def decode_json(verb_name: str, payload: bytes) -> object:
    """The JSON value of a payload. Raises RefusedError with not_json."""
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # the last: [[[[... without end
        raise RefusedError(Code.NOT_JSON, f"{verb_name}: the payload is not JSON in UTF-8: {error}") from error


def convert_request(verb_name: str, value: object) -> Request:
    """The typed request of a JSON value. Raises RefusedError with unknown_verb or invalid, which names the field."""
    kind = request_type(verb_name)
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise RefusedError(Code.INVALID, f"{verb_name}: {error}") from error


def decode_base64(text: str, what: str) -> bytes:
    """The bytes. Raises RefusedError with not_base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError(Code.NOT_BASE64, f"{what} is not base64: {error}") from error


def transaction_of(value: object) -> str | None:
    """The transaction of a JSON value that may be no request; None where there is none."""
    transaction = value.get("transaction") if isinstance(value, dict) else None
    return transaction if isinstance(transaction, str) and 1 <= len(transaction) <= 128 else None
