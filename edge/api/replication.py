"""What the cameras of one household say to one another of people: MessagePack, and sealed by whoever sends it."""

import msgspec

from edge.core.replication import Revision, TemplateRecord
from edge.errors import SealError


class RevisionMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A revision of one person, and what there is of the templates in it. device: who says so"""

    device: str
    revision: Revision
    looks: list[TemplateRecord]

    def bytes(self) -> bytes:
        """As it is sealed."""
        return msgspec.msgpack.encode(self)


def read_revision_message(payload: bytes) -> RevisionMessage:
    """Raises SealError where it is none, though it was sealed: a camera that speaks another language."""
    try:
        return msgspec.msgpack.decode(payload, type=RevisionMessage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SealError(f"a revision that cannot be read: {error}") from error
