"""What a request is answered with, typed: the `data` of an answer. Times without a unit are RFC 3339 in UTC."""

import msgspec

from edge.core.checkup import Finding
from edge.core.selection import LeftOut
from edge.core.types import PersonSummary, RecognizedFace, Stranger


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an answer."""


class EnrolledReply(Reply, frozen=True, kw_only=True):
    """Who was enrolled, and how many templates they got or have.

    left_out: of the pictures that made no template, each with its number from 1, a code and the reason
    """

    name: str
    person_id: str
    templates: int
    left_out: list[LeftOut] | msgspec.UnsetType = msgspec.UNSET


class ProgressReply(Reply, frozen=True, kw_only=True):
    """How far a live enrollment has come. reason: the code why the last face gave no sample, or null."""

    shots: int
    of: int
    reason: str | None


class CancelledReply(Reply, frozen=True, kw_only=True):
    """Whose enrollment was cancelled."""

    name: str


class CheckedReply(Reply, frozen=True, kw_only=True):
    """What may be mended in the gallery; see edge.core.checkup.Finding."""

    findings: list[Finding]


class PeopleReply(Reply, frozen=True, kw_only=True):
    """Who is enrolled, and the gallery's match threshold. next: what to ask for `after`; left out at the end."""

    people: list[PersonSummary]
    tau: float
    next: str | msgspec.UnsetType = msgspec.UNSET


class PersonReply(Reply, frozen=True, kw_only=True):
    """One person; see edge.core.types.PersonSummary."""

    name: str
    person_id: str
    templates: int
    tau: float
    expires: float | None
    notify: bool


class RenamedReply(Reply, frozen=True, kw_only=True):
    """The person and the new name."""

    name: str
    person_id: str


class RemovedReply(Reply, frozen=True, kw_only=True):
    """A receipt: what was deleted and overwritten, and when."""

    person_id: str
    templates: int
    crops: int
    at: str
    overwritten: bool = True


class StrangersReply(Reply, frozen=True, kw_only=True):
    """The strangers who are kept."""

    strangers: list[Stranger]


class IgnoredReply(Reply, frozen=True, kw_only=True):
    """Whether events of a stranger are ignored."""

    stranger_id: str
    ignored: bool


class PurgedReply(Reply, frozen=True, kw_only=True):
    """How many strangers were removed."""

    strangers: int


class CorrectedReply(Reply, frozen=True, kw_only=True):
    """Who the event is of now, as after an enrollment; or, where name is null, who it is not."""

    name: str | None
    person_id: str | msgspec.UnsetType = msgspec.UNSET
    templates: int | msgspec.UnsetType = msgspec.UNSET
    not_: str | msgspec.UnsetType | None = msgspec.field(default=msgspec.UNSET, name="not")


class FacesReply(Reply, frozen=True, kw_only=True):
    """Every face of a picture."""

    faces: list[RecognizedFace]


class SnapshotReply(Reply, frozen=True, kw_only=True):
    """What the camera sees: a JPEG in base64."""

    image: str


class ExportedReply(Reply, frozen=True, kw_only=True):
    """The gallery, encrypted under the household's key, in base64."""

    people: int
    gallery: str


class ImportedReply(Reply, frozen=True, kw_only=True):
    """How many people and templates are new; waiting: templates of another model, to be rebuilt."""

    people: int
    templates: int
    waiting: int


class RebuiltReply(Reply, frozen=True, kw_only=True):
    """How many templates were made again; without_picture: those of another model that have no stored crop."""

    templates: int
    without_picture: int


class ConfigReply(Reply, frozen=True, kw_only=True):
    """What can be set while the device runs; and fpir, how often a stranger may be named at tau."""

    recognition: bool
    fpir: float
