"""What a household asks over the months: of guests, of strangers, of mistakes."""

import base64
import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from edge.capture import open_source
from edge.config import StrangersConfig
from edge.runtime.assembly import Device
from edge.storage.strangers import SqliteStrangers
from tests.household import Nothing, base64_of, portrait_jpeg, running, until


def ask(household, verb, **fields):
    """Under a transaction of its own."""
    ask.count += 1
    return household.ask(verb, {"transaction": f"verbs-{ask.count}", **fields})


ask.count = 0


@pytest.fixture
def kept(config, household):
    """The porch, where strangers are kept and pictures given away."""
    config = replace(config, strangers=StrangersConfig(7.0), mqtt=replace(config.mqtt, snapshot=True))
    with running(config, lambda: open_source(config.camera, loop=True)) as service:
        until(lambda: household.on("status"))
        yield service


@pytest.mark.usefixtures("porch")
def test_who_is_known_from_now_on_and_who_no_longer_is_told_as_an_event(household):
    known = ask(household, "enroll/image", name="Eileen", images=[portrait_jpeg()])["data"]
    event = household.next_event(0, event_type="enrolled")
    assert (event["name"], event["person_id"], event["why"]) == ("Eileen", known["person_id"], "1 template added")
    assert (event["track"], event["box"], event["phase"]) == (None, None, "new")
    ask(household, "enroll/image", name="eileen", images=[base64_of(astronaut()[:300, 380:80:-1])])
    household.next_event(household.events().index(event) + 1, event_type="enrolled")
    ask(household, "person/rename", name="Eileen", new_name="Colonel")
    ask(household, "person/remove", name="Colonel")
    event = household.next_event(0, event_type="forgotten")
    assert (event["name"], event["person_id"]) == (None, known["person_id"])
    assert sum(event["event_type"] == "enrolled" for event in household.events()) == 2


def test_a_guest_is_forgotten_when_their_time_is_over(porch, household, monkeypatch):
    ask(household, "enroll/image", name="Guest", images=[portrait_jpeg()], ttl_days=1)
    expires = json.loads(household.newest("gallery"))["people"][0]["expires"]
    monkeypatch.setattr("edge.runtime.loop.time.time", lambda: expires + 1)
    porch._expire_at = 0.0
    assert household.next_event(0, event_type="forgotten")["person_id"].startswith("p_")
    until(lambda: json.loads(household.newest("gallery"))["people"] == [])
    after = Device.open(porch.config)
    assert after.store.load() == ([], [])
    after.store.close()


@pytest.mark.usefixtures("porch")
def test_of_whom_nothing_is_to_be_told_an_event_says_ignored(household):
    ask(household, "enroll/image", name="Eileen", images=[portrait_jpeg()])
    assert ask(household, "person/set", name="Eileen", notify=False)["data"]["notify"] is False
    assert household.next_event(0, event_type="ignored", phase="new")["name"] == "Eileen"


@pytest.mark.usefixtures("kept")
def test_a_stranger_who_comes_again_and_gets_a_name(household):
    first = household.next_event(0, event_type="unknown", phase="new")
    again = household.next_event(household.events().index(first) + 2, event_type="unknown", phase="new")
    assert first["stranger"] == again["stranger"]
    (stranger,) = ask(household, "unknown/list")["data"]["strangers"]
    assert (stranger["stranger_id"], stranger["ignored"]) == (first["stranger"], False)
    assert stranger["sightings"] >= 2
    assert stranger["first_seen"] < stranger["last_seen"]
    assert ask(household, "unknown/ignore", id=first["stranger"])["status"] == "ok"
    seen = len(household.events())
    ignored = household.next_event(seen, event_type="ignored", phase="new")
    assert (ignored["name"], ignored["stranger"]) == (None, first["stranger"])
    until(lambda: json.loads(household.newest("presence"))["people"] == [])  # nor does the sensor of strangers say so
    assert ask(household, "unknown/label", id=first["stranger"], name="Eileen")["data"]["templates"] >= 1
    seen = len(household.events())
    assert household.next_event(seen, event_type="recognized", phase="new")["name"] == "Eileen"
    assert ask(household, "unknown/purge")["data"] == {"strangers": 0}
    assert ask(household, "unknown/label", id="u_0", name="Bob")["code"] == "no_such_stranger"


@pytest.mark.usefixtures("porch")
def test_a_mistake_is_corrected_by_the_id_of_the_event(household):
    stranger = household.next_event(0, event_type="unknown", phase="new")
    assert stranger["stranger"] is None
    assert ask(household, "unknown/list")["code"] == "strangers_not_kept"
    assert ask(household, "event/correct", id=stranger["id"], name="Eileen")["data"]["templates"] == 1
    seen = len(household.events())
    named = household.next_event(seen, event_type="recognized", phase="new")
    assert named["name"] == "Eileen"
    assert ask(household, "event/correct", id=named["id"], name=None)["data"]["not"] == "Eileen"
    seen = len(household.events())
    nobody = household.next_event(seen, event_type="unknown", phase="new")
    assert ask(household, "event/correct", id=nobody["id"], name=None)["code"] == "not_named"
    assert ask(household, "event/correct", id="0" * 32, name=None)["code"] == "no_such_event"
    ask(household, "person/remove", name="Eileen")
    assert ask(household, "event/correct", id=named["id"], name="Eileen")["code"] == "no_such_event"


def test_what_the_camera_sees_now_is_given_away_only_where_that_is_wanted(kept, household):
    household.next_event(0, event_type="unknown", phase="new")
    answer = ask(household, "snapshot/get")
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(answer["data"]["image"]), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (480, 640, 3)
    assert len(answer["data"]["image"]) < 64 * 1024 * 4 / 3 + 4
    health = ask(household, "health/check")["data"]
    assert health["camera_ok"] is True
    assert health["ms"]["detect"]["p50"] > 0
    assert health.keys() == json.loads(household.newest("health")).keys()
    with closing(sqlite3.connect(kept.config.gallery.path)) as gallery:  # no picture stays on the disk
        rows = gallery.execute("SELECT count(*) FROM answer WHERE request = ?", (answer["transaction"],))
        assert rows.fetchone() == (0,)
    ask(household, "config/set", recognition=False)
    assert ask(household, "snapshot/get")["code"] == "recognition_off"


@pytest.mark.usefixtures("porch")
def test_no_picture_is_given_away_by_default(household):
    household.next_event(0, event_type="unknown", phase="new")
    assert ask(household, "snapshot/get")["code"] == "snapshot_off"


def test_in_a_privacy_zone_nobody_is_seen_nor_shown(config, household):
    """The footage's walk lies in the zone."""
    config = replace(
        config,
        camera=replace(config.camera, privacy_zones=((0.0, 0.2, 1.0, 0.8),)),
        mqtt=replace(config.mqtt, snapshot=True),
    )
    with running(config, lambda: open_source(config.camera, loop=True)) as service:
        until(lambda: service.running.watch.count > 80)
        answer = ask(household, "snapshot/get")
    assert household.events() == []
    assert answer["data"]["privacy_zones"] == [[0.0, 0.2, 1.0, 0.8]]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(answer["data"]["image"]), np.uint8), cv2.IMREAD_COLOR)
    assert picture[100:].max() < 10
    assert picture[:90].min() > 80


def test_what_was_kept_of_strangers_goes_when_it_is_not_wanted_any_more(config, household):
    wanted = replace(config, strangers=StrangersConfig(7.0))
    with running(wanted, lambda: open_source(wanted.camera, loop=True)):
        household.next_event(0, event_type="unknown", phase="new")
        assert len(ask(household, "unknown/list")["data"]["strangers"]) == 1
        Device.open(config).store.close()  # a command whose configuration does not say that they are kept
        assert len(ask(household, "unknown/list")["data"]["strangers"]) == 1
    with running(config, Nothing):
        pass
    again = Device.open(wanted)
    assert again.recognizer.people.strangers.list() == []
    assert (again.store.audit.records()[-1].verb, again.store.audit.records()[-1].who) == ("purge", "limen itself")
    again.store.close()


def test_strangers_that_cannot_be_purged_do_not_stop_the_start(config, household, caplog):
    first = Device.open(config)
    SqliteStrangers(first.store).meet(None, None, None)
    first.store.close()
    with closing(sqlite3.connect(config.gallery.path)) as raw:
        raw.execute("CREATE TRIGGER stays BEFORE DELETE ON stranger BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with running(config, Nothing):
        until(lambda: household.newest("status") == b"online")
    assert "strangers of an earlier configuration could not be removed: " in caplog.text
    assert "no room" in caplog.text
