"""The visits that a device keeps, asked for over a real broker."""

import base64
from dataclasses import replace
from itertools import count

import cv2
import numpy as np
import pytest

from edge.capture import open_source
from edge.config import HistoryConfig
from tests.household import portrait_jpeg, running, until

transactions = count()


def ask(household, verb, **fields):
    """Under a transaction of its own."""
    return household.ask(verb, {"transaction": f"history-{next(transactions)}", **fields})


def picture(text):
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)


def visits(household, **wanted):
    return ask(household, "event/list", **wanted)["data"]["visits"]


def on_disk(folder):
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.name.startswith("history.db"))


@pytest.fixture
def keeping(config):
    return replace(config, history=HistoryConfig(keep_hours=24, scene=True))


def test_a_household_lists_names_and_removes_visits_also_after_a_restart(keeping, household, tmp_path):
    source = lambda: open_source(keeping.camera, loop=True)  # noqa: E731 -- read again at each start
    with running(keeping, source):
        first = household.next_event(0, event_type="unknown", phase="new")
        household.next_event(0, phase="end")
        visit = until(lambda: next((one for one in visits(household) if one["end"] is not None), None))
        assert (visit["id"], visit["begin"], visit["name"]) == (first["id"], first["ts"], None)
        assert {key: visit[key] for key in ("why", "quality", "box", "distance")} == {
            key: first[key] for key in ("why", "quality", "box", "distance")
        }
        assert (visit["crop"], visit["scene"]) == (True, True)
        found = ask(household, "event/get", id=first["id"])["data"]
        assert found["visit"] == visit
        assert picture(found["crop"]).shape == (112, 112, 3)
        assert picture(found["scene"]).shape == (360, 480, 3)
    with running(keeping, source):
        until(lambda: household.newest("status") == b"online")
        seen = len(household.events())
        assert ask(household, "event/correct", id=first["id"], name="Eileen")["data"]["templates"] == 1
        named = household.next_event(seen, event_type="recognized", phase="new")
        household.next_event(household.events().index(named), phase="end")
        ask(household, "person/rename", name="Eileen", new_name="Colonel")
        page = ask(household, "event/list", name="colonel", limit=1, crops=True)["data"]
        assert [one["name"] for one in page["visits"]] == ["Colonel"]
        assert picture(page["crops"][page["visits"][0]["id"]]).shape == (112, 112, 3)
        corrected = visits(household, name="Colonel", after=page["next"])[-1]
        assert (corrected["id"], corrected["corrected"], corrected["event_type"]) == (first["id"], True, "recognized")
        assert visits(household, until="2020-01-01T00:00:00Z") == []
        assert ask(household, "event/list", since="2020-01-01")["code"] == "invalid"
        assert ask(household, "event/list", name="Ben")["code"] == "no_such_person"
        assert ask(household, "event/remove", id=named["id"])["data"]["id"] == named["id"]
        assert ask(household, "event/get", id=named["id"])["code"] == "no_such_event"
        piece = base64.b64decode(found["crop"])[1200:1260]
        assert piece in on_disk(tmp_path)
        ask(household, "person/remove", name="Colonel")
        assert piece not in on_disk(tmp_path)
        assert first["id"] not in {one["id"] for one in visits(household)}


def test_without_a_history_a_correction_still_outlives_a_restart(config, household):
    source = lambda: open_source(config.camera, loop=True)  # noqa: E731 -- as above
    with running(config, source):
        stranger = household.next_event(0, event_type="unknown", phase="new")
        household.next_event(0, phase="end", track=stranger["track"])
        assert ask(household, "event/list")["code"] == "history_off"
        ask(household, "enroll/image", name="Eileen", images=[portrait_jpeg()])
        named = household.next_event(0, event_type="recognized", phase="new")
    with running(config, source):
        until(lambda: household.newest("status") == b"online")
        assert ask(household, "event/correct", id=stranger["id"], name="Eileen")["code"] == "no_such_event"
        assert ask(household, "event/correct", id=named["id"], name=None)["data"]["not"] == "Eileen"
        ask(household, "person/remove", name="Eileen")
        assert ask(household, "event/correct", id=named["id"], name="Eileen")["code"] == "no_such_event"
