"""Who came: visits, and strangers who are told apart."""

from typing import Annotated, Literal

import msgspec

from edge.api.fields import STRANGER_CODES, VISITS_PAGE, VISITS_PAGE_MAX, Id, Name, Time
from edge.api.replies import (
    CorrectedReply,
    EnrolledReply,
    IgnoredReply,
    PurgedReply,
    RemovedVisitReply,
    StrangersReply,
    VisitReply,
    VisitsReply,
)
from edge.api.verbs import Access, Request, verb
from edge.core import patterns
from edge.core.codes import Code


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
