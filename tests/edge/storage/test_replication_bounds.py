"""What other cameras can make a camera keep, and at what it must not stop."""

import tempfile
from contextlib import suppress
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.api.replication import read_revision_message
from edge.core.replication import NUMBER_MAX, FieldWrite, Revision, TemplateRecord, check
from edge.errors import CipherError
from edge.storage.replication import SqliteReplication
from tests.edge.storage.cameras import MODEL, Camera, embedding, files_of


@pytest.fixture
def cameras(tmp_path):
    cameras = [Camera(tmp_path, "porch"), Camera(tmp_path, "back")]
    yield cameras
    for camera in cameras:
        camera.store.close()


def revision_of(person_id, name, number=1, *, templates=(), negatives=(), removed=()):
    values = {"name": name, "tau": None, "expires": None, "notify": True}
    fields = {field: FieldWrite(value, min(number, NUMBER_MAX), "x") for field, value in values.items()}
    return Revision(person_id, number, False, fields, *map(frozenset, (templates, negatives, removed)))


def record_of(template_id, seed=1, crop=None):
    return TemplateRecord(template_id, MODEL, embedding(seed).tobytes(), crop)


def test_what_the_first_release_kept_of_a_number_without_bounds_stops_no_camera(cameras):
    """Its next change was one more than 64 bits hold, and it ended at every start."""
    porch, back = cameras
    for number, name in ((2**64 - 1, "Alice"), (-5, "Bob")):
        packed = msgspec.msgpack.encode(revision_of(f"p_{name}", name, number))
        porch.store.execute("INSERT INTO person (id, name, key) VALUES (?, ?, ?)", (f"p_{name}", name, name.casefold()))
        porch.store.execute("INSERT INTO revision VALUES (?, ?)", (f"p_{name}", packed))
    porch.replication.load()
    assert porch.record() == []
    assert {one.number for one in porch.replication.revisions.values()} == {NUMBER_MAX, 0}
    porch.enroll("Zoe")
    porch.rename("Alice", "Alicia")
    for revision, records in porch.record():
        assert 0 <= revision.number <= NUMBER_MAX
        check(revision, records)
        back.receive(revision, records)
    assert set(back.people()) == {"Alicia", "Zoe"}
    porch.forget("Alicia")
    (tombstone,) = porch.record()
    back.receive(*tombstone)
    assert set(back.people()) == {"Zoe"}
    assert SqliteReplication(porch.store, "porch").revisions == porch.replication.revisions


def test_a_tombstone_with_more_than_an_id_leaves_the_id_alone(cameras):
    porch, _ = cameras
    received = replace(revision_of("p_1", "Alice Unmistakable", templates=["e_1"]), forgotten=True)
    porch.receive(received, [])
    assert porch.replication.revisions["p_1"] == Revision("p_1", 1, forgotten=True)
    assert b"Unmistakable" not in files_of(porch)


def test_the_household_has_at_most_so_many_people_of_other_cameras(cameras):
    porch, _ = cameras
    porch.replication = SqliteReplication(porch.store, "porch", people_max=2)
    for number in range(4):
        porch.receive(revision_of(f"p_{number}", f"Person {number}"), [])
    assert set(porch.replication.revisions) == {"p_0", "p_1"}
    porch.receive(revision_of("p_0", "Another name", 2), [])
    assert set(porch.people()) == {"Another name", "Person 1"}
    porch.receive(Revision("p_1", 2, forgotten=True), [])
    porch.enroll("Somebody here")
    assert len(porch.record()) == 1
    assert set(porch.people()) == {"Another name", "Somebody here"}


def test_there_are_at_most_so_many_tombstones_and_the_oldest_go_first(cameras):
    porch, _ = cameras
    porch.replication = SqliteReplication(porch.store, "porch", tombstones_max=3)
    for number in range(5):
        porch.receive(Revision(f"p_{number}", 2**53 - 1 - number, forgotten=True), [])
    assert list(porch.replication.revisions) == ["p_2", "p_3", "p_4"]
    porch.enroll("Alice")
    porch.record()
    porch.forget("Alice")
    ((tombstone, _),) = porch.record()  # though all others have a greater number
    assert list(porch.replication.revisions) == ["p_3", "p_4", tombstone.person_id]
    again = SqliteReplication(porch.store, "porch", tombstones_max=3)
    assert list(again.revisions) == list(porch.replication.revisions)
    for number in range(5):  # as a broker that has them all says them again
        porch.receive(Revision(f"p_{number}", 2, forgotten=True), [])
    assert list(porch.replication.revisions) == ["p_2", "p_3", "p_4"]


def test_many_removed_templates_of_one_person_are_bounded_and_change_nothing_else(cameras, monkeypatch):
    monkeypatch.setattr("edge.core.replication.IDS_MAX", 3)
    porch, back = cameras
    porch.enroll("Alice")
    porch.record()
    for number in range(6):
        porch.enroll("Alice")
        porch.record()
        porch.store.drop([porch.store.load()[1][-1].template_id])
        for one in porch.record():
            back.receive(*one)
        (revision,) = porch.replication.revisions.values()
        assert len(revision.removed) == min(number + 1, 3)
    assert porch.record() == []
    assert back.everything() == porch.everything()


def test_a_template_that_is_negative_here_is_not_a_template_of_a_message(cameras):
    """It has no record for the other table: it must not end the camera at every start."""
    porch, _ = cameras
    porch.enroll("Alice")
    porch.deny("Alice")
    ((own, _),) = porch.record()
    (negative,), (template,) = own.negatives, own.templates
    for received in (revision_of("p_x", "Bob", templates=[negative]), revision_of("p_y", "Zoe", negatives=[template])):
        usable, _ = porch.receive(received, [])
        assert not usable.ids
    assert set(porch.people()) == {"Alice", "Bob", "Zoe"}
    assert porch.record() == []
    assert len(porch.everything()[1]) == 2


def test_a_crop_that_is_none_is_left_out_and_its_template_is_kept(cameras):
    porch, _ = cameras
    bomb = b"\x89PNG\r\n\x1a\n" + bytes(8) + (30_000).to_bytes(4, "big") * 2 + bytes(100)
    received = revision_of("p_1", "Alice", templates=["e_1", "e_2"])
    kept = []
    porch.receive(
        received,
        [record_of("e_1", 1, bomb), record_of("e_2", 2, b"text")],
        lambda record: kept.append(record) or record,
    )
    assert [record.crop for record in kept] == [None, None]
    assert list(porch.store.crops()) == []
    assert len(porch.store.load()[1]) == 2


def test_reading_what_is_to_be_published_writes_nothing(cameras):
    porch, _ = cameras
    porch.enroll("Alice")
    porch.record()
    before = porch.store.change_token(), files_of(porch)
    (revision,) = porch.replication.revisions.values()
    porch.replication.load()
    assert porch.replication.records(revision, crops=True)
    assert porch.replication.crop_bytes(revision)
    assert porch.replication.unusable() == set()
    assert porch.replication.gallery()
    assert (porch.store.change_token(), files_of(porch)) == before


# "template", "negative" and "person" stand for what this camera has.
IDS = st.sampled_from(["e_1", "e_2", "e_3", "\0", "template", "negative"])
PEOPLE = st.sampled_from(["p_1", "p_2", "\0", "person"])
WRITES = st.builds(
    FieldWrite,
    st.sampled_from(["Alice", "ALICE", "Bob", "Zoë", "", "a\0b", None, True, 0.5, -1.0, 1e300, 4e9]),
    st.sampled_from([0, 1, 2**40, NUMBER_MAX]),
    st.sampled_from(["porch", "back"]),
)
REVISIONS = st.fixed_dictionaries(
    {
        "person_id": PEOPLE,
        "number": st.sampled_from([0, 1, 2, 2**40 - 1, 2**40, NUMBER_MAX]),
        "forgotten": st.booleans(),
        "fields": st.fixed_dictionaries(
            {
                "name": st.builds(
                    FieldWrite, st.sampled_from(["Alice", "ALICE", "Bob"]), st.integers(0, 5), st.just("x")
                ),
                "tau": st.builds(FieldWrite, st.sampled_from([None, 0.5, 4.0]), st.integers(0, 5), st.just("x")),
                "expires": st.builds(FieldWrite, st.sampled_from([None, 4e9]), st.integers(0, 5), st.just("x")),
                "notify": st.builds(FieldWrite, st.booleans(), st.integers(0, 5), st.just("x")),
            },
            optional={"colour": WRITES, "level": WRITES},
        ),
        "templates": st.lists(IDS, max_size=3),
        "negatives": st.lists(IDS, max_size=3),
        "removed": st.lists(IDS, max_size=3),
    }
)
BLOBS = st.sampled_from([embedding(1).tobytes(), embedding(2).tobytes(), bytes(512), b"", b"\xff" * 512])
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "template_id": IDS,
            "model": st.sampled_from([MODEL, "b" * 64]),
            "embedding": BLOBS,
            "crop": st.sampled_from([None, b"", b"text"]),
        }
    ),
    max_size=4,
)


@given(st.lists(st.tuples(REVISIONS, RECORDS, st.sampled_from(["", "forget", "enroll"])), max_size=8))
@settings(max_examples=100)
def test_whatever_comes_the_camera_goes_on_and_starts_again(messages):
    with tempfile.TemporaryDirectory() as folder:
        porch = Camera(folder, "porch")
        porch.enroll("Alice")
        porch.deny("Alice")
        ((own, _),) = porch.record()
        (template,), (negative,) = own.templates, own.negatives
        for revision, records, then in messages:
            packed = msgspec.json.encode({"device": "back", "revision": revision, "looks": []}).decode()
            for name, own_id in (("template", template), ("negative", negative), ("person", own.person_id)):
                packed = packed.replace(f'"{name}"', f'"{own_id}"')
            packed = msgspec.msgpack.encode(msgspec.json.decode(packed) | {"looks": records})
            with suppress(CipherError):
                message = read_revision_message(packed)
                porch.receive(message.revision, message.records)
            if then:
                getattr(porch, then)("Alice")
            for one in porch.record():
                check(*one)
        porch.everything()
        assert porch.record() == []
        again = SqliteReplication(porch.store, "porch")
        assert again.revisions == porch.replication.revisions
        assert again.record_local_changes() == []
        porch.store.close()
