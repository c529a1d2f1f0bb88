"""The product, told through its two calls: frames in, events out; commands in, replies out."""

import pytest

from edge.core.types import Frame
from edge.errors import GalleryError, RefusedError
from tests.edge.core.asking import (
    EnrollImages,
    RecognizeImage,
    RemovePerson,
    SetPerson,
    StartEnrollment,
    SwitchRecognition,
    handle,
)
from tests.edge.core.doors import BLUE, GREEN, RED, enrolled, open_door, picture, said, visit, walking, watch
from tests.edge.core.fakes import ColourEmbedder


def test_a_stranger_comes_is_enrolled_returns_and_another_stays_unknown(door):
    first = watch(door, walking(RED), 3)
    assert said(first) == [("unknown", "new", None)]
    left = watch(door, [], 3, start=3)
    assert said(left) == [("unknown", "end", None)]
    assert handle(door, EnrollImages("alice", [picture((RED, 50, 50, 60))])).data["templates"] == 1
    back = watch(door, walking(RED), 3, start=10) + watch(door, [], 3, start=13)
    assert said(back) == [("recognized", "new", "alice"), ("recognized", "end", "alice")]
    other = watch(door, walking(GREEN), 3, start=20) + watch(door, [], 3, start=23)
    assert said(other) == [("unknown", "new", None), ("unknown", "end", None)]
    (event, _) = back
    assert event.why == "2 samples together: d 0.00, within tau 0.30"
    assert event.votes == {"alice": 2}
    assert event.faces_in_frame == 1
    assert event.distance < event.tau
    assert 0 < event.box[0] < 1
    assert event.box[2] == pytest.approx(48 / 320)


def test_the_same_frames_say_the_same(path, tmp_path):
    stories = []
    for place in (path, tmp_path / "other.db"):
        door = enrolled(open_door(place), alice=RED, bob=BLUE)
        stories.append(watch(door, lambda at: [(RED, int(40 + 30 * at), 60, 48), (GREEN, 200, 150, 48)], 4))
    assert said(stories[0]) == said(stories[1])
    assert [event.why for event in stories[0]] == [event.why for event in stories[1]]


def test_three_people_at_once_get_a_verdict_each(door):
    enrolled(door, alice=RED, bob=BLUE)
    events = watch(door, [(RED, 20, 60, 48), (GREEN, 130, 60, 48), (BLUE, 240, 60, 48)], 3)
    assert sorted(said(events), key=str) == sorted(
        [("recognized", "new", "alice"), ("unknown", "new", None), ("recognized", "new", "bob")], key=str
    )
    assert {event.faces_in_frame for event in events} == {3}


def test_a_decided_track_is_looked_at_now_and_then_and_says_only_what_is_new(door):
    enrolled(door, alice=RED, bob=BLUE)
    embed, looks = door.embedder.embed, []
    door.embedder.embed = lambda crop: looks.append(1) or embed(crop)
    events = watch(door, [(RED, 100, 80, 60)], 10)
    assert said(events) == [("recognized", "new", "alice")]
    assert len(looks) <= 3 + 10 / 3
    changed = watch(door, [(BLUE, 100, 80, 60)], 5, start=10)
    assert said(changed) == [("recognized", "update", "bob")]
    assert said(watch(door, [(GREEN, 100, 80, 60)], 5, start=15)) == [("unknown", "update", None)]


def test_nobody_there_costs_next_to_nothing(door):
    watch(door, [], 20)
    assert door.detector.looks <= 1 + 20 / 5
    before = door.detector.looks
    watch(door, walking(RED), 2, start=20)
    assert door.detector.looks - before >= 19


def test_a_face_too_small_to_tell_is_said_to_be_so(door):
    events = watch(door, [(RED, 100, 80, 16)], 2) + watch(door, [], 2, start=2)
    assert [(event.event_type, event.phase) for event in events] == [("low_quality", "new")]
    assert "too small" in events[0].why
    assert "16 px" in events[0].why
    assert events[0].quality.face_px == pytest.approx(16)


def test_unknown_is_not_said_of_somebody_who_was_near_enough_for_one_sample(door):
    """Of 21 px in one frame, where 20 are needed, and smaller in all others."""
    sizes = [16, 16, 21, 16, 16, 16, 16]
    events = [
        event
        for step, size in enumerate(sizes)
        for event in door.process(Frame(picture((RED, 100, 80, size)), step / 10))
    ]
    events += watch(door, [], 3, start=1)
    assert [(event.event_type, event.phase) for event in events] == [("low_quality", "new")]


def test_a_face_that_is_not_clear_is_neither_named_nor_unknown(path):
    embedder = ColourEmbedder()
    door = open_door(path, embedder)
    enrolled(door, alice=RED)
    embedder.clarity = 0.7
    events = watch(door, walking(RED), 3) + watch(door, [], 2, start=3)
    assert [(event.event_type, event.phase) for event in events] == [("low_quality", "new")]
    assert "unclear" in events[0].why
    face = handle(door, RecognizeImage(picture((RED, 100, 80, 64)))).data["faces"][0]
    assert (face["name"], face["problem"]) == (None, "unclear")
    with pytest.raises(RefusedError, match=r"image 1: the face is unclear .*clarity 0\.70\); clarity 1 is needed"):
        door.enroll("bob", [picture((GREEN, 100, 80, 64))])
    door.start_enrollment("bob", 1)
    watch(door, [(GREEN, 100, 80, 64)], 1, start=10)
    assert [progress.reason for progress in door.progress()][-1] == "unclear"
    door.cancel_enrollment()
    embedder.clarity = 1.0
    assert said(watch(door, [], 3, start=12)) == [("low_quality", "new", None)]
    assert said(watch(door, walking(RED), 3, start=20)) == [("recognized", "new", "alice")]


def test_somebody_who_walks_behind_a_post_for_two_seconds_stays_one_track(door):
    enrolled(door, alice=RED)
    events = watch(door, [(RED, 20, 80, 48)], 1) + watch(door, [], 2, start=1) + watch(door, [(RED, 220, 90, 48)], 2, 3)
    assert said(events) == [("recognized", "new", "alice")]
    assert [track.name for track in door.tracker.tracks] == ["t1"]


def test_somebody_else_who_comes_within_that_time_is_another_track(door):
    enrolled(door, alice=RED)
    events = watch(door, [(RED, 20, 80, 48)], 1) + watch(door, [], 1.5, start=1)
    events += watch(door, [(GREEN, 20, 80, 48)], 3, 2.5)
    assert said(events) == [("recognized", "new", "alice"), ("recognized", "end", "alice"), ("unknown", "new", None)]
    assert {event.track for event in events} == {"t1", "t2"}


def test_somebody_small_in_a_large_frame_is_told(door):
    enrolled(door, alice=RED)
    frames = (Frame(picture((RED, 1500, 700, 48), shape=(1080, 1920)), step / 10) for step in range(20))
    assert said([event for frame in frames for event in door.process(frame)]) == [("recognized", "new", "alice")]


def test_the_face_is_cut_from_the_larger_picture(door):
    """Found at 320x240 where it has 16 px, told at 1280x960 where it has 64."""
    enrolled(door, alice=RED)
    small, large = picture((RED, 100, 80, 16)), picture((RED, 400, 320, 64), shape=(960, 1280))
    events = [event for step in range(10) for event in door.process(Frame(small, step / 10, large))]
    assert said(events) == [("recognized", "new", "alice")]
    assert events[0].quality.face_px == pytest.approx(64)


def test_somebody_is_undecided_from_when_they_are_seen_until_they_are_told_or_gone(door):
    enrolled(door, alice=RED)
    undecided = []
    for step in range(10):
        door.process(Frame(picture((RED, 100, 80, 60)), step / 10))
        undecided.append(door.tracker.undecided(step / 10))
    assert undecided == [False, True, True, True] + [False] * 6  # seen twice, sampled at 0.1 and 0.4 s
    watch(door, [(GREEN, 100, 80, 16)], 1, start=10)  # too small to be told
    assert door.tracker.undecided(10.9)
    watch(door, [], 2, start=11)
    assert not door.tracker.undecided(13)


def test_who_is_removed_while_they_stand_there_is_named_no_more(door):
    enrolled(door, alice=RED)
    assert said(watch(door, [(RED, 100, 80, 60)], 2)) == [("recognized", "new", "alice")]
    handle(door, RemovePerson("alice"))
    assert said(watch(door, [], 3, start=2)) == [("unknown", "end", None)]
    enrolled(door, bob=BLUE)
    watch(door, [(BLUE, 100, 80, 60)], 0.3, start=10)  # votes, and no verdict yet
    handle(door, RemovePerson("bob"))
    assert said(watch(door, [], 3, start=10.3)) in ([], [("unknown", "new", None), ("unknown", "end", None)])


def test_a_switch_that_could_not_be_written_is_not_switched(door, monkeypatch):
    def fail(*_):
        raise GalleryError("disk full")

    monkeypatch.setattr(door.store, "set", fail)
    with pytest.raises(GalleryError):
        handle(door, SwitchRecognition(on=False))
    assert door.recognizing
    monkeypatch.undo()
    assert handle(door, SwitchRecognition(on=False)).data == {"recognition": False}
    assert handle(door, StartEnrollment("alice", 3)).code == "recognition_off"
    assert watch(door, walking(RED), 2) == []


def test_somebody_has_a_tau_of_their_own(door, path):
    enrolled(door, alice=RED)
    near = (255, 90, 20)  # d 0.08 from RED; the gallery's tau is 0.3
    assert said(watch(door, walking(near), 2)) == [("recognized", "new", "alice")]
    assert handle(door, SetPerson("alice", {"tau": 0.05})).data["tau"] == 0.05
    watch(door, [], 2, start=5)
    assert said(watch(door, walking(near), 3, start=10)) == [("unknown", "new", None)]
    assert open_door(path).people.summaries()[0].tau == 0.05
    assert handle(door, SetPerson("alice", {"tau": None})).data["tau"] == 0.3
    assert handle(door, SetPerson("nemo", {"tau": 0.5})).code == "no_such_person"


def test_somebody_of_whom_nothing_is_to_be_told(door, path):
    enrolled(door, alice=RED)
    assert handle(door, SetPerson("alice", {"notify": False})).data["notify"] is False
    event = visit(open_door(path), RED, 0)
    assert (event.event_type, event.name) == ("ignored", "alice")


def test_everybody_in_a_picture_is_answered_for(door):
    enrolled(door, alice=RED)
    faces = handle(door, RecognizeImage(picture((RED, 20, 60, 48), (GREEN, 150, 60, 48)))).data["faces"]
    assert sorted((face["name"] or "nobody") for face in faces) == ["alice", "nobody"]
    assert handle(door, RecognizeImage(picture())).data["faces"] == []
