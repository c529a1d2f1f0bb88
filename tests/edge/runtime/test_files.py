"""Files that are replaced, removed or damaged under a device, or before it starts: it goes on, and says what is so."""

import json
import threading
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from edge.config import FleetConfig
from edge.core.events import Event
from edge.runtime.assembly import Device
from edge.runtime.loop import DeviceLoop
from edge.system.crypto import new_key
from tests.household import Nothing, portrait_jpeg, running, until

CROP = np.zeros((112, 112, 3), np.uint8)
EVENTS = 100
SHARED = "/household/home/person/"


def vector(number):
    return np.eye(1, 128, number, dtype=np.float32)[0]


def people(config):
    """Who is in the gallery at the next start."""
    with Device.open(config) as device:
        assert device.store.value("PRAGMA integrity_check") == "ok"
        return [person.name for person in device.store.people()]


def gallery_of(config, path, *names):
    with Device.open(replace(config, gallery=replace(config.gallery, path=path))) as device:
        for number, name in enumerate(names):
            device.store.add(name, [vector(number)], [CROP])
    return path


def health(household, key):
    message = household.newest("health")
    return json.loads(message)[key] if message else None


def listed(household, transaction):
    answer = household.ask("person/list", {"transaction": transaction})
    return answer["code"] or [person["name"] for person in answer["data"]["people"]]


def enroll(household, name):
    answer = household.ask("enroll/image", {"transaction": name, "name": name, "images": [portrait_jpeg()]})
    return answer["code"] or answer["status"]


def test_an_enrollment_that_was_answered_is_in_the_gallery_that_took_the_place_of_another(
    config, household, tmp_path, caplog
):
    gallery_of(config, config.gallery.path, "Alice")
    other = gallery_of(config, tmp_path / "other.db", "Bob", "Carol")
    with running(config, Nothing):
        until(lambda: b"Alice" in household.newest("gallery"))
        other.replace(config.gallery.path)
        assert enroll(household, "Eileen") in {"ok", "storage"}
        until(lambda: b"Carol" in household.newest("gallery"))
        assert enroll(household, "Zoe") == "conflicts_with" or "Zoe" in listed(household, "1")
        said = listed(household, "2")
        assert {"Bob", "Carol"} <= set(said)
        assert "Alice" not in said
    assert people(config) == said
    assert f"gallery {config.gallery.path} was replaced by another file; it has 2 people" in caplog.text


def test_while_the_gallery_is_missing_nothing_is_answered_ok(config, household, tmp_path, caplog):
    gallery_of(config, config.gallery.path, "Alice")
    with running(config, Nothing):
        until(lambda: b"Alice" in household.newest("gallery"))
        config.gallery.path.rename(tmp_path / "away.db")
        until(lambda: "there is no gallery" in (health(household, "gallery_problem") or ""))
        assert enroll(household, "Eileen") == "storage"
        assert listed(household, "1") == "storage"
        assert not config.gallery.path.exists()
        (tmp_path / "away.db").rename(config.gallery.path)
        until(lambda: health(household, "gallery_problem") is None)
        assert enroll(household, "Zoe") == "ok"
    assert people(config) == ["Alice", "Zoe"]
    assert caplog.text.count("the gallery is as it was read last: there is no gallery") == 1


def test_while_the_folder_of_the_gallery_is_missing_the_device_goes_on(config, household, tmp_path):
    config = replace(config, gallery=replace(config.gallery, path=tmp_path / "kept" / "gallery.db"))
    gallery_of(config, config.gallery.path, "Alice")
    with running(config, Nothing):
        until(lambda: b"Alice" in household.newest("gallery"))
        until(lambda: (health(household, "disk_free_mb") or 0) > 0)
        (tmp_path / "kept").rename(tmp_path / "away")
        (tmp_path / "kept").symlink_to("nowhere")  # so that nothing makes the folder again: on a device limen may not
        until(lambda: household.newest("health") and health(household, "disk_free_mb") is None)
        (tmp_path / "kept").unlink()
        (tmp_path / "away").rename(tmp_path / "kept")
        until(lambda: health(household, "disk_free_mb") is not None)
        until(lambda: health(household, "gallery_problem") is None)
        assert enroll(household, "Zoe") == "ok"
    assert people(config) == ["Alice", "Zoe"]


def test_an_older_gallery_in_the_place_of_another_removes_nobody_from_the_other_cameras(config, household, tmp_path):
    key = tmp_path / "household.key"
    key.write_text(new_key())
    config = replace(config, fleet=FleetConfig(key_file=key))
    gallery_of(config, config.gallery.path, "Alice", "Bob")
    older = gallery_of(config, tmp_path / "older.db")
    with running(config, Nothing) as porch:
        until(lambda: len({message.topic for message in household.heard if SHARED in message.topic}) == 2)
        older.replace(config.gallery.path)
        until(lambda: porch.replication._generation == 2)
        assert enroll(household, "Eileen") == "ok"
        until(lambda: len(porch.replication._db.revisions) == 3)  # the broker had the others
        assert not any(revision.forgotten for revision in porch.replication._db.revisions.values())
        until(lambda: {*listed(household, "1")} == {"Eileen", "Alice", "Bob"})


@pytest.mark.parametrize("damage", [b"garbage " * 1000, b"SQLite format 3\0", bytes(50)])
def test_a_damaged_outbox_does_not_keep_the_device_from_starting(config, household, tmp_path, damage):
    (tmp_path / "outbox.db").write_bytes(damage)
    with running(config, Nothing) as porch:
        until(lambda: health(household, "outboxes_set_aside") == 1)
        assert health(household, "outbox_problem") is None
        porch.publisher.publish(seen(0))
        until(household.events)
    assert (tmp_path / "outbox.db.damaged-1").read_bytes() == damage


def test_what_was_set_aside_is_overwritten_when_somebody_is_removed(config, household, tmp_path):
    gallery_of(config, config.gallery.path, "Alice")
    (tmp_path / "outbox.db").write_bytes(b"Alice " * 1000)
    with running(config, Nothing), closing((tmp_path / "outbox.db.damaged-1").open("rb")) as blocks:
        until(lambda: b"Alice" in household.newest("gallery"))
        assert household.ask("person/remove", {"transaction": "1", "name": "Alice"})["status"] == "ok"
        until(lambda: not (tmp_path / "outbox.db.damaged-1").exists())
        assert set(blocks.read()) == {0}


def test_an_outbox_that_cannot_be_used_does_not_keep_events_back(config, household, tmp_path):
    (tmp_path / "outbox.db").mkdir()
    with running(config, Nothing) as porch:
        until(lambda: "in memory alone" in (health(household, "outbox_problem") or ""))
        porch.publisher.publish(seen(0))
        until(household.events)


def test_one_bad_template_ends_nothing(config, household):
    gallery_of(config, config.gallery.path, "Alice", "Bob")
    with Device.open(config) as device, device.store.transaction():
        device.store.execute("UPDATE template SET embedding = ? WHERE rowid = 1", (b"\xff" * 512,))
    with running(config, Nothing):
        until(lambda: health(household, "gallery_problem") == "1 template damaged: see limen doctor")
        assert enroll(household, "Eileen") == "ok"
        assert listed(household, "1") == ["Alice", "Bob", "Eileen"]


def seen(number):
    return Event("unknown", "new", f"t{number}", 0.0, None, None, "in a test", votes={"unknown": 3}, box=(0, 0, 1, 1))


def test_all_that_waits_at_the_stop_is_delivered(config, household):
    service = DeviceLoop(config, Device.open(config))

    class Busy(Nothing):
        """The last of what it sees is much."""

        def read(self, timeout_seconds):
            if service.link.connected:
                for number in range(EVENTS):
                    service.publisher.publish(seen(number))
                self.ended = True
            super().read(timeout_seconds)

    service.run(Busy(), threading.Event())
    until(lambda: household.newest("status") == b"offline")
    assert sorted({event["seq"] for event in household.events()}) == list(range(1, EVENTS + 1))
    service.device.store.close()
