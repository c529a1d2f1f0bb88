"""What is left on disk, in memory and at the broker where a step of a request fails."""

import json
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.capture import open_source
from edge.commands.main import main
from edge.config import FleetConfig, StrangersConfig
from edge.core.types import Frame
from edge.demo.scene import Pose, with_person
from edge.demo.scene import porch as empty_porch
from edge.errors import CameraError, GalleryError
from edge.system.crypto import new_key
from tests.household import Nothing, portrait_jpeg, running, until


def full(*_, **__):
    raise GalleryError("database or disk is full")


@contextmanager
def answers_cannot_be_kept(porch, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(porch.device.store.answers, "keep", full)
        yield


def enroll(household, transaction="1"):
    return household.ask("enroll/image", {"transaction": transaction, "name": "Eileen", "images": [portrait_jpeg()]})


def test_a_removal_that_is_rolled_back_reaches_no_other_camera(config, household, tmp_path, monkeypatch):
    key = tmp_path / "household.key"
    key.write_text(new_key())
    with running(replace(config, fleet=FleetConfig(key_file=key)), Nothing) as porch:
        until(lambda: household.newest("status") == b"online")
        assert enroll(household)["status"] == "ok"
        (person_id,) = porch.device.recognizer.gallery.people
        until(lambda: porch.replication._db.revisions)
        with answers_cannot_be_kept(porch, monkeypatch):
            answer = household.ask("person/remove", {"transaction": "2", "name": "Eileen"})
            assert answer["code"] == "storage"
        assert household.ask("person/list", {"transaction": "3"})["data"]["people"][0]["person_id"] == person_id
        assert not any(revision.forgotten for revision in porch.replication._db.revisions.values())


def test_a_cancellation_that_cannot_be_written_leaves_the_enrollment_in_progress(config, household, monkeypatch):
    with running(config, Nothing) as porch:
        until(lambda: household.newest("status") == b"online")
        household.ask("enroll/start", {"transaction": "live", "name": "Eileen"})
        with answers_cannot_be_kept(porch, monkeypatch):
            assert household.ask("enroll/cancel", {"transaction": "no"})["code"] == "storage"
        assert porch.device.recognizer.live is not None
        assert household.ask("enroll/cancel", {"transaction": "yes"})["data"] == {"name": "Eileen"}
        until(lambda: json.loads(household.newest("response/enroll/start"))["code"] == "cancelled")


def test_an_enrollment_that_cannot_be_written_removes_no_stranger(config, household, monkeypatch):
    config = replace(config, strangers=StrangersConfig(keep_days=1.0))
    with running(config, lambda: open_source(config.camera, loop=True)) as porch:
        household.next_event(0, event_type="unknown", phase="new")
        before = household.ask("unknown/list", {"transaction": "1"})["data"]["strangers"]
        assert before
        with answers_cannot_be_kept(porch, monkeypatch):
            assert enroll(household, "2")["code"] == "storage"
        after = household.ask("unknown/list", {"transaction": "3"})["data"]["strangers"]
        assert {one["stranger_id"] for one in after} == {one["stranger_id"] for one in before}


def test_a_stranger_who_was_purged_is_enrolled_by_no_correction(config, household):
    config = replace(config, strangers=StrangersConfig(keep_days=1.0))
    with running(config, lambda: open_source(config.camera, loop=True)):
        event = household.next_event(0, event_type="unknown", phase="new")
        assert household.ask("unknown/purge", {"transaction": "1"})["data"] == {"strangers": 1}
        corrected = household.ask("event/correct", {"transaction": "2", "id": event["id"], "name": "Eileen"})
        assert corrected["code"] == "no_such_event"


def test_no_event_names_a_removed_person_where_the_outbox_could_not_be_rewritten(config, household, monkeypatch):
    with running(config, lambda: open_source(config.camera, loop=True)) as porch:
        until(lambda: household.newest("status") == b"online")
        assert enroll(household)["status"] == "ok"
        household.next_event(0, event_type="recognized")
        with monkeypatch.context() as patch:

            def fails(_redact):
                porch.outbox.problem = "disk I/O error"
                return 0

            patch.setattr(porch.outbox, "revise", fails)
            patch.setattr(porch.outbox, "_save", lambda: None)  # it would take the problem back
            assert household.ask("person/remove", {"transaction": "2", "name": "Eileen"})["status"] == "ok"
            before = len(household.events())
            porch.outbox.put(
                lambda *_: (
                    b'{"event_type": "recognized", "name": "Eileen", "person_id": "p_0", '
                    b'"runner_up": null, "votes": {}, "phase": "new", "track": "t", "margin": null}'
                ),
                1e12,
            )
            until(lambda: porch.running.watch.count > 5)
            assert not any(event["name"] == "Eileen" for event in household.events()[before:])
        until(lambda: household.next_event(before, event_type="forgotten"))
        assert not any(event["name"] == "Eileen" for event in household.events()[before:])


def test_a_command_that_cannot_erase_the_outbox_says_that_the_person_was_removed(config, household, tmp_path):
    with running(config, Nothing):
        until(lambda: household.newest("status") == b"online")
        assert enroll(household)["status"] == "ok"
    (tmp_path / "outbox.db").unlink()
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as other:
        other.execute("CREATE TABLE states (state TEXT)")
    result = CliRunner().invoke(main, ["--gallery", str(config.gallery.path), "forget", "Eileen"])
    assert result.exit_code == 1
    assert "not_overwritten: removed, but outbox" in result.output
    assert b"Eileen" not in b"".join(path.read_bytes() for path in tmp_path.glob("gallery.db*"))


def test_of_an_outbox_that_cannot_be_read_a_removal_leaves_nothing(config, household, tmp_path):
    with running(config, Nothing):
        until(lambda: household.newest("status") == b"online")
        assert enroll(household)["status"] == "ok"
    (tmp_path / "outbox.db").write_bytes(b"of Eileen, but no database")
    with (tmp_path / "outbox.db").open("rb") as blocks:
        result = CliRunner().invoke(main, ["--gallery", str(config.gallery.path), "forget", "Eileen"])
        assert result.exit_code == 0
        assert set(blocks.read()) == {0}
    assert not [*tmp_path.glob("outbox.db.damaged-*")]


@pytest.mark.usefixtures("porch")
def test_a_topic_that_is_no_slug_is_cleared_and_not_remembered(porch, household):
    name = "x" * 5000 + "é"
    household.client.publish(f"limen/porch/person/{name}", b"x", qos=1, retain=True)
    until(lambda: household.newest(f"person/{name}") == b"")
    assert not porch.publisher.people._removed


def test_a_read_writes_nothing_and_is_not_kept(porch, household):
    """Whatever is read as often as it pleases: neither a row nor a byte of the log of writes."""

    def written():
        """Another value after every commit of whichever process, and the size of the log of writes."""
        with closing(sqlite3.connect(f"file:{porch.config.gallery.path}?mode=ro", uri=True)) as db:
            rows = [db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("answer", "nonce", "audit")]  # noqa: S608 -- ours
        return rows, porch.config.gallery.path.with_name("gallery.db-wal").stat().st_mtime_ns

    assert household.ask("config/set", {"transaction": "w", "recognition": True})["status"] == "ok"  # the log is there
    before = written()
    for number in range(20):
        for verb in ("person/list", "config/get", "health/check"):
            assert household.ask(verb, {"transaction": f"{verb}-{number}"})["status"] == "ok"
        household.ask("recognize/image", {"transaction": f"image-{number}", "image": portrait_jpeg()})
        assert household.ask("unknown/list", {"transaction": f"u-{number}"})["code"] == "strangers_not_kept"
    assert written() == before


def test_a_part_that_fails_to_close_does_not_keep_the_others_open(config, household):
    class Stuck(Nothing):
        def close(self):
            raise CameraError("the camera does not let go")

    with pytest.raises(CameraError, match="does not let go"), running(config, Stuck) as porch:
        until(lambda: household.newest("status") == b"online")
    until(lambda: household.newest("status") == b"offline")
    assert porch.outbox._closed


def test_the_picture_of_a_track_that_ends_before_its_verdict_is_of_its_own_sample(config, household):
    """Not of the newest frame, in which somebody else, or nobody, is where the face was."""
    config = replace(config, mqtt=replace(config.mqtt, image_last=True))
    somebody = with_person(empty_porch(), 0, Pose(0.5, 0.4, 120.0))
    green = np.full_like(somebody, (0, 255, 0))
    frames = [Frame(somebody, number / 10) for number in range(3)]  # confirmed, and fewer samples than a verdict needs
    frames += [Frame(green, 5.0 + number) for number in range(3)]

    class Film(Nothing):
        def read(self, timeout_seconds):
            super().read(timeout_seconds)
            return frames.pop(0) if frames else None

    with running(config, Film):
        until(lambda: household.on("image/last"))
    picture = cv2.imdecode(np.frombuffer(household.newest("image/last"), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture.shape == (112, 112, 3)
    assert np.abs(picture.reshape(-1, 3).mean(axis=0) - (0, 255, 0)).max() > 60


@pytest.mark.parametrize("trusted", [True, False])
def test_an_event_says_whether_the_clock_is_set(config, household, monkeypatch, trusted):
    monkeypatch.setattr("edge.system.clock.synchronized", lambda: False)
    config = replace(config, clock="trusted" if trusted else "system")
    monkeypatch.setattr("edge.system.clock.hardware_clock_agrees", lambda _now: False)
    with running(config, lambda: open_source(config.camera, loop=True)):
        assert household.next_event(0, event_type="unknown")["clock_set"] is trusted
