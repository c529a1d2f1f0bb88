"""The visits that are kept."""

import base64

import msgspec

from edge.api.images import jpeg_pixels, small_jpeg
from edge.api.replies import RemovedVisitReply, VisitReply, VisitsReply
from edge.api.requests.visits import GetVisit, ListVisits, RemoveVisit
from edge.core.codes import Code
from edge.errors import RefusedError
from edge.runtime.context import ANSWER_BYTES, DeviceContext, fitting
from edge.runtime.handlers.registry import handles
from edge.storage.visits import Wanted
from edge.system.clock import rfc3339

SCENE_SIZES_PX = (480, 320, 240, 160)
CROP_SIZES_PX = (112, 80, 56)


@handles(ListVisits)
def list_visits(request: ListVisits, device: DeviceContext) -> VisitsReply:
    """A page of visits, as long as asked for and as the broker takes."""
    wanted = Wanted(
        since=None if request.since is msgspec.UNSET else request.since.timestamp(),
        until=None if request.until is msgspec.UNSET else request.until.timestamp(),
        person_ids=None
        if request.name is msgspec.UNSET
        else device.history.ids_of(device.people.summary(request.name).person_id),
        stranger=None if request.stranger is msgspec.UNSET else request.stranger,
        kind=None if request.kind is msgspec.UNSET else request.kind,
        before=None if request.after is msgspec.UNSET else int(request.after),
        count=request.limit + 1,
    )
    found = device.history.page(wanted)
    shown = found[: request.limit]
    numbers = [number for _, number in shown]
    crops = {
        number: base64.b64encode(crop).decode()
        for number, crop in (device.history.crops(numbers) if request.crops else {}).items()
    }
    taken = fitting([(visit, visit.id, crops.get(number)) for visit, number in shown], device.answer_bytes_max)
    return VisitsReply(
        visits=[visit for visit, _ in shown[:taken]],
        next=str(shown[taken - 1][1]) if taken < len(found) else msgspec.UNSET,
        crops={visit.id: crops[number] for visit, number in shown[:taken] if number in crops}
        if request.crops
        else msgspec.UNSET,
    )


@handles(GetVisit)
def get_visit(request: GetVisit, device: DeviceContext) -> VisitReply:
    """One visit, with pictures as large as the broker takes."""
    visit, pictures = device.history.get(request.id)
    most = device.answer_bytes_max
    left = None if most is None else most - ANSWER_BYTES - len(msgspec.json.encode(visit))
    crop = within(pictures.crop, left, CROP_SIZES_PX)
    scene = within(pictures.scene, None if left is None else left - len(crop or ""), SCENE_SIZES_PX)
    return VisitReply(visit=visit, crop=crop, scene=scene)


@handles(RemoveVisit)
def remove_visit(request: RemoveVisit, device: DeviceContext) -> RemovedVisitReply:
    """Delete and overwrite one visit, and what was learned from it."""
    try:
        visit = device.remove_visit(request.id)
        device.people.upkeep.unlearn(visit)
    except RefusedError as refusal:
        # Asked again, where the device ended when the visit was deleted, and what was learned from it was not yet.
        if refusal.code != Code.NO_SUCH_EVENT or not device.people.upkeep.unlearn(request.id):
            raise
        visit = request.id
    return RemovedVisitReply(id=visit, at=rfc3339())


def within(jpeg: bytes | None, bytes_max: int | None, sizes_px: tuple[int, ...]) -> str | None:
    """A JPEG in base64 of at most so many bytes, made smaller where it has more; None where that does not help."""
    if jpeg is None:
        return None
    text = base64.b64encode(jpeg).decode()
    if bytes_max is None or len(text) <= bytes_max:
        return text
    image = jpeg_pixels(jpeg)
    if image is None:
        return None
    for px in sizes_px:
        text = base64.b64encode(small_jpeg(image, px)).decode()
        if len(text) <= bytes_max:
            return text
    return None
