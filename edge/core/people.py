"""The people who are enrolled, and what changes them. What a method returned from is on disk."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TypedDict, Unpack

import numpy as np

from edge.core.codes import Code
from edge.core.enrollment import APART_MIN, refuse_conflict
from edge.core.events import Event
from edge.core.gallery import Gallery
from edge.core.names import clean_name, composed_name
from edge.core.ports import GalleryStore, PersonStore, StrangerStore
from edge.core.selection import SAME_SAMPLE
from edge.core.strangers import Strangers
from edge.core.types import Enrolled, Person, PersonSummary, RelativeSummary, Removed, Sample, Stranger, Template
from edge.core.upkeep import Upkeep
from edge.errors import GalleryError, RefusedError


class PersonChanges(TypedDict, total=False):
    """What can be changed of a person; see Person."""

    tau: float | None
    expires: float | None
    notify: bool


class People:
    """The people of a gallery and their store; strangers too, where they are kept.

    stores: everything in the gallery's file that can hold something of a person, asked in turn when one is removed
    upkeep: the templates of one person, one by one

    Every method that takes a name raises RefusedError with no_such_person where nobody has it, and with invalid where
    it also cannot be a name. Whoever has such a name, of an earlier release, can be found and renamed or removed.
    """

    def __init__(self, gallery: Gallery, store: GalleryStore, strangers: StrangerStore | None) -> None:
        self.gallery, self.store = gallery, store
        store.alike = gallery.alike
        self.strangers = None if strangers is None else Strangers(gallery.empty(), strangers)
        self.stores: list[PersonStore] = [store] if strangers is None else [store, strangers]
        self.upkeep = Upkeep(gallery, store, self._refresh)

    def reload(self, *, rolled_back: bool = False) -> None:
        """Read the store again; of somebody removed elsewhere, nothing stays as a stranger.

        rolled_back: after a transaction of this process that failed: who is missing then was never enrolled
        """
        people, templates = self.store.load()
        gone = self.gallery.people.keys() - {person.person_id for person in people}
        kept = {template.template_id for template in templates} if gone else set[str]()
        lost = list[np.ndarray]()
        for person_id in gone:
            lost += self._embeddings_but(person_id, kept)
        self.gallery.fill(people, templates)
        if self.strangers is None:
            return
        self.strangers.reload()
        if lost and not rolled_back:
            with suppress(GalleryError):
                self.strangers.remove_like(np.stack(lost))

    def _embeddings_but(self, person_id: str, kept: set[str]) -> list[np.ndarray]:
        """The embeddings of a person's templates, but for those with these ids."""
        own = zip(self.gallery.template_ids(person_id), self.gallery.embeddings_of(person_id), strict=True)
        return [embedding for template_id, embedding in own if template_id not in kept]

    def summaries(self, newest: int | None = None) -> list[PersonSummary]:
        """Everybody, or so many of those enrolled last, in the order of enrollment."""
        people = self.gallery.people
        chosen = list(islice(reversed(people.values()), newest))  # all before the newest are not read
        return [self._summary(person) for person in reversed(chosen)]

    def page(self, after: str | None, count: int) -> list[tuple[PersonSummary, str]]:
        """So many people in the order of enrollment, each with the mark after which the next page begins."""
        people, found = self.gallery.people, list[tuple[PersonSummary, str]]()
        while True:
            marks = self.store.page(after, count)
            found += [(self._summary(people[person_id]), mark) for person_id, mark in marks if person_id in people]
            if len(found) >= count or len(marks) < count:
                return found[:count]
            after = marks[-1][1]

    def summary(self, name: str) -> PersonSummary:
        """One person."""
        return self._summary(self._find(name))

    def add(self, name: str, samples: list[Sample], expires: float | None = None) -> Enrolled:
        """Make templates of samples. expires: seconds since 1970, of a guest."""
        name = clean_name(name)
        embeddings, crops = [sample.embedding for sample in samples], [sample.crop for sample in samples]
        person = self.store.add(name, embeddings, crops, expires)
        self._drop_conflicts(person)
        return Enrolled(person.name, person.person_id, len(samples))

    def rename(self, name: str, new_name: str) -> Person:
        """Give somebody another name. Raises RefusedError with name_taken."""
        person = self._find(name)
        new_name = clean_name(new_name)
        other = self.gallery.find(new_name)
        if other is not None and other.person_id != person.person_id:
            raise RefusedError(Code.NAME_TAKEN, f"there is another {other.name} already")
        self.store.update(replace(person, name=new_name))
        self._refresh([person.person_id])
        return replace(person, name=new_name)

    def merge(self, name: str, into: str) -> Enrolled:
        """Make two names of one person one: into keeps its name and gets the other's templates."""
        person, kept = self._find(name), self._find(into)
        if person == kept:
            raise RefusedError(Code.INVALID, f"{kept.name} is one person already")
        self.store.merge(person, kept)
        self._refresh([person.person_id])
        self._drop_conflicts(kept)
        return self._enrolled(kept)

    def set(self, name: str, **changes: Unpack[PersonChanges]) -> PersonSummary:
        """Change what is given; the rest stays."""
        person = replace(self._find(name), **changes)
        self.store.update(person)
        self._refresh([person.person_id])
        return self.summary(person.name)

    def remove(self, name: str) -> tuple[Person, Removed]:
        """Remove somebody: person, templates, crops, and every negative template and stranger like them."""
        person = self._find(name)
        return person, self._remove(person)

    def expire(self, now: float, strangers_unseen_since: float) -> tuple[list[Person], int]:
        """Remove guests whose time is over, and strangers not seen since; times in seconds since 1970."""
        gone = [person for person in self.gallery.people.values() if (person.expires or now) < now]
        for person in gone:
            self._remove(person)
        purged = 0
        if self.strangers is not None:
            purged = self.strangers.store.purge(unseen_since=strangers_unseen_since)
        if purged and self.strangers is not None:
            self.strangers.reload()
        return gone, purged

    def import_(self, data: bytes) -> tuple[int, int, int]:
        """Add everybody of an export. Returns how many people and templates are new, and how many of another model."""
        people, templates = self.store.import_(data)
        self.reload()
        return people, templates, self.store.foreign()

    def kept_strangers(self) -> Strangers:
        """The strangers. Raises RefusedError with strangers_not_kept."""
        if self.strangers is None:
            raise RefusedError(Code.STRANGERS_NOT_KEPT, "strangers are not kept: strangers.keep_days is 0")
        return self.strangers

    def label_stranger(self, stranger_id: str, name: str) -> Enrolled:
        """Enroll a stranger under a name. Raises RefusedError with conflicts_with, no_such_stranger."""
        strangers = self.kept_strangers()
        stranger, name = strangers.find(stranger_id), clean_name(name)
        for embedding in strangers.embeddings_of(stranger.stranger_id):
            refuse_conflict(stranger.stranger_id, name, embedding, self.gallery)
        person = strangers.store.adopt(stranger.stranger_id, name)
        strangers.reload()
        self._drop_conflicts(person)
        return self._enrolled(person)

    def ignore_stranger(self, stranger_id: str, *, ignored: bool) -> Stranger:
        """Report nothing of a stranger from now on, or report again. Raises RefusedError with no_such_stranger."""
        strangers = self.kept_strangers()
        strangers.store.ignore(strangers.find(stranger_id).stranger_id, ignored=ignored)
        strangers.reload()
        return strangers.find(stranger_id)

    def purge_strangers(self, stranger_id: str | None) -> int:
        """Remove a stranger, or all. Returns how many. Raises RefusedError with no_such_stranger."""
        strangers = self.kept_strangers()
        if stranger_id is not None:
            strangers.find(stranger_id)
        purged = strangers.store.purge(stranger_id)
        strangers.reload()
        return purged

    def correct(self, event: Event, name: str | None) -> tuple[Enrolled | None, Person | None]:
        """Learn from an event that was wrong: who it was, or None for nobody who is enrolled.

        The sample becomes a template of that person, and a negative template of the person who was named. Returns the
        enrollment, and who it was not. Raises RefusedError with no_look, not_named.
        """
        sample = event.sample
        if sample is None:
            raise RefusedError(Code.NO_LOOK, "the event has no sample good enough to learn from")
        named = None if event.person_id is None else self.gallery.people.get(event.person_id)
        name = None if name is None else clean_name(name)
        right = None if name is None else self.gallery.find(name)
        same = self.gallery.near(sample.embedding[None], SAME_SAMPLE)  # of an earlier correction
        wrong = [(owner, one) for owner, one in same if right is None or owner != right.person_id]
        if name is None and named is None and not wrong:
            raise RefusedError(Code.NOT_NAMED, "the event named nobody who is enrolled now")
        self.upkeep.dispute(event.visit)
        self.upkeep.drop(wrong)
        if named is not None and named != right:
            self.upkeep.unlearn(event.visit)
            self.store.deny(named, sample.embedding, sample.crop)
            self._refresh([named.person_id])
        if name is None:
            return None, named
        return self.add(name, [sample]), named

    def _drop_conflicts(self, person: Person) -> None:
        """Drop negative templates and strangers that are like a person's own templates."""
        self._refresh([person.person_id])
        embeddings = self.gallery.embeddings_of(person.person_id)
        near = self.gallery.near_negative(embeddings, APART_MIN)
        self.upkeep.drop([(owner, one) for owner, one in near if owner == person.person_id])
        if self.strangers is not None:
            self.strangers.remove_like(embeddings)

    def _refresh(self, person_ids: Collection[str]) -> None:
        """Read some people again, who were changed here."""
        people, templates = self.store.load_of(person_ids)
        owned: dict[str, list[Template]] = {person.person_id: [] for person in people}
        for template in templates:
            owned[template.person_id].append(template)
        for person in people:
            self.gallery.put(person, owned[person.person_id])
        for person_id in set(person_ids) - owned.keys():
            self.gallery.remove(person_id)

    def _remove(self, person: Person) -> Removed:
        embeddings = self.gallery.embeddings_of(person.person_id)
        removed = self.store.remove(person)
        for store in self.stores:
            store.erase_person(person.person_id, person.name, embeddings)
        self._refresh({person.person_id} | self.gallery.denied)
        if self.strangers is not None:
            self.strangers.reload()
            with suppress(GalleryError):
                self.strangers.remove_like(embeddings)
        return removed

    def _find(self, name: str) -> Person:
        person = self.gallery.find(composed_name(name))
        if person is None:
            clean_name(name)
            raise RefusedError(Code.NO_SUCH_PERSON, "nobody has this name")  # the answer is kept: without the name
        return person

    def _enrolled(self, person: Person) -> Enrolled:
        return Enrolled(person.name, person.person_id, self.gallery.template_count(person.person_id))

    def _summary(self, person: Person) -> PersonSummary:
        tau = self.gallery.tau_of(person, self.gallery.tau)
        templates = self.gallery.template_count(person.person_id)
        near = self.gallery.relative_of(person.person_id)
        relative = None if near is None else RelativeSummary(self.gallery.people[near.person_id].name, near.distance)
        learned = templates - self.gallery.given_count(person.person_id)
        return PersonSummary(
            person.name, person.person_id, templates, tau, person.expires, person.notify, relative, learned
        )
