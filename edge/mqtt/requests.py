"""JSON -> core values, typed: what can be asked, and what a request may hold."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np

from edge.core.enrollment import SHOTS_MAX
from edge.core.names import NAME_MAX
from edge.core.types import (
    CancelEnrollment,
    Command,
    EnrollImages,
    ListPeople,
    MergePeople,
    RebuildGallery,
    RecognizeImage,
    RemovePerson,
    RenamePerson,
    SetTau,
    StartEnrollment,
    SwitchRecognition,
)
from edge.errors import RefusedError
from edge.mqtt.pictures import decode_picture

Transaction = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX)]
Images = Annotated[list[str], msgspec.Meta(min_length=1, max_length=SHOTS_MAX)]


@dataclass(frozen=True)
class Limits:
    """What is looked at at all. image_pixels_max: of all pictures of one request together."""

    request_bytes_max: int
    image_pixels_max: int


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every request holds. transaction: made by whoever asks; the same one gets the same answer."""

    transaction: Transaction

    def command(self, limits: Limits) -> Command:
        """What the door is asked to do. Raises RefusedError for a picture that does not hold."""
        raise NotImplementedError


class EnrollImageRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """enroll/image: templates of somebody from JPEG or PNG pictures in base64, one face in each."""

    name: Name
    images: Images

    def command(self, limits: Limits) -> Command:
        """See Request."""
        images, pixels = [], 0
        for number, text in enumerate(self.images, start=1):
            images.append(picture_in(text, f"image {number}", limits.image_pixels_max - pixels))
            pixels += images[-1].shape[0] * images[-1].shape[1]
        return EnrollImages(self.name, images)


class EnrollStartRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """enroll/start: templates of whoever stands before the door from now on; says how far it has come."""

    name: Name
    shots: Annotated[int, msgspec.Meta(ge=1, le=SHOTS_MAX)] = 5
    timeout_seconds: Annotated[float, msgspec.Meta(ge=5, le=600)] = 60.0

    def command(self, _limits: Limits) -> Command:
        """See Request."""
        return StartEnrollment(self.name, self.shots)


class EnrollCancelRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """enroll/cancel: keep nothing of whoever stands before the door."""

    def command(self, _limits: Limits) -> Command:
        """See Request."""
        return CancelEnrollment()


class PersonListRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """person/list."""

    def command(self, _limits: Limits) -> Command:
        """See Request."""
        return ListPeople()


class PersonRenameRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """person/rename."""

    name: Name
    new_name: Name

    def command(self, _limits: Limits) -> Command:
        """See Request."""
        return RenamePerson(self.name, self.new_name)


class PersonMergeRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """person/merge: two names of one person become one."""

    name: Name
    into: Name

    def command(self, _limits: Limits) -> Command:
        """See Request."""
        return MergePeople(self.name, self.into)


class PersonSetRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """person/set: a tau of somebody's own, for who is taken for others or never known; null: the gallery's again."""

    name: Name
    tau: Annotated[float, msgspec.Meta(gt=0, lt=4)] | None

    def command(self, _limits: Limits) -> Command:
        """See Request."""
        return SetTau(self.name, self.tau)


class PersonRemoveRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """person/remove."""

    name: Name

    def command(self, _limits: Limits) -> Command:
        """See Request."""
        return RemovePerson(self.name)


class RecognizeImageRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """recognize/image: who is in one picture, JPEG or PNG in base64."""

    image: str

    def command(self, limits: Limits) -> Command:
        """See Request."""
        return RecognizeImage(picture_in(self.image, "image", limits.image_pixels_max))


class GalleryRebuildRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """gallery/rebuild: embed every stored crop again."""

    def command(self, _limits: Limits) -> Command:
        """See Request."""
        return RebuildGallery()


class ConfigGetRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """config/get: what can be set while the device runs."""

    def command(self, _limits: Limits) -> Command:
        """See Request."""
        return SwitchRecognition()


class ConfigSetRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """config/set: it is kept over restarts."""

    recognition: bool

    def command(self, _limits: Limits) -> Command:
        """See Request."""
        return SwitchRecognition(self.recognition)


REQUESTS: dict[str, type[Request]] = {
    "enroll/image": EnrollImageRequest,
    "enroll/start": EnrollStartRequest,
    "enroll/cancel": EnrollCancelRequest,
    "person/list": PersonListRequest,
    "person/rename": PersonRenameRequest,
    "person/merge": PersonMergeRequest,
    "person/set": PersonSetRequest,
    "person/remove": PersonRemoveRequest,
    "recognize/image": RecognizeImageRequest,
    "gallery/rebuild": GalleryRebuildRequest,
    "config/get": ConfigGetRequest,
    "config/set": ConfigSetRequest,
}


def read_request(verb: str, payload: bytes, size: int, limits: Limits) -> Request:
    """The typed request in a payload of that many bytes; of one that is too large nothing but the size need be given.

    Raises RefusedError with unknown_verb, too_large, not_json or invalid; the text names the limit or the field.
    """
    if verb not in REQUESTS:
        raise RefusedError("unknown_verb", f"there is no request '{verb[:64]}'; known are {', '.join(REQUESTS)}")
    if size > limits.request_bytes_max:
        raise RefusedError("too_large", f"the request has {size} bytes; at most {limits.request_bytes_max} are read")
    try:
        return msgspec.json.decode(payload, type=REQUESTS[verb])
    except msgspec.ValidationError as error:
        raise RefusedError("invalid", f"{verb}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # the last: [[[[... without end
        raise RefusedError("not_json", f"{verb}: the payload is not JSON in UTF-8: {error}") from error


def transaction_in(payload: bytes) -> str | None:
    """The transaction of a request that may hold nothing else of use; None where none can be read."""
    try:
        return msgspec.json.decode(payload, type=Anything).transaction
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Anything(msgspec.Struct, frozen=True):
    """A JSON object with a transaction in it."""

    transaction: Transaction


def picture_in(text: str, what: str, pixels_max: int) -> np.ndarray:
    """Base64 -> (H, W, 3) uint8 RGB. Raises RefusedError."""
    try:
        encoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError("not_base64", f"{what} is not base64: {error}") from error
    return decode_picture(encoded, what, pixels_max)
