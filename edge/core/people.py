"""The household: whom it knows, and what is asked about them. What was answered with ok is on disk."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace

from edge.core.commands import (
    CorrectEvent,
    ForgetExpired,
    IgnoreStranger,
    ImportGallery,
    LabelStranger,
    ListPeople,
    ListStrangers,
    MergePeople,
    PurgeStrangers,
    Removed,
    RemovePerson,
    RenamePerson,
    Reply,
    SetPerson,
)
from edge.core.enrollment import APART_MIN, refuse_conflict
from edge.core.gallery import Gallery, stacked
from edge.core.names import clean_name, slug_of
from edge.core.ports import GalleryStore, StrangerStore
from edge.core.strangers import Strangers
from edge.core.types import Person, Sample, Template
from edge.errors import GalleryError, RefusedError

SAME_LOOK = 1e-4  # d of a look from itself, whatever the arithmetic


class People:
    """The people of a gallery and their store; strangers too, where they are kept."""

    def __init__(self, gallery: Gallery, store: GalleryStore, strangers: StrangerStore | None) -> None:
        self.gallery, self.store = gallery, store
        self.strangers = None if strangers is None else Strangers(gallery.empty(), strangers)
        self.verbs: dict[type, Callable[..., Reply]] = {
            ListPeople: self._list,
            RenamePerson: self._rename,
            MergePeople: self._merge,
            SetPerson: self._set,
            RemovePerson: self._remove,
            ForgetExpired: self._forget_expired,
            ImportGallery: self._take_in,
            ListStrangers: self._list_strangers,
            LabelStranger: self._label,
            IgnoreStranger: self._ignore,
            PurgeStrangers: self._purge,
            CorrectEvent: self._correct,
        }

    def reload(self) -> None:
        """Know what the store knows; of whoever was forgotten, here or elsewhere, nothing stays as a stranger."""
        before, people = self.gallery.templates, self.gallery.people
        self.gallery.fill(*self.store.load())
        if self.strangers is None:
            return
        self.strangers.reload()
        kept = {template.template_id for template in self.gallery.templates}
        gone = people.keys() - self.gallery.people.keys()
        lost = [one for one in before if one.person_id in gone and one.template_id not in kept and not one.negative]
        with suppress(GalleryError):
            self.strangers.forget_like(stacked(lost))

    def people(self) -> list[dict[str, object]]:
        """Who is known, and by how many templates."""
        return [self._recent_events(person) for person in self.gallery.people.values()]

    def keep(self, name: str, shots: list[Sample], expires: float | None = None) -> Reply:
        """Make templates of shots."""
        embeddings, crops = [shot.embedding for shot in shots], [shot.crop for shot in shots]
        person = self.store.add(name, embeddings, crops, expires)
        self._drop_conflicts(person)
        return Reply({"name": person.name, "person_id": person.person_id, "templates": len(shots)})

    def _drop_conflicts(self, person: Person) -> None:
        """What is a template of theirs does not speak against them, nor is it a stranger's."""
        self.reload()
        looks = self.gallery.embeddings_of(person.person_id)
        near = self.gallery.near(looks, APART_MIN)
        self._drop([one for one in near if one.negative and one.person_id == person.person_id])
        if self.strangers is not None:
            self.strangers.forget_like(looks)

    def _drop(self, templates: list[Template]) -> None:
        if templates:
            self.store.drop([template.template_id for template in templates])
            self.reload()

    def _forget(self, person: Person) -> Removed:
        """Somebody, and every look of theirs that others were told apart by, or that a stranger had."""
        looks = self.gallery.embeddings_of(person.person_id)
        self._drop([template for template in self.gallery.near(looks, self.gallery.tau) if template.negative])
        if self.strangers is not None:
            self.strangers.forget_like(looks)
        return self.store.remove(person)

    def free_name(self, name: str, but: Person | None = None) -> str:
        """The name, clean, if nobody's other name is written like it in a topic: Zoe, where there is a Zoë.

        but: whose own name may be
        """
        name = clean_name(name)
        for near in self.gallery.people.values():
            same = near.name.casefold() == name.casefold()
            if near != but and not same and slug_of(near.name) == slug_of(name):
                raise RefusedError(
                    "name_taken", f"{name} is too like {near.name}: both would be person/{slug_of(name)}"
                )
        return name

    def _recent_events(self, person: Person) -> dict[str, object]:
        return {
            "name": person.name,
            "person_id": person.person_id,
            "templates": self._templates_of(person),
            "tau": self.gallery.tau if person.tau is None else person.tau,
            "expires": person.expires,
            "notify": person.notify,
        }

    def _templates_of(self, person: Person) -> int:
        own = (template for template in self.gallery.templates if template.person_id == person.person_id)
        return sum(not template.negative for template in own)

    def _known(self, name: str) -> Person:
        person = self.gallery.find(clean_name(name))
        if person is None:
            raise RefusedError("no_such_person", f"nobody is called {name}")
        return person

    def _list(self, _command: ListPeople) -> Reply:
        return Reply({"people": self.people(), "tau": self.gallery.tau})

    def _rename(self, command: RenamePerson) -> Reply:
        person = self._known(command.name)
        name = self.free_name(command.new_name, but=person)
        other = self.gallery.find(name)
        if other is not None and other.person_id != person.person_id:
            raise RefusedError("name_taken", f"there is another {other.name} already")
        self.store.update(replace(person, name=name))
        self.reload()
        return Reply({"name": name, "person_id": person.person_id})

    def _merge(self, command: MergePeople) -> Reply:
        person, into = self._known(command.name), self._known(command.into)
        if person == into:
            raise RefusedError("invalid", f"{into.name} is one person already")
        self.store.merge(person, into)
        self._drop_conflicts(into)
        return Reply({"name": into.name, "person_id": into.person_id, "templates": self._templates_of(into)})

    def _set(self, command: SetPerson) -> Reply:
        person = replace(self._known(command.name), **command.changes)
        self.store.update(person)
        self.reload()
        return Reply(self._recent_events(person))

    def _remove(self, command: RemovePerson) -> Reply:
        person = self.gallery.find(clean_name(command.name))
        if person is None:  # the answer is kept for a day: not with a name of somebody who was forgotten before
            raise RefusedError("no_such_person", "nobody has the name that is to be forgotten")
        removed = self._forget(person)
        self.reload()
        return Reply({"person_id": person.person_id, **asdict(removed), "overwritten": True})

    def _forget_expired(self, command: ForgetExpired) -> Reply:
        gone = [person for person in self.gallery.people.values() if (person.expires or command.now) < command.now]
        for person in gone:
            self._forget(person)
        purged = 0
        if self.strangers is not None:
            purged = self.strangers.store.purge(unseen_since=command.strangers_unseen_since)
        if gone or purged:
            self.reload()
        return Reply({"people": [person.name for person in gone], "strangers": purged})

    def _take_in(self, command: ImportGallery) -> Reply:
        people, templates = self.store.import_(command.data)
        self.reload()
        return Reply({"people": people, "templates": templates, "waiting": self.store.foreign()})

    def _kept_strangers(self) -> Strangers:
        if self.strangers is None:
            raise RefusedError("strangers_not_kept", "strangers are not kept: strangers.keep_days is 0")
        return self.strangers

    def _list_strangers(self, _command: ListStrangers) -> Reply:
        return Reply({"strangers": [asdict(stranger) for stranger in self._kept_strangers().list()]})

    def _label(self, command: LabelStranger) -> Reply:
        strangers = self._kept_strangers()
        stranger, name = strangers.find(command.stranger_id), self.free_name(command.name)
        for look in strangers.embeddings_of(stranger.stranger_id):
            refuse_conflict(stranger.stranger_id, name, look, self.gallery)
        person = strangers.store.adopt(stranger.stranger_id, name)
        self._drop_conflicts(person)
        return Reply({"name": person.name, "person_id": person.person_id, "templates": self._templates_of(person)})

    def _ignore(self, command: IgnoreStranger) -> Reply:
        strangers = self._kept_strangers()
        strangers.store.ignore(strangers.find(command.stranger_id).stranger_id, ignored=command.ignored)
        self.reload()
        return Reply({"stranger_id": command.stranger_id, "ignored": command.ignored})

    def _purge(self, command: PurgeStrangers) -> Reply:
        strangers = self._kept_strangers()
        if command.stranger_id is not None:
            strangers.find(command.stranger_id)
        purged = strangers.store.purge(command.stranger_id)
        self.reload()
        return Reply({"strangers": purged})

    def _correct(self, command: CorrectEvent) -> Reply:
        """The look becomes theirs whose it was, and a negative of theirs who was named."""
        event, shot = command.event, command.event.shot
        if shot is None:
            raise RefusedError("no_look", "there was no look good enough to learn from")
        named = None if event.person is None else self.gallery.people.get(event.person.person_id)
        name = None if command.name is None else self.free_name(command.name)
        right = None if name is None else self.gallery.find(name)
        same = self.gallery.near(shot.embedding[None], SAME_LOOK)  # of an earlier correction
        wrong = [one for one in same if not one.negative and (right is None or not one.is_of(right.person_id))]
        if name is None and named is None and not wrong:
            raise RefusedError("not_named", "that event named nobody who is known now")
        self._drop(wrong)
        if named is not None and named != right:
            self.store.deny(named, shot.embedding, shot.crop)
        if name is None:
            self.reload()
            return Reply({"name": None, "not": None if named is None else named.name})
        return self.keep(name, [shot])
