"""The household's gallery on three real disks."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.replication import FieldWrite, Revision, TemplateRecord, join
from edge.errors import GalleryError
from edge.storage.archive import export
from edge.storage.gallery import SqliteGallery
from edge.storage.replication import SqliteReplication

MODEL, OTHER = "a" * 64, "b" * 64
CAMERAS = ["back", "garden", "porch"]
NAMES = ["Alice", "Bob", "Zoe"]
CROP = np.full((112, 112, 3), 7, dtype=np.uint8)


def embedding(seed):
    vector = np.random.default_rng(seed).normal(size=128).astype(np.float32)
    return vector / np.linalg.norm(vector)


class Camera:
    """A gallery on disk, and what is said of it."""

    def __init__(self, folder, device, model=MODEL, **options):
        self.store = SqliteGallery(Path(folder) / device / "gallery.db", model, **options)
        self.fleet = SqliteReplication(self.store, device)
        self.made = 0

    def people(self):
        return {person.name: person for person in self.store.load()[0]}

    def enroll(self, name):
        self.made += 1
        self.store.add(name, [embedding(self.made)], [CROP])

    def deny(self, name):
        if name in self.people():
            self.made += 1
            self.store.deny(self.people()[name], embedding(self.made), CROP)

    def forget(self, name):
        if name in self.people():
            self.store.remove(self.people()[name])

    def rename(self, name, new_name):
        people = self.people()
        if name in people and new_name not in people:
            self.store.update(replace(people[name], name=new_name))

    def merge(self, name, into):
        people = self.people()
        if name in people and into in people and name != into:
            self.store.merge(people[name], people[into])

    def notice(self):
        return [self.told(person_id) for person_id in self.fleet.notice()]

    def told(self, person_id, *, crops=True):
        revision = self.fleet.revisions[person_id]
        return revision, self.fleet.looks(revision, crops=crops)

    def hear(self, revision, looks, ours=lambda look: look):
        with self.store.transaction():
            self.fleet.notice()
            heard = self.fleet.take(revision, looks, ours)
            another = self.fleet.show()
        return heard, another

    def everything(self):
        people, templates = self.store.load()
        assert {person.person_id: person for person in people} == {
            who: member.person for who, member in self.fleet.gallery().items()
        }
        kept = sorted((t.template_id, t.person_id, t.negative, t.embedding.tobytes()) for t in templates)
        return sorted(people, key=lambda person: person.person_id), kept


ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["enroll", "deny", "forget"]), st.sampled_from(NAMES)),
    st.tuples(st.sampled_from(["rename", "merge"]), st.sampled_from(NAMES), st.sampled_from(NAMES)),
)


@given(
    st.lists(st.tuples(st.sampled_from(CAMERAS), ACTIONS | st.integers(0, 99)), max_size=25),
    st.randoms(use_true_random=False),
)
@settings(max_examples=30)
def test_three_disks_end_with_the_same(steps, random):
    with tempfile.TemporaryDirectory() as folder:
        cameras, said = {name: Camera(folder, name) for name in CAMERAS}, []
        for name, step in steps:
            if isinstance(step, tuple):
                getattr(cameras[name], step[0])(*step[1:])
                said += cameras[name].notice()
            elif said:
                cameras[name].hear(*said[step % len(said)])
        last = [camera.told(who) for camera in cameras.values() for who in camera.fleet.revisions]
        for camera in cameras.values():
            heard = [*said, *last]
            random.shuffle(heard)
            for one in heard:
                camera.hear(*one)
            assert camera.notice() == []
        first, *others = (camera.everything() for camera in cameras.values())
        assert others == [first, first]
        again = [SqliteReplication(camera.store, name) for name, camera in cameras.items()]
        assert all(kept.revisions == again[0].revisions for kept in again)
        for camera in cameras.values():
            camera.store.close()


@pytest.fixture
def cameras(tmp_path):
    cameras = [Camera(tmp_path, "porch"), Camera(tmp_path, "back")]
    yield cameras
    for camera in cameras:
        camera.store.close()


def files_of(camera):
    return b"".join(file.read_bytes() for file in camera.store.path.parent.iterdir())


def test_who_is_enrolled_here_is_known_there_and_forgotten_there_too(cameras):
    porch, back = cameras
    porch.enroll("Alice Unmistakable")
    (told,) = porch.notice()
    assert porch.notice() == []
    heard, another = back.hear(*told)
    assert another
    assert heard == told[0]
    assert back.hear(*told) == (heard, False)
    assert back.everything() == porch.everything()
    assert back.notice() == []
    assert [crop.tobytes() for _, crop in back.store.crops()] == [CROP.tobytes()]
    template = embedding(1).tobytes()
    assert template[:64] in files_of(back)
    back.forget("Alice Unmistakable")
    (tombstone,) = back.notice()
    assert tombstone == (Revision(told[0].person_id, 2, forgotten=True), [])
    porch.hear(*tombstone)
    for camera in cameras:
        camera.hear(*told)
        camera.store.checkpoint()
        assert camera.people() == {}
        assert b"Unmistakable" not in files_of(camera)
        assert template[:64] not in files_of(camera)


def test_whom_an_import_brings_back_is_somebody_new_to_the_others(cameras):
    porch, back = cameras
    porch.enroll("Alice")
    (told,) = porch.notice()
    back.hear(*told)
    carried, people = export(porch.store)
    assert people == 1
    porch.forget("Alice")
    back.hear(*porch.notice()[0])
    assert porch.store.import_(carried) == (1, 1)
    (again,) = porch.notice()
    assert again[0].person_id != told[0].person_id
    back.hear(*again)
    assert back.people()["Alice"].person_id == again[0].person_id
    assert back.everything() == porch.everything()
    assert porch.notice() == back.notice() == []


def test_two_people_of_one_name_from_two_cameras_are_one_and_a_part_may_come_back_by_another_name(cameras):
    porch, back = cameras
    for camera in cameras:
        camera.enroll("Alice")
        camera.carried, _ = export(camera.store)
    told = [camera.notice()[0] for camera in cameras]
    porch.hear(*told[1])
    back.hear(*told[0])
    assert porch.everything() == back.everything()
    (alice,) = porch.people().values()
    hidden, owner = next(
        (revision.person_id, camera)
        for (revision, _), camera in zip(told, cameras, strict=True)
        if revision.person_id != alice.person_id
    )
    porch.rename("Alice", "Alicia")
    renamed = porch.notice()
    assert len(renamed) == 2
    porch.store.import_(owner.carried)
    (imported,) = porch.notice()
    assert imported[0].person_id not in {hidden, alice.person_id}
    for one in [*renamed, imported]:
        back.hear(*one)
    assert set(back.people()) == {"Alice", "Alicia"}
    assert porch.everything() == back.everything()


def test_names_are_swapped_without_a_moment_in_which_two_have_one(cameras):
    porch, back = cameras
    for name in ("Alice", "Bob"):
        porch.enroll(name)
        back.hear(*porch.notice()[0])
    for name, new_name in (("Alice", "Zoe"), ("Bob", "Alice"), ("Zoe", "Bob")):
        porch.rename(name, new_name)
    swapped = porch.notice()
    with back.store.transaction():
        back.fleet.notice()
        for one in swapped:
            back.fleet.take(*one, lambda look: look)
        assert back.fleet.show()
    assert porch.everything() == back.everything()


def test_what_another_process_wrote_is_noticed_before_what_is_heard_is_shown(cameras):
    porch, back = cameras
    porch.enroll("Alice")
    (told,) = porch.notice()
    command = SqliteGallery(back.store.path, MODEL)
    command.add("Bob", [embedding(9)], [CROP])
    command.close()
    back.hear(*told)
    assert set(back.people()) == {"Alice", "Bob"}


def test_a_template_of_another_model_waits_until_it_is_of_use(tmp_path):
    porch, back = Camera(tmp_path, "porch"), Camera(tmp_path, "back", OTHER)
    porch.enroll("Alice")
    porch.notice()
    (person_id,) = porch.fleet.revisions
    back.hear(*porch.told(person_id, crops=False))
    assert set(back.people()) == {"Alice"}
    assert back.store.load()[1] == []
    assert back.fleet.unusable() == porch.fleet.revisions[person_id].templates
    own = embedding(100)
    back.hear(*porch.told(person_id), lambda look: replace(look, model=OTHER, embedding=own.tobytes()))
    assert back.fleet.unusable() == set()
    assert [template.embedding.tobytes() for template in back.store.load()[1]] == [own.tobytes()]
    assert back.notice() == []


def test_a_camera_that_keeps_no_crops_keeps_none_of_others(tmp_path):
    porch, back = Camera(tmp_path, "porch"), Camera(tmp_path, "back", keep_crops=False)
    porch.enroll("Alice")
    back.hear(*porch.notice()[0])
    assert list(back.store.crops()) == []
    (revision,) = porch.fleet.revisions.values()
    assert porch.fleet.crop_bytes(revision).keys() == revision.templates
    assert back.fleet.crop_bytes(revision) == {}


@pytest.mark.parametrize("damage", [b"", bytes(512), b"\xff" * 512, None])
def test_a_template_that_is_damaged_or_missing_is_left_out(cameras, damage):
    porch, back = cameras
    porch.enroll("Alice")
    porch.enroll("Alice")
    ((revision, looks),) = porch.notice()
    first, second = looks
    heard, _ = back.hear(revision, [second] if damage is None else [replace(first, embedding=damage), second])
    assert heard.templates == {second.template_id}
    assert join(back.fleet.revisions[revision.person_id], heard) == heard
    back.hear(revision, looks)
    assert back.everything() == porch.everything()


def test_a_revision_that_is_not_written_leaves_all_as_it_was(cameras):
    _, back = cameras
    back.enroll("Alice")
    back.notice()
    before = back.everything(), dict(back.fleet.revisions)
    fields = {
        name: FieldWrite(value, 1, "x")
        for name, value in {"name": "Bob", "tau": None, "expires": None, "notify": True}.items()
    }
    bob = Revision("p_bob", 9, fields=fields, templates=frozenset({"e_1"}))

    def fail():
        with back.store.transaction():
            back.fleet.notice()
            back.fleet.take(bob, [TemplateRecord("e_1", MODEL, embedding(1).tobytes(), None)], lambda look: look)
            assert back.fleet.show()
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail()
    back.fleet.load()
    assert (back.everything(), back.fleet.revisions) == before


def test_a_damaged_revision_is_named(cameras):
    porch, _ = cameras
    porch.enroll("Alice")
    porch.notice()
    porch.store.execute("UPDATE revision SET said = x'00'")
    with pytest.raises(GalleryError, match="a revision is damaged"):
        porch.fleet.load()
