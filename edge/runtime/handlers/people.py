"""What changes people, and what an event was really of."""

from dataclasses import asdict

import msgspec

from edge.api.fields import PAGE_MAX
from edge.api.replies import CorrectedReply, EnrolledReply, PeopleReply, PersonReply, RemovedReply, RenamedReply
from edge.api.requests.people import ListPeople, MergePeople, RemovePerson, RenamePerson, SetPerson
from edge.api.requests.visits import CorrectEvent
from edge.core.codes import Code
from edge.core.people import PersonChanges
from edge.errors import RefusedError
from edge.runtime.context import DeviceContext, fitting
from edge.runtime.handlers.enrollment import enrolled_reply
from edge.runtime.handlers.registry import handles


@handles(ListPeople)
def list_people(request: ListPeople, device: DeviceContext) -> PeopleReply:
    """A page of people, as long as asked for and as the broker takes, and the gallery's tau."""
    limit = PAGE_MAX if request.limit is msgspec.UNSET else request.limit
    found = device.people.page(None if request.after is msgspec.UNSET else request.after, limit + 1)
    taken = fitting([person for person, _ in found[:limit]], device.answer_bytes_max)
    return PeopleReply(
        people=[person for person, _ in found[:taken]],
        tau=device.recognizer.gallery.tau,
        next=found[taken - 1][1] if taken < len(found) else msgspec.UNSET,
    )


@handles(RenamePerson)
def rename_person(request: RenamePerson, device: DeviceContext) -> RenamedReply:
    """Another name."""
    person = device.people.rename(request.name, request.new_name)
    return RenamedReply(name=person.name, person_id=person.person_id)


@handles(MergePeople)
def merge_people(request: MergePeople, device: DeviceContext) -> EnrolledReply:
    """Two names of one person become one."""
    before = device.people.summary(request.name).person_id
    enrolled = device.people.merge(request.name, request.into)
    device.history.merge(before, enrolled.person_id)
    return enrolled_reply(enrolled)


@handles(SetPerson)
def set_person(request: SetPerson, device: DeviceContext) -> PersonReply:
    """Change tau, expiry or notify."""
    changes: PersonChanges = {}
    if request.tau is not msgspec.UNSET:
        changes["tau"] = request.tau
    if request.notify is not msgspec.UNSET:
        changes["notify"] = request.notify
    if request.ttl_days is not msgspec.UNSET:
        changes["expires"] = device.expiry(request.ttl_days)
    if not changes:
        raise RefusedError(Code.INVALID, "person/set: expected tau, ttl_days or notify")
    summary = device.people.set(request.name, **changes)
    return PersonReply(**asdict(summary) | {"relative": summary.relative})


@handles(RemovePerson)
def remove_person(request: RemovePerson, device: DeviceContext) -> RemovedReply:
    """Remove somebody; the dispatcher then cuts off the file's log, which still holds them."""
    person, removed = device.people.remove(request.name)
    return RemovedReply(person_id=person.person_id, templates=removed.templates, crops=removed.crops, at=removed.at)


@handles(CorrectEvent)
def correct_event(request: CorrectEvent, device: DeviceContext) -> CorrectedReply:
    """Learn who an event was of."""
    enrolled, wrong = device.people.correct(device.event(request.id), request.name)
    device.history.correct(request.id, None if enrolled is None else enrolled.person_id)
    if enrolled is None:
        return CorrectedReply(name=None, not_=None if wrong is None else wrong.name)
    return CorrectedReply(name=enrolled.name, person_id=enrolled.person_id, templates=enrolled.templates)
