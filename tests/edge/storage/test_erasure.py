"""Every store erases what it keeps of a person, and says why where it keeps nothing."""

import json
from contextlib import closing

import numpy as np
import pytest

from edge.api.redaction import without_person
from edge.core.replication import Revision
from edge.storage.gallery import SqliteGallery
from edge.storage.history import SqliteHistory
from edge.storage.outbox import Outbox
from edge.storage.replication import SqliteReplication
from edge.storage.strangers import SqliteStrangers
from edge.storage.unit_of_work import tables
from edge.system.clock import rfc3339

MODEL = "a" * 64
CROP = np.random.default_rng(1).integers(0, 256, (112, 112, 3), dtype=np.uint8)
PIECE = b"Unmistakable"
TABLES = {
    "person", "template", "negative", "stranger", "stranger_template", "answer", "setting", "audit", "nonce",
    "revision", "removed_template", "event", "lost", "visit", "visit_event", "visit_picture", "visit_erasure",
    "sqlite_sequence",
}  # fmt: skip


def vector(seed):
    made = np.random.default_rng(seed).normal(size=128).astype(np.float32)
    return made / np.linalg.norm(made)


@pytest.fixture
def db(tmp_path):
    with closing(SqliteGallery(tmp_path / "gallery.db", MODEL)) as db:
        yield db


@pytest.fixture
def outbox(tmp_path):
    with closing(Outbox(tmp_path / "outbox.db", 100)) as outbox:
        yield outbox


def test_a_table_that_is_not_known_here_fails(db, outbox, tmp_path):
    """Of a new table, say in its store and in edge.runtime.erasure how it is erased, or why it holds nothing."""
    with closing(SqliteHistory(tmp_path / "history.db", MODEL)) as history:
        assert tables(db) | tables(outbox) | tables(history) == TABLES


def event(name, person_id, **more):
    shape = {"event_type": "recognized", "name": name, "person_id": person_id, "runner_up": None, "margin": None}
    return json.dumps(shape | {"votes": {name or "unknown": 3}} | more).encode()


def test_asked_in_turn_the_stores_leave_nothing_of_a_person(db, outbox, tmp_path):
    strangers, replication = SqliteStrangers(db), SqliteReplication(db, "porch")
    alice = db.add("Alice Unmistakable", [vector(1)], [CROP])
    bob = db.add("Bob", [vector(2)], [CROP])
    db.deny(alice, vector(3), CROP)
    db.deny(bob, vector(1), CROP)  # somebody took her for Bob
    db.deny(bob, vector(4), CROP)
    strangers.meet(None, vector(1), CROP)
    other = strangers.meet(None, vector(5), CROP)
    db.answers.keep("t", "digest", b'"Alice Unmistakable"')
    db.nonces.consume_nonce("key", "nonce", 1)
    replication.record_local_changes()
    outbox.put(lambda *_: event("Alice Unmistakable", alice.person_id), 1e12)
    kept = outbox.put(lambda *_: event("Bob", bob.person_id), 1e12)

    def on_disk():
        return b"".join(file.read_bytes() for file in tmp_path.iterdir())

    pieces = PIECE, vector(1).tobytes()[:64]
    assert all(piece in on_disk() for piece in pieces)
    stores = [db, strangers, db.answers, outbox, db.audit, db.nonces]
    with db.transaction():
        rows = [store.erase_person(alice.person_id, alice.name, np.stack([vector(1)])) for store in stores]
    assert rows == [4, 1, 1, 1, 0, 0]
    assert replication.record_local_changes() == [bob.person_id, alice.person_id]  # to be published
    assert db.checkpoint_pending
    assert db.checkpoint()
    assert not any(piece in on_disk() for piece in pieces)
    people, templates = db.load()
    assert people == [bob]
    assert len(templates) == 2
    assert [stranger.stranger_id for stranger in strangers.load()[0]] == [other]
    assert db.answers.given("t") == ("digest", b"")
    assert outbox.take(10) == [kept]
    assert replication.revisions[alice.person_id] == Revision(alice.person_id, 2, forgotten=True)
    assert replication.record_local_changes() == []
    with db.transaction():
        again = [store.erase_person(alice.person_id, alice.name, np.zeros((0, 0), np.float32)) for store in stores]
    assert again == [0] * len(stores)


def test_what_two_revisions_say_of_one_person_is_erased_in_both(tmp_path):
    cameras = []
    for name in ("porch", "back"):
        store = SqliteGallery(tmp_path / name / "gallery.db", MODEL)
        store.add("Alice", [vector(len(cameras))], [CROP])
        cameras.append(SqliteReplication(store, name))
        cameras[-1].record_local_changes()
    porch, back = cameras
    (theirs,) = back.revisions.values()
    with porch._db.transaction():
        porch.receive(theirs, back.records(theirs, crops=True), lambda record: record)
        porch.apply()
        (alice,) = porch._db.people()
        assert porch._db.erase_person(alice.person_id, alice.name, np.zeros((0, 0), np.float32)) == 3
    assert set(porch.record_local_changes()) == porch.revisions.keys()
    assert all(revision.forgotten for revision in porch.revisions.values())
    for camera in cameras:
        camera._db.close()


def test_what_is_rolled_back_is_not_erased(db):
    replication = SqliteReplication(db, "porch")
    alice = db.add("Alice", [vector(1)], [CROP])
    replication.record_local_changes()

    def fail():
        with db.transaction():
            for store in (db, db.answers):
                store.erase_person(alice.person_id, alice.name, np.stack([vector(1)]))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    replication.load()
    assert [person.name for person in db.people()] == ["Alice"]
    assert not replication.revisions[alice.person_id].forgotten


def test_an_event_keeps_nothing_of_whom_it_is_not_about():
    bob = event("Bob", "p_b", runner_up={"name": "Alicia", "distance": 1.0}, margin=0.1, votes={"Bob": 2, "Alicia": 1})
    kept = json.loads(without_person(bob, "p_a", "Alice"))
    assert kept == json.loads(event("Bob", "p_b", votes={"Bob": 2}))
    assert without_person(event("Alicia", "p_a"), "p_a", "Alice") is None  # by an earlier name
    assert without_person(event("Alice", "p_x"), "p_a", "Alice") is None
    for untouched in (event("Bob", "p_b"), event(None, "p_a", event_type="forgotten"), b"of another version", b"[1]"):
        assert without_person(untouched, "p_a", "Alice") == untouched
    assert without_person("Zoë, as another version says it".encode(), "p_z", "Zoë") is None


def test_times_are_rfc3339_in_utc():
    assert rfc3339(0.0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_795_000_000.25) == "2026-11-18T11:06:40.250Z"
    assert rfc3339(1_795_000_000.25, milliseconds=False) == "2026-11-18T11:06:40Z"
    assert rfc3339().endswith("Z")
