"""The record of who changed what is known of people."""

import os
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from edge.core.types import Person
from edge.errors import GalleryError
from edge.storage.archive import read
from edge.storage.audit import BLOCK
from edge.storage.gallery import SqliteGallery
from edge.storage.migrations import AUDIT_MAX
from edge.storage.strangers import SqliteStrangers

MODEL = "a" * 64
VECTOR, CROP = np.eye(1, 128, dtype=np.float32)[0], np.full((112, 112, 3), 9, np.uint8)


@pytest.fixture
def db(tmp_path):
    store = SqliteGallery(tmp_path / "gallery.db", MODEL, clock_trusted=True)
    yield store
    store.close()


def test_every_write_is_in_it_and_no_name(db, tmp_path):
    alice = db.add("Alice", [VECTOR, VECTOR], [CROP, CROP])
    bob = db.add("Bob", [VECTOR], [CROP])
    db.update(replace(bob, name="Robert"))
    db.update(replace(bob, name="ROBERT"))
    db.update(replace(alice, tau=0.5))
    db.add("alice", [VECTOR], [CROP], expires=4e9)
    db.deny(alice, VECTOR, CROP)
    db.merge(bob, alice)
    db.rebuild({template_id: VECTOR for template_id, _ in db.crops()})
    strangers = SqliteStrangers(db)
    first, second = (strangers.meet(None, VECTOR, CROP) for _ in range(2))
    strangers.ignore(first, ignored=True)
    strangers.purge(first)
    strangers.purge()
    strangers.purge()  # nobody is left
    dave = strangers.adopt(strangers.meet(None, VECTOR, CROP), "Dave")
    other = SqliteGallery(tmp_path / "other.db", MODEL)
    carol = other.add("Carol", [VECTOR], [CROP])
    other.close()
    with db.audit.on_behalf_of("mqtt person/remove, unsigned"):
        db.remove(alice)
    db.import_(read(other.path))
    db.import_(read(other.path))  # nothing new
    assert db.export()[1] == 2
    a, b, c, d = alice.person_id, bob.person_id, carol.person_id, dave.person_id
    records = db.audit.records()
    assert [(record.verb, record.person_id, record.detail) for record in records] == [
        ("enroll", a, "2 templates"),
        ("enroll", b, "1 template"),
        ("rename", b, ""),
        ("rename", b, ""),
        ("set", a, "tau 0.5, expires None, notify True"),
        ("enroll", a, "1 template"),
        ("deny", a, "1 template"),
        ("merge", b, f"into {a}"),
        ("rebuild", None, "5 templates"),
        ("ignore", first, ""),
        ("purge", first, "1 stranger"),
        ("purge", None, "1 stranger"),
        ("enroll", d, "0 templates"),
        ("label", d, records[13].detail),
        ("remove", a, "5 templates, 5 crops"),
        ("import", c, "1 template"),
        ("export", None, "2 people"),
    ]
    me = f"command line, user {os.getuid()}"
    assert {record.who for record in records} == {me, "mqtt person/remove, unsigned"}
    assert records[13].detail.startswith("was u_")
    assert second
    assert records[14].who == "mqtt person/remove, unsigned"
    assert all(record.clock_set and record.at.endswith("Z") for record in records)
    assert db.audit.records(2) == records[-2:]
    text = repr(records)
    assert not any(name in text for name in ("Alice", "Bob", "Robert", "ROBERT", "Carol", "Dave"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
        "INSERT OR REPLACE INTO audit (id, at, clock_set, who, verb, detail) VALUES (1, '', 0, '', '', '')",
        "UPDATE OR REPLACE audit SET id = 2",
    ],
)
def test_what_is_in_it_stays_as_it_is(db, statement):
    db.add("Alice", [VECTOR], [CROP])
    before = db.audit.records()
    with sqlite3.connect(db.path) as raw, pytest.raises(sqlite3.IntegrityError, match="the audit record is never"):
        raw.execute(statement)
    raw.close()
    assert db.audit.records() == before
    assert len(before) == 1


def test_a_write_that_fails_is_not_in_it_and_one_that_cannot_be_noted_is_not_made(db):
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        db.add("Alice", [VECTOR, VECTOR], [CROP])
    assert db.audit.records() == []
    db._db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    with pytest.raises(GalleryError, match="disk is full"):
        db.add("Alice", [VECTOR], [CROP])
    assert db.load() == ([], [])


def test_without_the_time_of_day_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("edge.system.clock.synchronized", lambda: False)
    monkeypatch.setattr("edge.system.clock.hardware_clock_agrees", lambda _now: False)
    db = SqliteGallery(tmp_path / "gallery.db", MODEL)
    db.update(Person("p_1", "Alice", 0.5))
    assert [record.clock_set for record in db.audit.records()] == [False]
    db.close()


def test_a_gallery_of_before_gets_one(tmp_path):
    """As the release before this record made it."""
    from edge.storage.migrations import STEPS

    raw = sqlite3.connect(tmp_path / "gallery.db")
    for statement in (statement for step in STEPS[:3] for statement in step):
        raw.execute(statement)
    raw.execute("PRAGMA user_version = 3")
    raw.execute("INSERT INTO person (id, name, key) VALUES ('p_1', 'Alice', 'alice')")
    raw.execute("INSERT INTO answer (request, payload, at, digest) VALUES ('plain', x'31', 1e12, 'd')")
    raw.commit()
    raw.close()
    db = SqliteGallery(tmp_path / "gallery.db", MODEL)
    assert db.audit.records() == []
    assert db.answers.given("plain") == ("d", b"1")  # of a request that may come again
    db.update(replace(db.load()[0][0], tau=0.5))
    assert len(db.audit.records()) == 1
    db.close()


def grown(db, records):
    """So many more records, as if a client had written them."""
    db.execute(
        "INSERT INTO audit (at, clock_set, who, verb, person, detail) WITH RECURSIVE number(n) AS "
        "(SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?) SELECT '', 1, 'x', 'set', NULL, '' FROM number",
        (records,),
    )


def test_it_is_bounded_and_says_how_much_was_dropped(db):
    def count():
        return db.value("SELECT count(*) FROM audit")

    with db.transaction():
        grown(db, AUDIT_MAX + BLOCK - 2)
        db.audit.note("deny", "p_1")
        assert count() == AUDIT_MAX + BLOCK - 1
        db.audit.note("deny", "p_2")
        assert count() == AUDIT_MAX + 1
        assert [(record.verb, record.person_id, record.detail) for record in db.audit.records(2)] == [
            ("deny", "p_2", ""),
            ("prune", None, "1000 records dropped since the first"),
        ]
        grown(db, BLOCK)
        db.audit.note("deny", "p_3")
    assert AUDIT_MAX <= count() <= AUDIT_MAX + BLOCK
    assert db.audit.records(1)[0].detail == "2002 records dropped since the first"
    for statement in ("DELETE FROM audit WHERE id = 3000", "DELETE FROM audit", "UPDATE audit SET who = 'y'"):
        with pytest.raises(GalleryError, match="the audit record is never"):
            db.execute(statement)
    assert AUDIT_MAX <= count() <= AUDIT_MAX + BLOCK
