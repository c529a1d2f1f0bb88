"""One gallery on three cameras that hear one another in any order, late, twice or not at all: all end the same."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.replication import (
    FIELDS,
    FieldWrite,
    Member,
    Revision,
    join,
    local_changes,
    members,
)
from edge.core.types import Person

NAMES = ["Alice", "ALICE", "Bob", "Zoe"]
CAMERAS = ["back", "garden", "porch"]


@dataclass
class Camera:
    """What a device keeps and hears, without disk and broker."""

    device: str
    revisions: dict[str, Revision] = field(default_factory=dict)
    gallery: dict[str, Member] = field(default_factory=dict)
    made: int = 0
    dropped: set[str] = field(default_factory=set)

    def new_id(self, kind):
        self.made += 1
        return f"{kind}_{self.made}_{self.device}"

    def find(self, name):
        return next((m for m in self.gallery.values() if m.person.name.casefold() == name.casefold()), None)

    def put(self, member):
        self.gallery[member.person.person_id] = member

    def enroll(self, name):
        known = self.find(name)
        person = Person(self.new_id("p"), name) if known is None else known.person
        templates, negatives = (frozenset(), frozenset()) if known is None else (known.templates, known.negatives)
        self.put(Member(person, templates | {self.new_id("e")}, negatives))

    def deny(self, name):
        if known := self.find(name):
            self.put(Member(known.person, known.templates, known.negatives | {self.new_id("n")}))

    def drop(self, name):
        if (known := self.find(name)) and known.templates:
            self.dropped.add(min(known.templates))
            self.put(Member(known.person, known.templates - self.dropped, known.negatives))

    def rename(self, name, new_name):
        known, other = self.find(name), self.find(new_name)
        if known and other in {None, known}:
            person = Person(known.person.person_id, new_name, known.person.tau, known.person.expires)
            self.put(Member(person, known.templates, known.negatives))

    def set(self, name, tau):
        if known := self.find(name):
            self.put(Member(Person(known.person.person_id, known.person.name, tau), known.templates, known.negatives))

    def forget(self, name):
        if known := self.find(name):
            del self.gallery[known.person.person_id]

    def merge(self, name, into):
        one, other = self.find(name), self.find(into)
        if one and other and one is not other:
            new = {self.new_id("e") for _ in one.templates}
            del self.gallery[one.person.person_id]
            self.put(Member(other.person, other.templates | new, other.negatives))

    def record(self):
        news = local_changes(self.revisions, self.gallery, self.device)
        self.revisions |= {revision.person_id: revision for revision in news}
        return news

    def receive(self, revision):
        """Returns what is known better here."""
        own = self.revisions.get(revision.person_id, revision)
        self.revisions[revision.person_id] = joined = join(own, revision)
        self.gallery = members(self.revisions.values())
        return [joined] if joined != revision else []


ACTIONS = st.one_of(
    st.tuples(st.just("enroll"), st.sampled_from(NAMES)),
    st.tuples(st.just("deny"), st.sampled_from(NAMES)),
    st.tuples(st.just("drop"), st.sampled_from(NAMES)),
    st.tuples(st.just("forget"), st.sampled_from(NAMES)),
    st.tuples(st.just("set"), st.sampled_from(NAMES), st.sampled_from([None, 0.5, 0.75])),
    st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("merge"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(CAMERAS), ACTIONS),
        st.tuples(st.sampled_from(CAMERAS), st.integers(0, 99)),  # hears any message that ever was, of anybody, again
    ),
    max_size=40,
)


@given(STEPS, st.randoms(use_true_random=False))
@settings(max_examples=400)
def test_all_end_with_the_same_and_nobody_comes_back(steps, random):
    cameras, said, forgotten = {name: Camera(name) for name in CAMERAS}, [], {name: set() for name in CAMERAS}
    for name, step in steps:
        camera = cameras[name]
        if isinstance(step, tuple):
            getattr(camera, step[0])(*step[1:])
            said += camera.record()
        elif said:
            said += camera.receive(said[step % len(said)])
        forgotten[name] |= {who for who, revision in camera.revisions.items() if revision.forgotten}
        assert not forgotten[name] & {who for m in members(camera.revisions.values()).values() for who in m.revisions}
    last = [revision for camera in cameras.values() for revision in camera.revisions.values()]
    for camera in cameras.values():
        heard = [*said, *last, *random.sample(last, len(last) // 2)]
        random.shuffle(heard)
        for revision in heard:
            camera.receive(revision)
        assert camera.record() == []  # what came from others is not said as if it were one's own
    back, garden, porch = cameras.values()
    assert back.revisions == garden.revisions == porch.revisions
    assert back.gallery == garden.gallery == porch.gallery
    assert not set().union(*forgotten.values()) & {who for m in back.gallery.values() for who in m.revisions}
    assert not (back.dropped | garden.dropped | porch.dropped) & {e for m in back.gallery.values() for e in m.templates}


@given(STEPS, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
@settings(max_examples=200)
def test_a_join_asks_for_no_order_and_no_number(steps, first, second, third):
    cameras, said = {name: Camera(name) for name in CAMERAS}, []
    for name, step in steps:
        if isinstance(step, tuple):
            getattr(cameras[name], step[0])(*step[1:])
            said += cameras[name].record()
        elif said:
            said += cameras[name].receive(said[step % len(said)])
    if not said:
        return
    a = said[first % len(said)]
    same = [revision for revision in said if revision.person_id == a.person_id]
    b, c = same[second % len(same)], same[third % len(same)]
    assert join(a, b) == join(b, a)
    assert join(a, join(b, c)) == join(join(a, b), c)
    assert join(a, a) == a
    assert join(a, join(a, b)) == join(a, b)


def exchange(*cameras):
    for _ in range(2):
        for one in cameras:
            for other in cameras:
                for revision in list(one.revisions.values()):
                    other.receive(revision)


def test_two_who_were_made_at_once_under_one_name_are_one_and_are_forgotten_as_one():
    porch, back = Camera("porch"), Camera("back")
    porch.enroll("Alice")
    back.enroll("ALICE")
    porch.record()
    back.record()
    exchange(porch, back)
    (alice,) = porch.gallery.values()
    assert porch.gallery == back.gallery
    assert len(alice.templates) == len(alice.revisions) == 2
    back.forget("alice")
    assert {revision.forgotten for revision in back.record()} == {True}
    exchange(porch, back)
    assert porch.gallery == back.gallery == {}


def test_who_is_enrolled_again_is_somebody_new_and_an_old_message_changes_nothing():
    porch, back = Camera("porch"), Camera("back")
    porch.enroll("Alice")
    (old,) = porch.record()
    back.receive(old)
    back.forget("Alice")
    back.record()
    back.enroll("Alice")
    back.record()
    exchange(porch, back)
    porch.receive(old)
    (alice,) = porch.gallery.values()
    assert alice.person.person_id != old.person_id
    assert porch.gallery == back.gallery
    assert not alice.templates & old.templates


def test_of_one_value_the_last_writer_counts_and_of_two_values_both():
    porch, back = Camera("porch"), Camera("back")
    porch.enroll("Alice")
    porch.record()
    exchange(porch, back)
    porch.rename("Alice", "Alicia")
    porch.record()
    back.set("Alice", 0.5)
    back.record()
    exchange(porch, back)
    (person,) = (member.person for member in porch.gallery.values())
    assert (person.name, person.tau) == ("Alicia", 0.5)
    porch.set("Alicia", 0.6)
    porch.set("Alicia", 0.75)
    porch.record()
    exchange(porch, back)
    assert [member.person.tau for member in back.gallery.values()] == [0.75]


def test_a_tombstone_says_nothing_of_the_person():
    porch = Camera("porch")
    porch.enroll("Alice")
    porch.record()
    porch.forget("Alice")
    (tombstone,) = porch.record()
    assert tombstone == Revision(tombstone.person_id, 2, forgotten=True)


@pytest.mark.parametrize("name", FIELDS)
def test_a_revision_that_lacks_a_value_is_none(name):
    whole = {
        key: FieldWrite(value, 1, "porch") for key, value in Person("p", "Alice").__dict__.items() if key in FIELDS
    }
    assert Revision("p", 1, fields=whole).key == "alice"
    with pytest.raises(ValueError, match=f"expected {name} of p, got None"):
        Revision("p", 1, fields={key: value for key, value in whole.items() if key != name})
    with pytest.raises(ValueError, match=f"expected {name} of p, got FieldWrite"):
        Revision("p", 1, fields=whole | {name: FieldWrite(b"", 1, "porch")})
