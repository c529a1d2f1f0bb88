"""The household's gallery on three real disks."""

import tempfile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.replication import FieldWrite, Revision, TemplateRecord, join
from edge.errors import GalleryError
from edge.storage.archive import export
from edge.storage.gallery import SqliteGallery
from edge.storage.replication import SqliteReplication, parts
from tests.edge.storage.cameras import CROP, MODEL, OTHER, Camera, embedding, files_of

CAMERAS = ["back", "garden", "porch"]
NAMES = ["Alice", "Bob", "Zoe"]

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
        cameras, sent = {name: Camera(folder, name) for name in CAMERAS}, []
        for name, step in steps:
            if isinstance(step, tuple):
                getattr(cameras[name], step[0])(*step[1:])
                sent += cameras[name].record()
            elif sent:
                cameras[name].receive(*sent[step % len(sent)])
        last = [camera.sent(who) for camera in cameras.values() for who in camera.replication.revisions]
        for camera in cameras.values():
            received = [*sent, *last]
            random.shuffle(received)
            for one in received:
                camera.receive(*one)
            assert camera.record() == []
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


def test_what_was_learned_here_is_known_there_as_learned_and_is_gone_when_it_is_gone_here(cameras):
    porch, back = cameras
    porch.enroll("Alice")
    alice = porch.people()["Alice"].person_id
    porch.store.each.learn(alice, embedding(7), CROP, "e" * 32, [])
    back.receive(*porch.record()[0])
    assert back.everything() == porch.everything()
    ((owner, template_id),) = back.store.each.learned_from("e" * 32)
    assert owner == alice
    exported = porch.store.export()[0]
    porch.store.drop([template_id])
    back.receive(*porch.record()[0])
    assert back.store.each.learned(alice) == porch.store.each.learned(alice) == []
    porch.store.import_(exported)  # an id that was removed never comes back, but what it is of may
    porch.record()
    ((_, another),) = porch.store.each.learned_from("e" * 32)
    assert another != template_id


def test_who_is_enrolled_here_is_known_there_and_forgotten_there_too(cameras):
    porch, back = cameras
    porch.enroll("Alice Unmistakable")
    (sent,) = porch.record()
    assert porch.record() == []
    received, another = back.receive(*sent)
    assert another
    assert received == sent[0]
    assert back.receive(*sent) == (received, False)
    assert back.everything() == porch.everything()
    assert back.record() == []
    assert [crop.tobytes() for _, crop in back.store.crops()] == [CROP.tobytes()]
    template = embedding(1).tobytes()
    assert template[:64] in files_of(back)
    back.forget("Alice Unmistakable")
    (tombstone,) = back.record()
    assert tombstone == (Revision(sent[0].person_id, 2, forgotten=True), [])
    porch.receive(*tombstone)
    for camera in cameras:
        camera.receive(*sent)
        camera.store.checkpoint()
        assert camera.people() == {}
        assert b"Unmistakable" not in files_of(camera)
        assert template[:64] not in files_of(camera)


def test_a_guest_expires_at_each_camera_by_its_own_clock(cameras):
    porch, back = cameras
    porch.time = back.time = 1000.0
    porch.enroll("Guest Unmistakable", expires=2000.0)
    porch.enroll("Anna")
    for sent in porch.record():
        back.receive(*sent)
    guest, anna = porch.people()["Guest Unmistakable"].person_id, porch.people()["Anna"].person_id
    whole = porch.sent(guest)

    porch.time = 3e8  # ten years ahead
    porch.expire()
    assert porch.record() == []  # nothing is said of it
    assert porch.replication.expired == [guest]
    assert porch.replication.revisions.keys() == {anna}
    porch.receive(*whole)
    assert porch.people().keys() == {"Anna"}
    porch.store.checkpoint()
    assert b"Unmistakable" not in files_of(porch)
    assert back.people().keys() == {"Anna", "Guest Unmistakable"}

    porch.time = 1500.0  # it is right again, and hears again what the broker keeps
    porch.receive(*whole)
    assert porch.everything() == back.everything()

    porch.time = back.time = 2001.0
    for camera in cameras:
        camera.expire()
        assert camera.record() == []
        assert camera.replication.revisions.keys() == {anna}


def test_who_was_removed_before_their_time_is_over_is_removed_everywhere(cameras):
    porch, back = cameras
    porch.time = back.time = 1000.0
    porch.enroll("Guest", expires=2000.0)
    back.receive(*porch.record()[0])
    porch.forget("Guest")
    (tombstone,) = porch.record()
    back.receive(*tombstone)
    assert (tombstone[0].forgotten, back.people()) == (True, {})


def test_a_guest_whose_stay_was_made_longer_stays_where_it_had_ended(cameras):
    porch, back = cameras
    porch.time = back.time = 1990.0
    porch.enroll("Guest", expires=2000.0)
    back.receive(*porch.record()[0])
    porch.time = 2001.0
    porch.expire()
    porch.record()
    back.store.update(replace(back.people()["Guest"], expires=9000.0))
    porch.receive(*back.record()[0])
    assert porch.people()["Guest"].expires == 9000.0


def test_whom_an_import_brings_back_is_somebody_new_to_the_others(cameras):
    porch, back = cameras
    porch.enroll("Alice")
    (sent,) = porch.record()
    back.receive(*sent)
    carried, people = export(porch.store)
    assert people == 1
    porch.forget("Alice")
    back.receive(*porch.record()[0])
    assert porch.store.import_(carried) == (1, 1)
    (again,) = porch.record()
    assert again[0].person_id != sent[0].person_id
    back.receive(*again)
    assert back.people()["Alice"].person_id == again[0].person_id
    assert back.everything() == porch.everything()
    assert porch.record() == back.record() == []


def test_two_people_of_one_name_from_two_cameras_are_one_and_a_part_may_come_back_by_another_name(cameras):
    porch, back = cameras
    for camera in cameras:
        camera.enroll("Alice")
        camera.carried, _ = export(camera.store)
    sent = [camera.record()[0] for camera in cameras]
    porch.receive(*sent[1])
    back.receive(*sent[0])
    assert porch.everything() == back.everything()
    (alice,) = porch.people().values()
    (part,) = {revision.person_id for revision, _ in sent} - {alice.person_id}
    assert parts(porch.store) == parts(back.store) == {part: alice.person_id}
    hidden, owner = next(
        (revision.person_id, camera)
        for (revision, _), camera in zip(sent, cameras, strict=True)
        if revision.person_id != alice.person_id
    )
    porch.rename("Alice", "Alicia")
    renamed = porch.record()
    assert len(renamed) == 2
    porch.store.import_(owner.carried)
    (imported,) = porch.record()
    assert imported[0].person_id not in {hidden, alice.person_id}
    for one in [*renamed, imported]:
        back.receive(*one)
    assert set(back.people()) == {"Alice", "Alicia"}
    assert porch.everything() == back.everything()


def test_names_are_swapped_without_a_moment_in_which_two_have_one(cameras):
    porch, back = cameras
    for name in ("Alice", "Bob"):
        porch.enroll(name)
        back.receive(*porch.record()[0])
    for name, new_name in (("Alice", "Zoe"), ("Bob", "Alice"), ("Zoe", "Bob")):
        porch.rename(name, new_name)
    swapped = porch.record()
    with back.store.transaction():
        back.replication.record_local_changes()
        for one in swapped:
            back.replication.receive(*one, lambda record: record)
        assert back.replication.apply()
    assert porch.everything() == back.everything()


def test_what_another_process_wrote_is_noticed_before_what_is_received_is_shown(cameras):
    porch, back = cameras
    porch.enroll("Alice")
    (sent,) = porch.record()
    command = SqliteGallery(back.store.path, MODEL)
    command.add("Bob", [embedding(9)], [CROP])
    command.close()
    back.receive(*sent)
    assert set(back.people()) == {"Alice", "Bob"}


def test_a_template_of_another_model_waits_until_it_is_of_use(tmp_path):
    porch, back = Camera(tmp_path, "porch"), Camera(tmp_path, "back", OTHER)
    porch.enroll("Alice")
    porch.record()
    (person_id,) = porch.replication.revisions
    back.receive(*porch.sent(person_id, crops=False))
    assert set(back.people()) == {"Alice"}
    assert back.store.load()[1] == []
    assert back.replication.unusable() == porch.replication.revisions[person_id].templates
    own = embedding(100)
    back.receive(*porch.sent(person_id), lambda look: replace(look, model=OTHER, embedding=own.tobytes()))
    assert back.replication.unusable() == set()
    assert [template.embedding.tobytes() for template in back.store.load()[1]] == [own.tobytes()]
    assert back.record() == []


def test_a_camera_that_keeps_no_crops_keeps_none_of_others(tmp_path):
    porch, back = Camera(tmp_path, "porch"), Camera(tmp_path, "back", keep_crops=False)
    porch.enroll("Alice")
    back.receive(*porch.record()[0])
    assert list(back.store.crops()) == []
    (revision,) = porch.replication.revisions.values()
    assert porch.replication.crop_bytes(revision).keys() == revision.templates
    assert back.replication.crop_bytes(revision) == {}


@pytest.mark.parametrize("damage", [b"", bytes(512), b"\xff" * 512, None])
def test_a_template_that_is_damaged_or_missing_is_left_out(cameras, damage):
    porch, back = cameras
    porch.enroll("Alice")
    porch.enroll("Alice")
    ((revision, records),) = porch.record()
    first, second = records
    received, _ = back.receive(revision, [second] if damage is None else [replace(first, embedding=damage), second])
    assert received.templates == {second.template_id}
    assert join(back.replication.revisions[revision.person_id], received) == received
    back.receive(revision, records)
    assert back.everything() == porch.everything()


def test_a_revision_that_is_not_written_leaves_all_as_it_was(cameras):
    _, back = cameras
    back.enroll("Alice")
    back.record()
    before = back.everything(), dict(back.replication.revisions)
    fields = {
        name: FieldWrite(value, 1, "x")
        for name, value in {"name": "Bob", "tau": None, "expires": None, "notify": True}.items()
    }
    bob = Revision("p_bob", 9, fields=fields, templates=frozenset({"e_1"}))

    def fail():
        with back.store.transaction():
            back.replication.record_local_changes()
            back.replication.receive(
                bob, [TemplateRecord("e_1", MODEL, embedding(1).tobytes(), None)], lambda record: record
            )
            assert back.replication.apply()
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail()
    back.replication.load()
    assert (back.everything(), back.replication.revisions) == before


def test_a_damaged_revision_is_named(cameras):
    porch, _ = cameras
    porch.enroll("Alice")
    porch.record()
    porch.store.execute("UPDATE revision SET said = x'00'")
    with pytest.raises(GalleryError, match="a revision is damaged"):
        porch.replication.load()
