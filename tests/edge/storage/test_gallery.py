"""The gallery on a real disk."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import uuid
from dataclasses import replace

import numpy as np
import pytest

from edge.errors import GalleryError
from edge.storage.gallery import SqliteGallery
from edge.storage.migrations import STEPS

MODEL, OTHER = "a" * 64, "b" * 64
RNG = np.random.default_rng(0)


def embedding():
    vector = RNG.normal(size=128).astype(np.float32)
    return vector / np.linalg.norm(vector)


def crop():
    return RNG.integers(0, 256, (112, 112, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "gallery.db"


@pytest.fixture
def db(path):
    store = SqliteGallery(path, MODEL)
    yield store
    store.close()


def test_what_was_added_is_there_after_opening_again(db, path):
    vectors, crops = [embedding(), embedding()], [crop(), crop()]
    person = db.add("Alice", vectors, crops)
    db.close()
    again = SqliteGallery(path, MODEL)
    (found,), templates = again.load()
    assert found == person
    assert [template.person_id for template in templates] == [person.person_id] * 2
    stored = {template.embedding.tobytes() for template in templates}
    assert stored == {vector.tobytes() for vector in vectors}
    assert {image.tobytes() for _, image in again.crops()} == {image.tobytes() for image in crops}


def test_more_pictures_of_somebody_are_the_same_person_whatever_the_case(db):
    first, second = db.add("Alice", [embedding()], [crop()]), db.add("ALICE", [embedding()], [crop()])
    assert first == second
    people, templates = db.load()
    assert len(people) == 1
    assert len(templates) == 2


@pytest.mark.usefixtures("db")
def test_the_file_is_its_owners_alone(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_of_a_removed_person_can_be_read_from_the_disk(db, path):
    vector, image = embedding(), crop()
    person = db.add("Alice Unmistakable", [vector], [image])
    db.add("Bob", [embedding()], [crop()])
    db.remove(person)
    on_disk = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"Unmistakable" not in on_disk
    assert vector.tobytes()[:64] not in on_disk
    people, templates = db.load()
    assert [person.name for person in people] == ["Bob"]
    assert len(templates) == 1


def test_a_new_name(db):
    person = db.add("Alice", [embedding()], [crop()])
    db.update(replace(person, name="Alicia"))
    (found,), _ = db.load()
    assert (found.person_id, found.name) == (person.person_id, "Alicia")
    assert db.add("alicia", [embedding()], [crop()]).person_id == person.person_id


def test_another_models_templates_are_kept_but_not_loaded_until_rebuilt(db, path):
    person = db.add("Alice", [embedding()], [crop()])
    db.close()
    other = SqliteGallery(path, OTHER)
    people, templates = other.load()
    assert people == [person]
    assert templates == []
    assert other.foreign() == 1
    made = {template_id: embedding() for template_id, _ in other.crops()}
    other.rebuild(made)
    _, (template,) = other.load()
    assert template.model == OTHER
    assert template.embedding.tobytes() == made[template.template_id].tobytes()
    assert other.foreign() == 0


def test_crops_can_be_left_out(path):
    db = SqliteGallery(path, MODEL, keep_crops=False)
    db.add("Alice", [embedding()], [crop()])
    assert list(db.crops()) == []
    assert len(db.load()[1]) == 1


def test_what_is_no_gallery_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("this is not a database, whatever its name says" * 30)
    with pytest.raises(GalleryError, match=r"notes\.txt cannot be opened: file is not a database"):
        SqliteGallery(tmp_path / "notes.txt", MODEL)
    with pytest.raises(GalleryError, match="cannot be opened"):
        SqliteGallery(tmp_path, MODEL)


def test_a_gallery_from_the_future_is_left_alone(path, db):
    db.close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
        raw.execute("PRAGMA application_id = 98")  # the oldest that can use it
    with pytest.raises(GalleryError, match=f"version 99; this limen knows versions up to {len(STEPS)}"):
        SqliteGallery(path, MODEL)


def test_a_gallery_of_a_newer_limen_is_used_where_that_one_says_it_can_be(path, db):
    """So one can go back to the release before."""
    db.add("Alice", [embedding()], [crop()])
    db.close()
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA application_id").fetchone() == (3,)
        raw.execute("PRAGMA user_version = 98")
    again = SqliteGallery(path, MODEL)
    assert [person.name for person in again.load()[0]] == ["Alice"]
    again.close()


def test_a_write_that_fails_leaves_all_as_it_was(db):
    db.add("Alice", [embedding()], [crop()])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        db.add("Bob", [embedding(), embedding()], [crop()])
    people, templates = db.load()
    assert [person.name for person in people] == ["Alice"]
    assert len(templates) == 1


def test_what_another_process_wrote_is_noticed(db, path):
    assert not db.changed_elsewhere()
    db.add("Alice", [embedding()], [crop()])
    assert not db.changed_elsewhere()  # that was us
    command = SqliteGallery(path, MODEL)
    command.add("Bob", [embedding()], [crop()])
    command.close()
    assert db.changed_elsewhere()
    assert not db.changed_elsewhere()


def test_people_and_templates_are_read_as_of_one_moment(db, path, monkeypatch):
    """Though another process enrolls somebody in between."""
    command = SqliteGallery(path, MODEL)
    read_templates = db.templates

    def templates(table, owner):
        command.add(f"Bob {uuid.uuid4()}", [embedding()], [crop()])
        return read_templates(table, owner)

    db.add("Alice", [embedding()], [crop()])
    monkeypatch.setattr(db, "templates", templates)
    people, found = db.load()
    assert [person.name for person in people] == ["Alice"]
    assert {template.person_id for template in found} == {people[0].person_id}
    assert db.changed_elsewhere()
    assert not db.writing
    assert len(command.load()[0]) == 3
    command.close()


def test_what_cannot_be_read_leaves_no_transaction_open(db):
    with pytest.raises(GalleryError, match="cannot be read: no such table"), db.reading():
        db.rows("SELECT id FROM nobody")
    assert not db.writing
    with pytest.raises(KeyError), db.reading(), db.reading():
        raise KeyError
    assert not db.writing


def test_what_cannot_be_overwritten_yet_is_known(db):
    """SQLite folds no log within a transaction."""
    db.add("Alice", [], [])
    assert not db.checkpoint_pending
    assert db.checkpoint()
    with db.transaction():
        db.remove(db.people()[0])
        assert not db.checkpoint()
        assert db.checkpoint_pending
    assert db.checkpoint()
    assert not db.checkpoint_pending


WRITER = """
import sys
from pathlib import Path
import numpy as np
from edge.storage.gallery import SqliteGallery
db = SqliteGallery(Path(sys.argv[1]), "a" * 64)
vector, crop = np.eye(1, 128, dtype=np.float32)[0], np.full((112, 112, 3), 7, dtype=np.uint8)
for number in range(10_000):
    db.add(f"{sys.argv[2]}-{number}", [vector], [crop])
    print(number, flush=True)
"""


def test_every_acknowledged_enrollment_survives_a_kill(path, tmp_path):
    acknowledged = 0
    for turn in range(5):
        log = tmp_path / f"log{turn}"
        with log.open("wb") as out:
            process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"turn{turn}"], stdout=out)
            deadline = time.monotonic() + 60
            while log.stat().st_size < 2 * (turn + 3) and time.monotonic() < deadline:
                time.sleep(0.002)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        said = log.read_bytes().count(b"\n")
        assert said > 0
        people, templates = SqliteGallery(path, MODEL).load()
        names = {person.name for person in people}
        assert {f"turn{turn}-{number}" for number in range(said)} <= names
        assert len(templates) == len(people)
        acknowledged += said
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert acknowledged >= 5
