"""What changes strangers, where they are kept."""

from edge.api.replies import EnrolledReply, IgnoredReply, PurgedReply, StrangersReply
from edge.api.requests.visits import IgnoreStranger, LabelStranger, ListStrangers, PurgeStrangers
from edge.runtime.context import DeviceContext
from edge.runtime.handlers.enrollment import enrolled_reply
from edge.runtime.handlers.registry import handles


@handles(ListStrangers)
def list_strangers(_request: ListStrangers, device: DeviceContext) -> StrangersReply:
    """All that are kept."""
    return StrangersReply(strangers=device.people.kept_strangers().list())


@handles(LabelStranger)
def label_stranger(request: LabelStranger, device: DeviceContext) -> EnrolledReply:
    """Enroll a stranger."""
    enrolled = device.people.label_stranger(request.id, request.name)
    device.history.name_stranger(request.id, enrolled.person_id)
    return enrolled_reply(enrolled)


@handles(IgnoreStranger)
def ignore_stranger(request: IgnoreStranger, device: DeviceContext) -> IgnoredReply:
    """Ignore a stranger, or report them again."""
    stranger = device.people.ignore_stranger(request.id, ignored=request.ignored)
    return IgnoredReply(stranger_id=stranger.stranger_id, ignored=stranger.ignored)


@handles(PurgeStrangers)
def purge_strangers(request: PurgeStrangers, device: DeviceContext) -> PurgedReply:
    """Remove one stranger, or all."""
    purged = device.people.purge_strangers(request.id)
    device.history.remove_strangers([stranger.stranger_id for stranger in device.people.kept_strangers().list()])
    return PurgedReply(strangers=purged)
