"""What a request is answered with, typed: the `data` of an answer. Times without a unit are RFC 3339 in UTC."""

import msgspec

from edge.api.messages import SampleQuality
from edge.core.checkup import Finding
from edge.core.events import EventType, RunnerUp
from edge.core.selection import LeftOut
from edge.core.templates import TemplateSummary
from edge.core.types import PersonSummary, RecognizedFace, RelativeSummary, Stranger


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
    """What may be mended in the gallery; see edge.core.checkup.Finding.

    checked: how many people were looked at and compared with one another, those enrolled last
    learned: how many templates of everybody were learned at the door
    """

    findings: list[Finding]
    checked: int
    learned: int = 0


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
    relative: RelativeSummary | None
    learned: int = 0


class TemplatesReply(Reply, frozen=True, kw_only=True):
    """A page of one person's templates, in the order in which the device got them; see TemplateSummary.

    next: what to ask for `after`; left out at the end
    crops: JPEGs of 112x112 in base64 by the template's id, of those that are stored; left out where not asked for
    """

    name: str
    person_id: str
    templates: list[TemplateSummary]
    next: str | msgspec.UnsetType = msgspec.UNSET
    crops: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class RemovedTemplateReply(Reply, frozen=True, kw_only=True):
    """A receipt: which template was deleted and overwritten, and when.

    removed: how many: those go too that were learned by it; templates: how many are left
    """

    person_id: str
    id: str
    removed: int
    templates: int
    at: str
    overwritten: bool = True


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


class Visit(Reply, frozen=True, kw_only=True):
    """One visit: what its events said, see edge.core.events.Event, or what was said later; by the names of now.

    id: of its first event
    event_type: as of the newest event
    begin, end: of its first and its last event; end is null while it goes on, and where the device was stopped in it
    clock_set: whether the device knew the time of day when it began; where false, begin and end may be far off
    corrected: whether event/correct or unknown/label said later who it is
    nearest: of somebody who was not recognized, the name of the nearest person, to whom distance was measured
    quality: of the best sample; of low_quality, of the clearest one that was not good enough
    crop, scene: whether the picture is kept
    """

    id: str
    event_type: EventType
    begin: str
    end: str | None
    clock_set: bool
    name: str | None
    person_id: str | None
    stranger: str | None
    corrected: bool
    distance: float | None
    tau: float | None
    nearest: str | None
    runner_up: RunnerUp | None
    margin: float | None
    votes: dict[str, int]
    why: str
    quality: SampleQuality | None
    box: list[float] | None
    faces_in_frame: int
    model: str
    crop: bool
    scene: bool


class VisitsReply(Reply, frozen=True, kw_only=True):
    """A page of visits.

    next: what to ask for `after`; left out at the end
    crops: JPEGs in base64 by the visit's id, of those that are kept; left out where not asked for
    """

    visits: list[Visit]
    next: str | msgspec.UnsetType = msgspec.UNSET
    crops: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class VisitReply(Reply, frozen=True, kw_only=True):
    """One visit. crop: the aligned face, scene: all that the camera saw, smaller; JPEGs in base64, or null."""

    visit: Visit
    crop: str | None
    scene: str | None


class RemovedVisitReply(Reply, frozen=True, kw_only=True):
    """A receipt: which visit was deleted and overwritten, and when."""

    id: str
    at: str
    overwritten: bool = True


class FacesReply(Reply, frozen=True, kw_only=True):
    """Every face of a picture."""

    faces: list[RecognizedFace]


class SnapshotReply(Reply, frozen=True, kw_only=True):
    """What the camera sees: a JPEG in base64.

    privacy_zones: left, top, width and height of each, as shares of the picture, in which they are black
    """

    image: str
    privacy_zones: list[list[float]]


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
    """How many templates were made again; without_picture: those of another model without a readable crop."""

    templates: int
    without_picture: int


class ConfigReply(Reply, frozen=True, kw_only=True):
    """What can be set while the device runs; and fpir, how often a stranger may be named at tau."""

    recognition: bool
    fpir: float
