"""The visits that a device keeps, asked for over a real broker."""

import base64
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from itertools import count

import cv2
import msgspec
import numpy as np
import pytest

from edge.api.requests.people import EnrollImages, RemovePerson
from edge.api.requests.visits import CorrectEvent, GetVisit, ListVisits, PurgeStrangers, RemoveVisit
from edge.capture import open_source
from edge.config import Config, GalleryConfig, HistoryConfig, StrangersConfig
from edge.core.events import Event
from edge.core.types import Frame, Quality, Sample
from edge.errors import RefusedError
from edge.runtime import executor
from edge.runtime.assembly import Device
from edge.runtime.context import DeviceContext
from edge.storage.history import SqliteHistory
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


def test_a_household_lists_names_and_removes_visits_also_after_a_restart(keeping, household, tmp_path, monkeypatch):
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
        removal = {"transaction": "history-removal", "id": named["id"]}
        with monkeypatch.context() as patched:
            patched.setattr("edge.runtime.history.ANSWER_SECONDS", 0.0)
            patched.setattr(SqliteHistory, "remove", lambda *_: time.sleep(0.5) or [])
            assert household.ask("event/remove", removal)["code"] == "busy"
        assert household.ask("event/remove", removal)["data"]["id"] == named["id"]
        assert ask(household, "event/get", id=named["id"])["code"] == "no_such_event"
        assert ask(household, "event/correct", id=named["id"], name="Ben")["code"] == "no_such_event"
        piece = base64.b64decode(found["crop"])[1200:1260]
        assert piece in on_disk(tmp_path)
        ask(household, "person/remove", name="Colonel")
        assert piece not in on_disk(tmp_path)
        assert first["id"] not in {one["id"] for one in visits(household)}


NOISE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)


class Home(DeviceContext):
    """A device on the disk, at whose door somebody may be, and whose broker takes what it takes."""

    most = None

    @property
    def answer_bytes_max(self):
        return self.most

    def see(self, event_id, crop, name=None, *, at=None, **more):
        person = None if name is None else self.recognizer.gallery.find(name)
        shape = {
            "event_type": "unknown" if person is None else "recognized",
            "phase": "new",
            "track": event_id,
            "at": 0.0,
            "name": name,
            "person_id": None if person is None else person.person_id,
            "why": "2 samples together",
            "votes": {name or "unknown": 2},
            "quality": Quality(0.8, 100.0, 100.0, 90.0, 0.0),
            "sample": Sample(crop, self.device.embedder.embed(crop)),
            "faces_in_frame": 1,
        }
        self.history.note(event_id, time.time() if at is None else at, True, Event(**shape | more), Frame(NOISE, 0.0))

    def ask(self, kind, **fields):
        return executor.carry_out(kind.new(**fields), self, "a test")

    def ids(self, **wanted):
        return [visit.id for visit in self.ask(ListVisits, **wanted).visits]


@pytest.fixture
def settings(tmp_path):
    return Config(
        clock="trusted",
        gallery=GalleryConfig(tmp_path / "gallery.db"),
        history=HistoryConfig(keep_hours=24, scene=True),
        strangers=StrangersConfig(7.0),
    )


@pytest.fixture
def home(settings):
    with closing(Device.open(settings)) as device:
        yield Home(settings, device)


@pytest.fixture
def crop():
    return np.ascontiguousarray(NOISE[:112, :112])


def test_a_broker_that_takes_little_gets_shorter_pages_and_smaller_pictures(home, crop):
    for number in range(8):
        home.see(f"v{number}", crop)
    whole = home.ask(GetVisit, id="v0")
    assert (whole.visit.crop, whole.visit.scene) == (True, True)
    assert len(base64.b64decode(whole.scene)) > 20_000
    for most in (30_000, 8_000, 2_500):
        home.most = most
        found = home.ask(GetVisit, id="v0")
        assert len(msgspec.json.encode(found)) <= most
        assert found.crop is not None or most < 8_000
        assert found.scene is None or picture(found.scene).shape[1] <= 480
        pages, after = [], msgspec.UNSET
        while not pages or after is not msgspec.UNSET:
            page = home.ask(ListVisits, crops=True, after=after)
            pages.append([visit.id for visit in page.visits])
            after = page.next
            assert len(msgspec.json.encode(page)) <= most or len(page.visits) == 1
        assert [one for page in pages for one in page] == [f"v{number}" for number in range(7, -1, -1)]
        assert len(pages) > 1


def test_visits_that_are_damaged_do_not_end_the_list(home, crop):
    for number in range(10):
        home.see(f"v{number}", crop)
    assert len(home.ids()) == 10
    with closing(sqlite3.connect(home.config.gallery.path.with_name("history.db"))) as db, db:
        db.execute("UPDATE visit SET told = x'7b' WHERE id IN ('v8', 'v3', 'v2', 'v1')")
    pages, after = [], msgspec.UNSET
    while not pages or after is not msgspec.UNSET:
        page = home.ask(ListVisits, limit=3, after=after)
        pages.append([visit.id for visit in page.visits])
        after = page.next
    assert pages == [["v9", "v7", "v6"], ["v5", "v4", "v0"]]


def test_who_is_removed_by_a_command_leaves_the_history_too(home, tmp_path):
    home.ask(EnrollImages, name="Eileen", images=[portrait_jpeg()])
    (template,) = (crop for _, crop in home.store.crops())
    home.see("v0", template, "Eileen")
    home.see("v1", template[:, ::-1].copy())  # she was not recognized
    home.see("v2", np.ascontiguousarray(NOISE[:112, :112]))
    piece = base64.b64decode(home.ask(GetVisit, id="v1").crop)[1200:1260]
    assert piece in on_disk(tmp_path)
    home.ask(RemovePerson, name="Eileen")
    assert piece not in on_disk(tmp_path)
    assert home.ids() == ["v2"]
    assert home.ask(GetVisit, id="v2").scene is None  # she may be in it


ENDS_AFTER_THE_REMOVAL = """
import os, signal, sys
from pathlib import Path
from edge.api.requests.people import RemovePerson
from edge.config import Config, GalleryConfig, HistoryConfig
from edge.runtime import executor
from edge.runtime.assembly import Device
from edge.runtime.context import DeviceContext
config = Config(clock="trusted", gallery=GalleryConfig(Path(sys.argv[1])), history=HistoryConfig(keep_hours=24))
executor.finish_erasure = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with Device.open(config) as device:
    executor.carry_out(RemovePerson.new(name="Eileen"), DeviceContext(config, device), "a test")
"""


def test_a_device_that_ends_right_after_a_removal_erases_who_looks_like_them_when_it_starts_again(
    home, settings, tmp_path
):
    home.ask(EnrollImages, name="Eileen", images=[portrait_jpeg()])
    (template,) = (crop for _, crop in home.store.crops())
    home.see("v0", template, "Eileen")
    home.see("v1", template[:, ::-1].copy())  # she was not recognized
    home.see("v2", np.ascontiguousarray(NOISE[:112, :112]))
    assert home.ids() == ["v2", "v1", "v0"]
    own = home.device.embedder.embed(template).tobytes()[:64]
    piece = base64.b64decode(home.ask(GetVisit, id="v1").crop)[1200:1260]
    home.device.close()
    ended = subprocess.run([sys.executable, "-c", ENDS_AFTER_THE_REMOVAL, str(settings.gallery.path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert piece in on_disk(tmp_path)
    for _start in range(2):  # at the second there is nothing left to do
        with closing(Device.open(settings)) as device:
            again = Home(settings, device)
            assert not again.people.gallery.people
            again.history.start()
            again.history.tick()
            until(again.history._working.done)
            again.history.tick()
            assert again.ids() == ["v2"]
            assert again.store.removed.load(())[0] == set()
    assert piece not in on_disk(tmp_path)
    assert own not in b"".join(file.read_bytes() for file in tmp_path.glob("gallery.db*"))


def test_what_could_not_be_erased_is_known_until_it_is(home, monkeypatch):
    """Also where other work on the file succeeds meanwhile."""
    home.ask(EnrollImages, name="Eileen", images=[portrait_jpeg()])
    (template,) = (crop for _, crop in home.store.crops())
    home.see("v0", template)
    assert home.ids() == ["v0"]
    with monkeypatch.context() as patched:
        patched.setattr(SqliteHistory, "erase_all_but", lambda *_: 1 / 0)
        with pytest.raises(RefusedError, match="ZeroDivisionError"):
            home.ask(RemovePerson, name="Eileen")
    home.history.tick()  # it purges, but is not to erase yet
    until(home.history._working.done)
    home.history.tick()
    assert home.ids() == ["v0"]
    home.history.erase({}, {})
    assert home.ids() == []
    assert home.store.removed.load(())[0] == set()


def test_who_was_removed_elsewhere_leaves_the_history_here(home, tmp_path):
    """As another camera of the household removes somebody: the gallery has changed, and says no more of whom."""
    home.ask(EnrollImages, name="Eileen", images=[portrait_jpeg()])
    (template,) = (crop for _, crop in home.store.crops())
    home.see("v0", template)  # she was not recognized
    piece = base64.b64decode(home.ask(GetVisit, id="v0").crop)[1200:1260]
    home.store.remove(home.recognizer.gallery.find("Eileen"))
    home.recognizer.reload()
    home.history.erase({}, {})
    assert home.ids() == []
    assert piece not in on_disk(tmp_path)


def test_what_cannot_be_told_yet_is_busy(home, crop):
    home.see("v0", crop)
    assert home.ids() == ["v0"]
    home.history._working = Future()
    with pytest.raises(RefusedError, match="ask again") as refused:
        home.ids()
    assert (refused.value.code, refused.value.retry_after_seconds) == ("busy", 2.0)
    home.history._working.set_result(None)
    assert home.ids() == ["v0"]


def test_the_visits_of_a_stranger_who_is_purged_go_too(home, crop):
    stranger = home.people.strangers.store.meet(None, home.device.embedder.embed(crop), crop)
    home.people.strangers.reload()
    home.see("v0", crop, stranger=stranger)
    home.see("v1", crop)
    assert home.ids(stranger=stranger) == ["v0"]
    home.ask(PurgeStrangers, id=stranger)
    assert home.ids() == ["v1"]


def test_what_was_removed_does_not_come_back_with_the_next_event_of_its_track(home, crop):
    stranger = home.people.strangers.store.meet(None, home.device.embedder.embed(crop), crop)
    home.people.strangers.reload()
    home.see("v0", crop)
    home.see("v1", crop, stranger=stranger)
    home.see("v2", crop)
    assert home.ask(RemoveVisit, id="v0").id == "v0"
    home.ask(PurgeStrangers, id=stranger)
    for number in range(3):
        home.see(f"u{number}", crop, track=f"v{number}", phase="update")
        home.see(f"e{number}", crop, track=f"v{number}", phase="end")
    assert home.ids() == ["v2"]
    assert home.ask(GetVisit, id="e2").visit.id == "v2"
    home.see("v3", crop, track="v0")
    assert home.ids() == ["v3", "v2"]


def test_a_visit_whose_removal_was_cut_short_is_removed_when_that_is_asked_for_again(home):
    home.ask(EnrollImages, name="Eileen", images=[portrait_jpeg()])
    (template,) = (crop for _, crop in home.store.crops())
    home.see("v0", template, "Eileen")
    eileen, sample = home.people.summary("Eileen").person_id, Sample(template, home.device.embedder.embed(template))
    assert home.people.upkeep.learn(eileen, sample, "v0", time.time())
    assert home.history.remove("v0") == ["v0"]  # and the device ended
    assert home.ask(RemoveVisit, id="v0").id == "v0"
    assert home.people.summary("Eileen").learned == 0
    with pytest.raises(RefusedError, match="no visit that is kept"):
        home.ask(RemoveVisit, id="v0")


def test_a_correction_made_of_a_stored_picture_enrolls_the_face(home):
    home.ask(EnrollImages, name="Eileen", images=[portrait_jpeg()])
    (face,) = (crop for _, crop in home.store.crops())
    home.see("v0", face, "Eileen")
    before = home.device.embedder.embed(face)
    home.device.history.close()
    assert home.ask(CorrectEvent, id="v0", name="Ben").templates == 1
    ben = home.people.summary("Ben").person_id
    np.testing.assert_array_equal(home.recognizer.gallery.embeddings_of(ben)[0], before)
    *_, stored = (crop for _, crop in home.store.crops())
    assert 2 - 2 * float(before @ home.device.embedder.embed(stored)) < 0.05
    assert home.ids(name="Ben") == ["v0"]


def test_where_the_history_is_turned_off_only_samples_of_enrolled_people_stay(home, settings, crop, tmp_path):
    home.ask(EnrollImages, name="Eileen", images=[portrait_jpeg()])
    home.see("v0", crop, "Eileen")
    home.see("v1", np.ascontiguousarray(crop[::-1]))
    pieces = [base64.b64decode(home.ask(GetVisit, id=one).crop)[1200:1260] for one in ("v0", "v1")]
    scene = base64.b64decode(home.ask(GetVisit, id="v0").scene)[1200:1260]
    home.device.close()
    off = replace(settings, history=HistoryConfig())
    with closing(Device.open(off)) as device:
        device.history.tick()
        again = Home(off, device)
        assert again.history.event("v0").name == "Eileen"
        assert [piece in on_disk(tmp_path) for piece in (*pieces, scene)] == [True, False, False]
        again.see("v2", crop)
        with pytest.raises(RefusedError, match=r"history\.keep_hours"):
            again.ids()
        with pytest.raises(RefusedError, match="no visit that is kept"):
            again.history.event("v2")
        assert again.ask(CorrectEvent, id="v0", name=None).not_ == "Eileen"
        with pytest.raises(RefusedError, match="no visit that is kept"):  # a stranger, of whom nothing is kept
            again.history.event("v0")
        again.see("v3", crop, "Eileen")
        assert again.ask(CorrectEvent, id="v3", name=None).not_ == "Eileen"
        again.see("v4", crop, "Eileen", track="v3", phase="update")
        with pytest.raises(RefusedError, match="no visit that is kept"):
            again.history.event("v4")


def test_what_cannot_be_read_of_a_visit_is_left_out(home, crop):
    for number in range(3):
        home.see(f"v{number}", crop)
    assert len(home.ids()) == 3
    home.device.history._file.ask(
        lambda file: file.execute("UPDATE visit SET told = iif(id = 'v0', x'ff', x'7b7d') WHERE id != 'v1'")
    ).result()
    assert home.ids() == ["v1"]
    with pytest.raises(RefusedError, match="no visit that is kept"):
        home.ask(GetVisit, id="v0")
    assert home.ask(ListVisits, after="9" * 18).visits[0].id == "v1"


def test_a_file_that_turns_out_to_be_damaged_is_set_aside(home, crop, tmp_path, caplog):
    home.see("v0", crop)
    home.device.history.close()
    with (tmp_path / "history.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"x" * 40_000)
    with pytest.raises(RefusedError, match="malformed"):
        home.ids()
    assert "history.db.damaged-1" in caplog.text
    home.see("v1", crop)
    assert home.ids() == ["v1"]


def test_a_disk_that_stalls_keeps_no_frame_waiting(home, crop, monkeypatch):
    goes_on, add = threading.Event(), SqliteHistory.add
    monkeypatch.setattr(SqliteHistory, "add", lambda file, notes: goes_on.wait(30) and add(file, notes))
    for number in range(100):
        home.see(f"v{number}", crop)
        home.history.tick()
    assert not home.history._working.done()
    goes_on.set()
    until(home.history._working.done)
    kept = home.ids(limit=200)
    assert kept == [f"v{number}" for number in range(len(kept) - 1, -1, -1)]
    assert 64 <= len(kept) < 100  # those that came when no more could wait are lost


def test_who_is_recognized_unsure_and_recognized_again_within_one_writing_jams_nothing(home, settings, crop):
    home.ask(EnrollImages, name="Eileen", images=[portrait_jpeg()])
    home.device.close()
    off = replace(settings, history=HistoryConfig())
    with closing(Device.open(off)) as device:
        again = Home(off, device)
        again.see("v0", crop, "Eileen")
        again.see("v1", crop, track="v0", phase="update")
        again.see("v2", crop, "Eileen", track="v0", phase="update")
        assert again.history.event("v2").name == "Eileen"
        assert again.history.problem is None
        again.see("v3", crop, "Eileen", faces_in_frame=2**70)
        again.see("v4", crop, "Eileen")
        assert again.history.event("v4").name == "Eileen"
        assert again.history.problem.startswith("1 event not kept in the visits, or not whole, the newest: event v3: ")


def test_whatever_goes_wrong_with_the_file_is_refused_and_the_device_goes_on(home, crop):
    home.see("v0", crop)
    home.see("v1", crop, sample=Sample(np.zeros(0, np.uint8), np.zeros(128, np.float32)))  # no picture can be made
    assert home.ids() == ["v1", "v0"]
    assert "event v1: no pictures: " in home.history.problem
    home.history._file.ask(lambda file: file.execute("UPDATE visit_picture SET embedding = x'00112233445566'")).result()
    assert home.history.event("v0").sample.embedding.shape == (128,)

    def fail(_file):
        raise MemoryError("no room")

    with pytest.raises(RefusedError, match=r"history\.db failed: MemoryError: no room") as refused:
        home.history._asked(fail, None)
    assert refused.value.code == "storage"
    home.history._working = home.history._file.ask(fail)
    until(home.history._working.done)
    home.history.tick()
    assert "MemoryError" in home.history.problem


def test_frames_that_wait_for_a_disk_that_stalls_are_few(home, crop):
    goes_on = threading.Event()
    stalled = home.history._file.ask(lambda _file: goes_on.wait(30))
    before = sys.getrefcount(NOISE)
    for number in range(20):
        home.see(f"v{number}", crop)
    assert sys.getrefcount(NOISE) - before <= 4
    goes_on.set()
    stalled.result()
    assert [visit.scene for visit in home.ask(ListVisits).visits] == [False] * 16 + [True] * 4
    home.see("v20", crop)
    assert home.ask(GetVisit, id="v20").visit.scene


def test_what_was_refused_as_busy_is_not_done_later(home, crop, monkeypatch):
    home.see("v0", crop)
    assert home.ids() == ["v0"]
    goes_on = threading.Event()
    stalled = home.history._file.ask(lambda _file: goes_on.wait(30))
    monkeypatch.setattr("edge.runtime.history.ANSWER_SECONDS", 0.05)
    with pytest.raises(RefusedError, match="ask again"):
        home.ask(RemoveVisit, id="v0")
    goes_on.set()
    stalled.result()
    monkeypatch.undo()
    assert home.ids() == ["v0"]
