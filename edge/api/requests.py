"""What can be asked, typed: one class per verb, with its access, its reply and its codes."""

from typing import Annotated, Literal

import msgspec

from edge.api.fields import (
    FACE_CODES,
    PAGE_MAX,
    PICTURE_CODES,
    STRANGER_CODES,
    TEMPLATES_PAGE,
    TEMPLATES_PAGE_MAX,
    VISITS_PAGE,
    VISITS_PAGE_MAX,
    Days,
    Id,
    Images,
    Name,
    Time,
)
from edge.api.messages import Health
from edge.api.replies import (
    CancelledReply,
    CheckedReply,
    ConfigReply,
    CorrectedReply,
    EnrolledReply,
    ExportedReply,
    FacesReply,
    IgnoredReply,
    ImportedReply,
    PeopleReply,
    PersonReply,
    PurgedReply,
    RebuiltReply,
    RemovedReply,
    RemovedTemplateReply,
    RemovedVisitReply,
    RenamedReply,
    SnapshotReply,
    StrangersReply,
    TemplatesReply,
    VisitReply,
    VisitsReply,
)
from edge.api.verbs import VERBS as VERBS  # noqa: PLC0414 -- complete once this module is imported
from edge.api.verbs import Access, Request, verb
from edge.core import patterns
from edge.core.codes import Code
from edge.core.enrollment import SAMPLES_MAX


@verb(
    "enroll/image",
    Access.WRITE,
    EnrolledReply,
    *FACE_CODES,
    Code.DIFFERENT_PEOPLE,
    Code.DIFFERENT_PERSON,
    Code.CONFLICTS_WITH,
    *PICTURE_CODES,
    Code.CANCELLED,
    Code.CLOCK_NOT_SET,
    reads_pictures=True,
)
class EnrollImages(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Enroll somebody from pictures with one face each: the majority that is of one person; the reply names the others.

    images: JPEG, PNG, ... in base64; face: "only" refuses a picture with several recognizable faces, "largest"
    takes the nearest of them; ttl_days: of a guest, who is removed after so many days; force: the pictures are of the
    person of that name, even if they differ much from those of before
    """

    name: Name
    images: Images
    face: Literal["only", "largest"] = "only"
    ttl_days: Days | None = None
    force: bool = False


@verb(
    "enroll/start",
    Access.LIVE,
    EnrolledReply,
    Code.CONFLICTS_WITH,
    Code.DIFFERENT_PERSON,
    Code.TIMEOUT,
    Code.CANCELLED,
    Code.ENROLLING,
    Code.RECOGNITION_OFF,
    Code.NO_FRAME,
    Code.CLOCK_NOT_SET,
)
class StartEnrollment(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Enroll the person before the camera; `progress` is reported until there are enough samples.

    shots: how many samples; timeout_seconds: what there is by then is kept; ttl_days: of a guest; force: as of
    enroll/image
    """

    name: Name
    shots: Annotated[int, msgspec.Meta(ge=1, le=SAMPLES_MAX)] = 5
    timeout_seconds: Annotated[float, msgspec.Meta(ge=5, le=600)] = 60.0
    ttl_days: Days | None = None
    force: bool = False


@verb("enroll/cancel", Access.WRITE, CancelledReply, Code.NOT_ENROLLING)
class CancelEnrollment(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Keep nothing of the person before the camera."""


@verb("person/list", Access.READ, PeopleReply)
class ListPeople(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """List who is enrolled, in the order of enrollment, page by page.

    limit: of a page, which has fewer where the broker takes no more; after: `next` of the page before
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] | msgspec.UnsetType = msgspec.UNSET
    after: Annotated[str, msgspec.Meta(max_length=200)] | msgspec.UnsetType = msgspec.UNSET


@verb("person/rename", Access.WRITE, RenamedReply, Code.NO_SUCH_PERSON, Code.NAME_TAKEN)
class RenamePerson(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Give somebody another name."""

    name: Name
    new_name: Name


@verb("person/merge", Access.WRITE, EnrolledReply, Code.NO_SUCH_PERSON)
class MergePeople(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Make two names of one person one: `into` keeps its name and gets the templates of `name`."""

    name: Name
    into: Name


@verb("person/set", Access.WRITE, PersonReply, Code.NO_SUCH_PERSON, Code.CLOCK_NOT_SET)
class SetPerson(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Change what is particular to somebody; what is left out stays.

    tau: a match threshold of their own, or null; ttl_days: from now on, then they are removed, or null
    notify: whether events name them
    """

    name: Name
    tau: Annotated[float, msgspec.Meta(gt=0, lt=4)] | msgspec.UnsetType | None = msgspec.UNSET
    ttl_days: Days | msgspec.UnsetType | None = msgspec.UNSET
    notify: bool | msgspec.UnsetType = msgspec.UNSET


@verb("person/templates", Access.READ, TemplatesReply, Code.NO_SUCH_PERSON)
class ListTemplates(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """List the templates of one person: where each is from, and how it goes with the others.

    limit: of a page, which has fewer where the broker takes no more; after: `next` of the page before
    crops: whether the page has the pictures too
    """

    name: Name
    limit: Annotated[int, msgspec.Meta(ge=1, le=TEMPLATES_PAGE_MAX)] = TEMPLATES_PAGE
    after: Annotated[str, msgspec.Meta(max_length=200)] | msgspec.UnsetType = msgspec.UNSET
    crops: bool = False


@verb(
    "template/remove",
    Access.WRITE,
    RemovedTemplateReply,
    Code.NO_SUCH_PERSON,
    Code.NO_SUCH_TEMPLATE,
    Code.LAST_TEMPLATE,
    Code.NOT_OVERWRITTEN,
)
class RemoveTemplate(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Remove one template of a person, and what was learned by it: deleted and overwritten. id: of person/templates."""

    name: Name
    id: Id


@verb("person/remove", Access.WRITE, RemovedReply, Code.NO_SUCH_PERSON, Code.NOT_OVERWRITTEN)
class RemovePerson(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Remove somebody: person, templates and crops are deleted and overwritten."""

    name: Name


@verb("unknown/list", Access.READ, StrangersReply, Code.STRANGERS_NOT_KEPT)
class ListStrangers(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """List the strangers who came, where they are kept."""


@verb("unknown/label", Access.WRITE, EnrolledReply, *STRANGER_CODES, Code.CONFLICTS_WITH)
class LabelStranger(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Enroll a stranger under a name. id: a stranger_id."""

    id: Id
    name: Name


@verb("unknown/ignore", Access.WRITE, IgnoredReply, *STRANGER_CODES)
class IgnoreStranger(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Report a stranger as `ignored` from now on, or report them again. id: a stranger_id."""

    id: Id
    ignored: bool = True


@verb("unknown/purge", Access.WRITE, PurgedReply, *STRANGER_CODES)
class PurgeStrangers(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Remove a stranger, or, without an id, all of them."""

    id: Id | None = None


@verb("event/list", Access.READ, VisitsReply, Code.HISTORY_OFF, Code.NO_SUCH_PERSON)
class ListVisits(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """List the visits that are kept, the newest first, page by page.

    since, until: when a visit began, from the one and before the other; name: of a person; stranger: a stranger_id
    kind: the event_type; limit: of a page, which has fewer where the broker takes no more
    after: `next` of the page before; crops: whether the page has the crops too
    """

    since: Time | msgspec.UnsetType = msgspec.UNSET
    until: Time | msgspec.UnsetType = msgspec.UNSET
    name: Name | msgspec.UnsetType = msgspec.UNSET
    stranger: Id | msgspec.UnsetType = msgspec.UNSET
    kind: Literal["recognized", "unknown", "ignored", "low_quality"] | msgspec.UnsetType = msgspec.UNSET
    limit: Annotated[int, msgspec.Meta(ge=1, le=VISITS_PAGE_MAX)] = VISITS_PAGE
    after: Annotated[str, msgspec.Meta(max_length=18, pattern=patterns.NUMBER)] | msgspec.UnsetType = msgspec.UNSET
    crops: bool = False


@verb("event/get", Access.READ, VisitReply, Code.HISTORY_OFF, Code.NO_SUCH_EVENT)
class GetVisit(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Get one visit with its pictures, smaller ones where the broker takes no more. id: of any event of the visit."""

    id: Id


@verb("event/remove", Access.WRITE, RemovedVisitReply, Code.HISTORY_OFF, Code.NO_SUCH_EVENT)
class RemoveVisit(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Remove one visit: it is deleted and overwritten with its pictures, and with a template that was learned from it.

    id: of any event of the visit
    """

    id: Id


@verb("event/correct", Access.WRITE, CorrectedReply, Code.NO_SUCH_EVENT, Code.NO_LOOK, Code.NOT_NAMED)
class CorrectEvent(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say who an event was of; null: nobody who is enrolled. What was learned from the visit for another is dropped.

    id: of an event of a visit that is kept, or of one of the newest 100 events with a sample since the device started
    """

    id: Id
    name: Name | None


@verb("recognize/image", Access.READ, FacesReply, *PICTURE_CODES, reads_pictures=True)
class RecognizeImage(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Recognize every face in one picture. image: JPEG, PNG, ... in base64."""

    image: str


@verb("snapshot/get", Access.READ, SnapshotReply, Code.SNAPSHOT_OFF, Code.RECOGNITION_OFF, Code.NO_FRAME)
class GetSnapshot(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Get what the camera sees now."""


@verb("health/check", Access.READ, Health)
class CheckHealth(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Get the device's health now."""


@verb("gallery/export", Access.WRITE, ExportedReply, Code.NO_HOUSEHOLD_KEY, Code.TOO_LARGE, answer_kept=False)
class ExportGallery(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Get everybody with templates and crops, encrypted under the household's key; it goes into the audit record."""

    crops: bool = True


@verb("gallery/import", Access.WRITE, ImportedReply, Code.NO_HOUSEHOLD_KEY, Code.NOT_BASE64, Code.NOT_AUTHENTIC)
class ImportGallery(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Add everybody of an export. gallery: as gallery/export gives it."""

    gallery: str


@verb("gallery/check", Access.READ, CheckedReply)
class CheckGallery(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """List what may be mended: people with one template or none, templates that are poor or unlike, people alike."""


@verb(
    "gallery/rebuild",
    Access.WRITE,
    RebuiltReply,
    Code.IMAGE_TOO_COSTLY,
    Code.IMAGE_BROKEN,
    Code.WORKER_FAILED,
    reads_pictures=True,
)
class RebuildGallery(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Embed every stored crop again with the present model."""


@verb("config/get", Access.READ, ConfigReply)
class GetConfig(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Get what can be set while the device runs."""


@verb("config/set", Access.WRITE, ConfigReply)
class SetConfig(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Turn recognition on or off; it outlasts restarts."""

    recognition: bool
