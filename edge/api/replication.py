"""What the cameras of one household tell one another: MessagePack, encrypted by the sender."""

import msgspec

from edge.core.replication import EXPIRES_MAX, ID_MAX, Revision, TemplateRecord, check, within
from edge.errors import CipherError


class RevisionMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A revision of one person, and the templates in it as far as the sender has them. device: the sender."""

    device: str
    revision: Revision
    records: list[TemplateRecord] = msgspec.field(name="looks")

    def bytes(self) -> bytes:
        """As it is encrypted."""
        return msgspec.msgpack.encode(self)


def read_revision_message(payload: bytes) -> RevisionMessage:
    """The message in a decrypted payload.

    Raises CipherError where there is none, as of another version of limen, or where it breaks a limit of
    edge.core.replication.check.
    """
    try:
        message = msgspec.msgpack.decode(payload, type=RevisionMessage)
        within("the length of a device's name", len(message.device), 1, ID_MAX)
        check(message.revision, message.records)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise CipherError(f"a revision cannot be read: {error}") from error
    return message


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """What time a camera has: not retained. device: the sender; sent_at: seconds since 1970."""

    device: str
    sent_at: float

    def bytes(self) -> bytes:
        """As it is encrypted."""
        return msgspec.msgpack.encode(self)


def read_greeting(payload: bytes) -> Greeting:
    """The greeting in a decrypted payload. Raises CipherError where there is none."""
    try:
        greeting = msgspec.msgpack.decode(payload, type=Greeting)
        within("the length of a device's name", len(greeting.device), 1, ID_MAX)
        within("a time", greeting.sent_at, 0, EXPIRES_MAX)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise CipherError(f"a greeting cannot be read: {error}") from error
    return greeting
