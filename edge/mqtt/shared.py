"""What the cameras of one household say to one another of people: MessagePack, and sealed by whoever sends it."""

import msgspec

from edge.core.fleet import Look, Revision
from edge.errors import SealError


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A revision of one person, and what there is of the templates in it. device: who says so"""

    device: str
    revision: Revision
    looks: list[Look]

    def bytes(self) -> bytes:
        """As it is sealed."""
        return msgspec.msgpack.encode(self)


def read_told(payload: bytes) -> Told:
    """Raises SealError where it is none, though it was sealed: a camera that speaks another language."""
    try:
        return msgspec.msgpack.decode(payload, type=Told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SealError(f"a revision that cannot be read: {error}") from error
