"""JSON -> core values, typed: what can be asked, and what a request may hold."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Protocol

import msgspec
import numpy as np

from edge.api.images import decode_picture
from edge.core.commands import (
    CancelEnrollment,
    Command,
    CorrectEvent,
    EnrollImages,
    IgnoreStranger,
    ImportGallery,
    LabelStranger,
    ListPeople,
    ListStrangers,
    MergePeople,
    PurgeStrangers,
    RebuildGallery,
    RecognizeImage,
    RemovePerson,
    RenamePerson,
    Reply,
    SetPerson,
    StartEnrollment,
    SwitchRecognition,
)
from edge.core.enrollment import SAMPLES_MAX
from edge.core.names import NAME_MAX
from edge.core.types import Event
from edge.errors import RefusedError

DAY_SECONDS, DAYS_MAX = 86_400.0, 3650
Transaction = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX)]
Images = Annotated[list[str], msgspec.Meta(min_length=1, max_length=SAMPLES_MAX)]


Days = Annotated[float, msgspec.Meta(gt=0, le=DAYS_MAX)]
StrangerId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


@dataclass(frozen=True)
class Limits:
    """What is looked at at all. image_pixels_max: of all pictures of one request together."""

    request_bytes_max: int
    image_pixels_max: int


class DeviceContext(Protocol):
    """What a request may ask of the device besides its door."""

    limits: Limits

    def now(self) -> float:
        """Seconds since 1970. Raises RefusedError with clock_not_set while nobody has told the device."""

    def told(self, event_id: str) -> Event:
        """An event as it was told. Raises RefusedError with no_such_event."""

    def health(self) -> dict[str, object]:
        """How the device is, as on its topic."""

    def snapshot(self) -> dict[str, object]:
        """What the camera sees. Raises RefusedError where that is not to be had."""

    def export(self, *, crops: bool) -> dict[str, object]:
        """Everybody, sealed under the household's key. Raises RefusedError where there is none, or with too_large."""

    def opened(self, gallery: str) -> bytes:
        """What was sealed. Raises RefusedError where there is no key, or the gallery was not sealed under it."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every request holds. transaction: made by whoever asks; the same one gets the same answer."""

    transaction: Transaction

    def command(self, around: DeviceContext) -> Command | Reply:
        """What the door is asked to do, or the answer. Raises RefusedError for what does not hold."""
        raise NotImplementedError


class EnrollImageRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """enroll/image: templates of somebody from JPEG or PNG pictures in base64, one face in each."""

    name: Name
    images: Images
    ttl_days: Days | None = None

    def command(self, around: DeviceContext) -> Command:
        """See Request."""
        images, pixels = [], 0
        for number, text in enumerate(self.images, start=1):
            images.append(picture_in(text, f"image {number}", around.limits.image_pixels_max - pixels))
            pixels += images[-1].shape[0] * images[-1].shape[1]
        return EnrollImages(self.name, images, expiry(self.ttl_days, around))


class EnrollStartRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """enroll/start: templates of whoever stands before the door from now on; says how far it has come."""

    name: Name
    shots: Annotated[int, msgspec.Meta(ge=1, le=SAMPLES_MAX)] = 5
    timeout_seconds: Annotated[float, msgspec.Meta(ge=5, le=600)] = 60.0
    ttl_days: Days | None = None

    def command(self, around: DeviceContext) -> Command:
        """See Request."""
        return StartEnrollment(self.name, self.shots, expiry(self.ttl_days, around))


class EnrollCancelRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """enroll/cancel: keep nothing of whoever stands before the door."""

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return CancelEnrollment()


class PersonListRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """person/list."""

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return ListPeople()


class PersonRenameRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """person/rename."""

    name: Name
    new_name: Name

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return RenamePerson(self.name, self.new_name)


class PersonMergeRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """person/merge: two names of one person become one."""

    name: Name
    into: Name

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return MergePeople(self.name, self.into)


class PersonSetRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """person/set: what is particular to somebody; null takes it back, and what is not given stays as it is.

    tau: of their own, for who is taken for others or never known; ttl_days: from now on, then they are forgotten;
    notify: whether their coming is told as such
    """

    name: Name
    tau: Annotated[float, msgspec.Meta(gt=0, lt=4)] | msgspec.UnsetType | None = msgspec.UNSET
    ttl_days: Days | msgspec.UnsetType | None = msgspec.UNSET
    notify: bool | msgspec.UnsetType = msgspec.UNSET

    def command(self, around: DeviceContext) -> Command:
        """See Request."""
        given = {"tau": self.tau, "notify": self.notify}
        changes = {field: value for field, value in given.items() if value is not msgspec.UNSET}
        if self.ttl_days is not msgspec.UNSET:
            changes["expires"] = expiry(self.ttl_days, around)
        if not changes:
            raise RefusedError("invalid", "person/set: expected tau, ttl_days or notify")
        return SetPerson(self.name, changes)


class PersonRemoveRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """person/remove."""

    name: Name

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return RemovePerson(self.name)


class UnknownListRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """unknown/list: who came that nobody has named."""

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return ListStrangers()


class UnknownLabelRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """unknown/label: a stranger has a name."""

    id: StrangerId
    name: Name

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return LabelStranger(self.id, self.name)


class UnknownIgnoreRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """unknown/ignore: say nothing of a stranger from now on, or say it again."""

    id: StrangerId
    ignored: bool = True

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return IgnoreStranger(self.id, self.ignored)


class UnknownPurgeRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """unknown/purge: forget a stranger; without an id all of them."""

    id: StrangerId | None = None

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return PurgeStrangers(self.id)


class EventCorrectRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """event/correct: who it was; null: nobody the household knows."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    name: Name | None

    def command(self, around: DeviceContext) -> Command:
        """See Request."""
        return CorrectEvent(around.told(self.id), self.name)


class SnapshotGetRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """snapshot/get: what the camera sees now, as a JPEG in base64."""

    def command(self, around: DeviceContext) -> Reply:
        """See Request."""
        return Reply(around.snapshot())


class HealthCheckRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """health/check: how the device is now."""

    def command(self, around: DeviceContext) -> Reply:
        """See Request."""
        return Reply(around.health())


class RecognizeImageRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """recognize/image: who is in one picture, JPEG or PNG in base64."""

    image: str

    def command(self, around: DeviceContext) -> Command:
        """See Request."""
        return RecognizeImage(picture_in(self.image, "image", around.limits.image_pixels_max))


class GalleryExportRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """gallery/export: everybody with templates and crops, sealed under the household's key, in base64."""

    crops: bool = True

    def command(self, around: DeviceContext) -> Reply:
        """See Request."""
        return Reply(around.export(crops=self.crops))


class GalleryImportRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """gallery/import: know everybody of an export, too."""

    gallery: str

    def command(self, around: DeviceContext) -> Command:
        """See Request."""
        return ImportGallery(around.opened(self.gallery))


class GalleryRebuildRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """gallery/rebuild: embed every stored crop again."""

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return RebuildGallery()


class ConfigGetRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """config/get: what can be set while the device runs."""

    def command(self, _around: DeviceContext) -> Command:
        """See Request."""
        return SwitchRecognition()


class ConfigSetRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """config/set: it is kept over restarts."""

    recognition: bool

    def command(self, _around: DeviceContext) -> Command:
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
    "unknown/list": UnknownListRequest,
    "unknown/label": UnknownLabelRequest,
    "unknown/ignore": UnknownIgnoreRequest,
    "unknown/purge": UnknownPurgeRequest,
    "event/correct": EventCorrectRequest,
    "recognize/image": RecognizeImageRequest,
    "snapshot/get": SnapshotGetRequest,
    "health/check": HealthCheckRequest,
    "gallery/export": GalleryExportRequest,
    "gallery/import": GalleryImportRequest,
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


def expiry(days: float | None, around: DeviceContext) -> float | None:
    """So many days from now, in seconds since 1970."""
    return None if days is None else around.now() + days * DAY_SECONDS


def picture_in(text: str, what: str, pixels_max: int) -> np.ndarray:
    """Base64 -> (H, W, 3) uint8 RGB. Raises RefusedError."""
    try:
        encoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError("not_base64", f"{what} is not base64: {error}") from error
    return decode_picture(encoded, what, pixels_max)
