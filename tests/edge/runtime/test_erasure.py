"""After person/remove nothing of somebody is left: on the disk, at the broker, in what waits, in the log."""

import json
import logging
import sqlite3

import pytest
from skimage.data import astronaut

from edge.api.discovery import discovery_topic
from edge.api.messages import event_message
from edge.api.redaction import redaction
from edge.capture import open_source
from edge.core.events import Event, RunnerUp
from edge.core.types import Person, Quality
from edge.errors import GalleryError
from edge.runtime.assembly import Device
from edge.storage.outbox import Outbox
from tests.edge.core.asking import EnrollImages, RemovePerson, handle
from tests.household import Household, Nothing, portrait_jpeg, running, until

NAME, NEW_NAME = "Eileen Unmistakable", "Eileen Unforgettable"
PARTS = [b"unmistakable", b"unforgettable"]


def enrolled_bytes(config):
    """What the disk holds of whoever is enrolled: embeddings and crops, a piece of each."""
    raw = sqlite3.connect(config.gallery.path)
    rows = raw.execute("SELECT embedding, crop FROM template").fetchall()
    raw.close()
    assert rows
    return [
        piece for embedding, crop in rows for piece in (embedding[:32], embedding[-32:], crop[200:260], crop[-80:-20])
    ]


def on_disk(folder):
    """Every file of the gallery, the outbox and the broker."""
    files = [file for file in folder.iterdir() if file.is_file() and file.suffix != ".conf"]
    names = {file.name for file in files}
    assert {"gallery.db", "outbox.db"} <= names
    return {file.name: file.read_bytes() for file in files}


def assert_nothing_in(contents, pieces):
    for where, content in contents.items():
        for piece in pieces:
            assert piece not in content, (where, piece)
        for part in PARTS:
            assert part not in content.lower(), (where, part)


def test_nothing_of_somebody_removed_is_left_anywhere(config, household, broker, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with running(config, lambda: open_source(config.camera, loop=True)) as porch:
        until(lambda: household.newest("status") == b"online")
        enroll = {"transaction": "enroll-unmistakable", "name": NAME, "images": [portrait_jpeg()]}
        assert household.ask("enroll/image", enroll)["status"] == "ok"
        pieces = enrolled_bytes(config)
        for _ in range(2):
            household.next_event(len(household.events()), event_type="recognized", phase="new")
        household.ask("person/list", {"transaction": "list"})
        household.ask("recognize/image", {"transaction": "who", "image": portrait_jpeg()})
        household.ask("person/rename", {"transaction": "rename", "name": NAME, "new_name": NEW_NAME})
        household.next_event(len(household.events()), name=NEW_NAME, phase="end")
        assert any(part in content.lower() for part in PARTS for content in on_disk(tmp_path).values())
        assert any(piece in content for piece in pieces for content in on_disk(tmp_path).values())
        # From here on: a name they had before, in every transaction, and asked for once more.
        remove = {"transaction": "forget-unforgettable", "name": NEW_NAME}
        receipt = household.ask("person/remove", remove)
        until(lambda: household.newest("person/eileen-unforgettable") == b"")
        until(lambda: porch.outbox.problem is None and b"Unforgettable" not in household.newest("presence"))
        contents = on_disk(tmp_path)
        assert {"gallery.db-wal", "gallery.db-shm", "outbox.db-wal"} <= set(contents)
        assert_nothing_in({name: data for name, data in contents.items() if name != "mosquitto.db"}, pieces)
        assert household.ask("person/remove", remove) == receipt
        gone = household.ask("person/remove", {"transaction": "2-unforgettable", "name": NEW_NAME})
        assert gone["code"] == "no_such_person"
        assert household.ask("enroll/image", enroll)["code"] == "answered_before"  # and nobody is enrolled again
        with Household(broker.port) as newcomer:  # who is told all that is retained
            discovery = []
            topic = discovery_topic("homeassistant", "porch")
            newcomer.client.message_callback_add(topic, lambda _c, _u, message: discovery.append(message))
            newcomer.client.subscribe(topic, qos=1)
            until(lambda: discovery and newcomer.newest("presence") and newcomer.newest("gallery"))
            kept = {
                message.topic: message.topic.encode() + message.payload
                for message in newcomer.heard + discovery
                if message.retain
            }
        assert {f"limen/porch/{name}" for name in ("presence", "gallery", "info", "status", "config")} <= set(kept)
        assert_nothing_in(kept, pieces)
    assert_nothing_in(on_disk(tmp_path), pieces)
    data = receipt["data"]
    assert (data["templates"], data["crops"], data["overwritten"]) == (1, 1, True)
    assert data["person_id"].startswith("p_")
    assert data["at"].endswith("Z")
    household.close()
    broker.stop()  # it writes what it keeps
    contents = on_disk(tmp_path)
    assert b"limen/porch" in contents["mosquitto.db"]
    assert_nothing_in(contents, pieces)
    assert_nothing_in({"the log": caplog.text.encode()}, pieces)
    assert "recognized" not in caplog.text
    assert data["person_id"] in caplog.text  # it says who by their id


@pytest.mark.parametrize("meanwhile", ["it runs", "it does not run"])
def test_what_waits_for_the_broker_does_not_name_them_when_it_is_delivered(
    config, household, broker, tmp_path, meanwhile
):
    """Forgotten on the device's own disk while there is no broker."""

    def waiting():
        return b"".join(file.read_bytes() for file in tmp_path.glob("outbox.db*"))

    with running(config, lambda: open_source(config.camera, loop=True)) as porch:
        until(lambda: household.newest("status") == b"online")
        enroll = {"transaction": "1", "name": NAME, "images": [portrait_jpeg()]}
        assert household.ask("enroll/image", enroll)["status"] == "ok"
        pieces = enrolled_bytes(config)
        broker.stop()
        until(lambda: not porch.link.connected)
        published = porch.publisher.published  # what comes from now on waits; the outbox itself is of another thread
        until(lambda: porch.publisher.published > published and b"Unmistakable" in waiting())
        before = len(household.heard)
        if meanwhile == "it runs":
            forget_here(config)
            until(lambda: b"Unmistakable" not in waiting())
            until(lambda: not any(piece in file for file in on_disk(tmp_path).values() for piece in pieces))
            contents = on_disk(tmp_path)
            del contents["mosquitto.db"]  # of a broker that is not there
            assert_nothing_in(contents, pieces)
            broker.start()
            until(lambda: household.newest("person/eileen-unmistakable") == b"", 60)  # it tries again ever more rarely
    if meanwhile == "it does not run":
        forget_here(config)
        broker.start()
        with running(config, Nothing):
            until(lambda: household.newest("person/eileen-unmistakable") == b"", 60)  # it tries again ever more rarely
    until(lambda: household.newest("status") == b"offline")
    # dup: the broker had it before and says it to us again, as it may.
    named = [message for message in household.heard[before:] if b"Unmistakable" in message.payload and not message.dup]
    assert [message.topic for message in named if "event" in message.topic] == []
    assert b"Unmistakable" not in waiting()


def forget_here(config):
    device = Device.open(config)
    assert handle(device.recognizer, RemovePerson(NAME)).ok
    device.store.close()


ALICE, BOB = Person("p_a", "Alice"), Person("p_b", "Bob")


def event(person, runner_up, votes):
    quality = Quality(0.8, 11.0, 90.0, 42.0, -3.0, None)
    kind = "unknown" if person is None else "recognized"
    seen = Event(
        kind,
        "new",
        "t1",
        0.0,
        person.name,
        person.person_id,
        "a test",
        distance=0.5,
        tau=0.9,
        runner_up=RunnerUp(runner_up.name, 1.0),
        margin=0.5,
        votes=votes,
        quality=quality,
        box=(0, 0, 1, 1),
    )
    return event_message(seen, "id", 1, "2026-11-22T00:00:00Z", "m@1").json()


def test_an_event_that_waits_is_told_of_those_who_are_known():
    of_alice, of_bob = event(ALICE, BOB, {"Alice": 3}), event(BOB, ALICE, {"Bob": 2, "Alice": 1, "unknown": 1})
    both = {"p_a": "Alice", "p_b": "Bob"}
    assert (redaction(both)(of_alice), redaction(both)(of_bob)) == (of_alice, of_bob)
    assert redaction({"p_b": "Bob"})(of_alice) is None
    told = json.loads(redaction({"p_b": "Bob"})(of_bob))
    assert told == json.loads(of_bob) | {"runner_up": None, "margin": None, "votes": {"Bob": 2, "unknown": 1}}
    assert redaction({"p_b": "Robert", "p_a": "Alice"})(of_bob) == of_bob  # renamed meanwhile
    assert redaction(both)(b"of another version") == b"of another version"


def test_what_was_delivered_is_overwritten(tmp_path):
    outbox = Outbox(tmp_path / "outbox.db", 100)
    entries = [outbox.put(lambda *_: b"Alice Unmistakable" * 100, 1e12) for _ in range(20)]
    outbox.delivered([entry.seq for entry in entries[:-1]])
    outbox.delivered([entries[-1].seq])
    outbox.close()
    assert b"Unmistakable" not in (tmp_path / "outbox.db").read_bytes()


def test_what_was_delivered_by_an_older_limen_leaves_its_free_pages_too(tmp_path):
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, 100)
    outbox._db.execute("PRAGMA secure_delete = OFF")
    outbox._db.execute("PRAGMA user_version = 0")
    entries = [outbox.put(lambda *_: b"Alice Unmistakable" * 100, 1e12) for _ in range(20)]
    outbox.delivered([entry.seq for entry in entries[:-1]])
    outbox.close()
    assert b"Unmistakable" in path.read_bytes()
    outbox = Outbox(path, 100)
    outbox.revise(lambda _payload: b"{}")
    assert b"Unmistakable" not in path.read_bytes() + (tmp_path / "outbox.db-wal").read_bytes()
    assert [entry.payload for entry in outbox.take(10)] == [b"{}"]
    outbox.close()


def test_the_file_of_the_outbox_gives_no_page_back(tmp_path):
    """A page that was cut off could not be overwritten later."""
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, 100)
    entries = [outbox.put(lambda *_: b"Alice Unmistakable" * 300, 1e12) for _ in range(20)]
    outbox.checkpoint_pending = True
    assert outbox.checkpoint()
    size = path.stat().st_size
    outbox.delivered([entry.seq for entry in entries[:-1]])
    outbox.revise(lambda _payload: b"{}")
    assert path.stat().st_size >= size
    assert b"Unmistakable" not in path.read_bytes()
    outbox.close()


def test_a_removal_whose_traces_cannot_be_overwritten_yet_says_so(config, household, tmp_path, monkeypatch):
    """Somebody else is in the middle of reading the gallery."""
    monkeypatch.setattr("edge.runtime.loop.EXPIRE_EVERY_SECONDS", 0.1)
    with running(config, Nothing) as porch:
        until(lambda: household.newest("status") == b"online")
        household.ask("enroll/image", {"transaction": "1", "name": NAME, "images": [portrait_jpeg()]})
        reader = sqlite3.connect(config.gallery.path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM person").fetchone()
        answer = household.ask("person/remove", {"transaction": "2", "name": NAME})
        assert answer["code"] == "not_overwritten"
        assert "another process reads the gallery" in answer["error"]
        assert household.ask("person/remove", {"transaction": "2", "name": NAME}) == answer
        assert porch.device.recognizer.gallery.people == {}
        reader.close()
        until(lambda: b"Unmistakable" not in b"".join(on_disk(tmp_path)[f"gallery.db{end}"] for end in ("", "-wal")))


def test_who_was_removed_is_told_of_also_where_nothing_can_be_overwritten(config, household, monkeypatch):
    """The disk became full after the commit: neither the log can be cut off nor the answer be kept."""
    with running(config, Nothing) as porch:
        until(lambda: household.newest("status") == b"online")
        household.ask("enroll/image", {"transaction": "1", "name": NAME, "images": [portrait_jpeg()]})
        store = porch.device.store

        def checkpoint():
            monkeypatch.setattr(store.answers, "keep", full)
            return False

        def full(*_):
            raise GalleryError("disk full")

        monkeypatch.setattr(store, "checkpoint", checkpoint)
        assert household.ask("person/remove", {"transaction": "2", "name": NAME})["code"] == "not_overwritten"
        household.next_event(0, event_type="forgotten")
        until(lambda: json.loads(household.newest("gallery"))["people"] == [])


def test_the_command_on_the_devices_own_disk_says_so_too(config):
    device = Device.open(config)
    assert handle(device.recognizer, EnrollImages(NAME, [astronaut()[:300, 80:380]])).ok
    reader = sqlite3.connect(config.gallery.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM person").fetchone()
    with pytest.raises(GalleryError, match="removed, but another process reads the gallery"):
        handle(device.recognizer, RemovePerson(NAME))
    reader.close()
    device.store.close()
