"""Who is enrolled, from which pictures, and under which name."""

from typing import Annotated, Literal

import msgspec

from edge.api.fields import (
    FACE_CODES,
    PAGE_MAX,
    PICTURE_CODES,
    TEMPLATES_PAGE,
    TEMPLATES_PAGE_MAX,
    Days,
    Id,
    Images,
    Name,
)
from edge.api.replies import (
    CancelledReply,
    EnrolledReply,
    PeopleReply,
    PersonReply,
    RemovedReply,
    RemovedTemplateReply,
    RenamedReply,
    TemplatesReply,
)
from edge.api.verbs import Access, Request, verb
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
    """Make two names of one person one: `into` keeps its name and gets templates and visits of `name`."""

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
