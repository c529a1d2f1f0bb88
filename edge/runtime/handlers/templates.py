"""The templates of one person."""

import base64

import msgspec

from edge.api.images import crop_jpeg
from edge.api.replies import RemovedTemplateReply, TemplatesReply
from edge.api.requests.people import ListTemplates, RemoveTemplate
from edge.runtime.context import DeviceContext, fitting
from edge.runtime.handlers.registry import handles
from edge.system.clock import rfc3339


@handles(ListTemplates)
def list_templates(request: ListTemplates, device: DeviceContext) -> TemplatesReply:
    """A page of templates, as long as asked for and as the broker takes."""
    person = device.people.summary(request.name)
    after = None if request.after is msgspec.UNSET else request.after
    found = device.people.upkeep.page(person.person_id, after, request.limit + 1)
    shown = found[: request.limit]
    crops = {
        one.id: base64.b64encode(crop_jpeg(crop)).decode()
        for one, _, crop in (shown if request.crops else [])
        if crop is not None
    }
    taken = fitting([(one, crops.get(one.id)) for one, *_ in shown], device.answer_bytes_max)
    templates = [one for one, *_ in shown[:taken]]
    return TemplatesReply(
        name=person.name,
        person_id=person.person_id,
        templates=templates,
        next=found[taken - 1][1] if taken < len(found) else msgspec.UNSET,
        crops={one.id: crops[one.id] for one in templates if one.id in crops} if request.crops else msgspec.UNSET,
    )


@handles(RemoveTemplate)
def remove_template(request: RemoveTemplate, device: DeviceContext) -> RemovedTemplateReply:
    """Remove one; the file's log, which still holds it, is cut off after the commit."""
    person_id = device.people.summary(request.name).person_id
    removed = device.people.upkeep.remove(person_id, request.id)
    left = device.people.summary(request.name).templates
    return RemovedTemplateReply(person_id=person_id, id=request.id, removed=removed, templates=left, at=rfc3339())
