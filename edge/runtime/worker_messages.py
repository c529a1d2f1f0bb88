"""What the device and the process that reads its pictures tell each other: MessagePack, its length before each message.

The process decodes what strangers send, so what it says is checked: types, sizes, shapes, codes, lengths of reasons.
"""

import struct
from typing import IO, Annotated, TypeVar

import msgspec
import numpy as np

from edge.core.align import CROP_PX
from edge.core.codes import Code
from edge.core.quality import QualityRules
from edge.core.selection import LeftOut
from edge.core.types import FoundFace, Sample
from edge.runtime.pictures import CropsTask, FacesTask, Found, PictureTask

T = TypeVar("T")
LENGTH = struct.Struct("<I")
SAID_BYTES_MAX = 4_000_000  # by the process: some 300 faces with their encodings, or a crop
REASON_MAX = 1000  # characters
CODES = frozenset[str](Code)
DTYPES = frozenset({"uint8", "float32"})


class Settings(msgspec.Struct, frozen=True):
    """What the process is told first.

    detector, embedder: paths of the models; threads: of each; dimension: of an encoding
    picture_seconds: of processor time for one picture
    memory_bytes: for pictures, beside what the process has once it has loaded the models
    """

    detector: str
    embedder: str
    threads: int
    dimension: int
    rules: QualityRules
    picture_seconds: float
    memory_bytes: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The models are loaded."""


class Begun(msgspec.Struct, frozen=True, tag=True):
    """The picture of that number, from 1, is being read."""

    number: int


class FoundSample(msgspec.Struct, frozen=True, tag=True):
    """A picture gave a sample."""

    sample: Sample


class FoundNone(msgspec.Struct, frozen=True, tag=True):
    """A picture gave no sample."""

    left_out: LeftOut


class FoundFaces(msgspec.Struct, frozen=True, tag=True):
    """Every face of a picture."""

    faces: list[FoundFace]


class FoundEncoding(msgspec.Struct, frozen=True, tag=True):
    """The encoding of a crop."""

    embedding: np.ndarray


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The request is refused."""

    code: Code
    reason: Annotated[str, msgspec.Meta(max_length=REASON_MAX)]


Finding = FoundSample | FoundNone | FoundFaces | FoundEncoding
Said = Ready | Begun | Finding | Refused


def said_of(found: Found) -> Said:
    """What was found in a picture, as a message."""
    if isinstance(found, Sample):
        return FoundSample(found)
    if isinstance(found, np.ndarray):
        return FoundEncoding(found)
    return FoundNone(found) if isinstance(found, LeftOut) else FoundFaces(found)


def found_of(said: Finding, task: PictureTask, dimension: int) -> Found:
    """The same back.

    Raises ValueError where that is no answer to the task, an array has another shape or type, an encoding another
    length, or a picture is left out for no known reason.
    """
    if isinstance(said, FoundFaces) != isinstance(task, FacesTask) or isinstance(said, FoundEncoding) != isinstance(
        task, CropsTask
    ):
        raise ValueError(f"{type(said).__name__} to a {type(task).__name__}")
    if isinstance(said, FoundNone):
        check_left_out(said.left_out, task)
        return said.left_out
    if isinstance(said, FoundEncoding):
        check_encoding(said.embedding, dimension)
        return said.embedding
    if isinstance(said, FoundFaces):
        for face in said.faces:
            check_encoding(face.embedding, dimension)
        return said.faces
    check_encoding(said.sample.embedding, dimension)
    if said.sample.crop.shape != (CROP_PX, CROP_PX, 3) or said.sample.crop.dtype != np.uint8:
        raise ValueError(f"a crop of {said.sample.crop.shape} {said.sample.crop.dtype}")
    return said.sample


def check_left_out(left_out: LeftOut, task: PictureTask) -> None:
    """Raise ValueError where there is no such picture or code, or the reason is too long."""
    if not 1 <= left_out.image <= len(task.images):
        raise ValueError(f"image {left_out.image} of {len(task.images)}")
    if len(left_out.reason) > REASON_MAX:
        raise ValueError(f"a reason of {len(left_out.reason)} characters")
    if left_out.code not in CODES:
        raise ValueError(f"no code: {left_out.code[:20]}")


def check_encoding(embedding: np.ndarray, dimension: int) -> None:
    """Raise ValueError where this is no encoding, (D,) float32 of unit length."""
    if embedding.shape != (dimension,) or embedding.dtype != np.float32:
        raise ValueError(f"an encoding of {embedding.shape} {embedding.dtype}")
    if not np.isclose(np.linalg.norm(embedding), 1.0, atol=1e-3):
        raise ValueError("an encoding that is not of unit length")


def write(stream: IO[bytes], message: Settings | PictureTask | Said) -> None:
    """Send a message. Raises OSError where the other end is closed."""
    encoded = msgspec.msgpack.encode(message, enc_hook=plain)
    stream.write(LENGTH.pack(len(encoded)))
    stream.write(encoded)
    stream.flush()


def read(stream: IO[bytes], decoder: "msgspec.msgpack.Decoder[T]", bytes_max: int) -> T:
    """Receive a message. Raises EOFError at the end of the stream, and ValueError where it is not of that kind."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    if length > bytes_max:
        raise ValueError(f"a message of {length} bytes")
    encoded = stream.read(length)
    if len(encoded) < length:
        raise EOFError
    try:
        return decoder.decode(encoded)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def plain(value: object) -> object:
    """An array as its type, shape and bytes; a number of NumPy's as one of Python's."""
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes()
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} cannot be sent")


def array_of(kind: type, value: object) -> object:
    """The array of what `plain` made of it. Raises ValueError where it is none."""
    if kind is not np.ndarray:
        raise NotImplementedError(f"{kind} cannot be received")
    name, shape, data = msgspec.convert(value, tuple[str, tuple[int, ...], bytes])
    if name not in DTYPES:
        raise ValueError(f"an array of {name[:20]}")
    return np.frombuffer(data, dtype=name).reshape(shape)


SETTINGS = msgspec.msgpack.Decoder(Settings)
TASKS: "msgspec.msgpack.Decoder[PictureTask]" = msgspec.msgpack.Decoder(PictureTask)
SAYINGS: "msgspec.msgpack.Decoder[Said]" = msgspec.msgpack.Decoder(Said, dec_hook=array_of)
