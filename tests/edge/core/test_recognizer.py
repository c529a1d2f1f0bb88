"""The product, told through its two calls: frames in, events out; commands in, replies out."""

import time
from dataclasses import replace

import numpy as np
import pytest

from edge.core.gallery import Gallery
from edge.core.quality import QualityRules
from edge.core.recognizer import Recognizer, RecognizerRules
from edge.core.thresholds import OneThreshold
from edge.core.types import Frame
from edge.errors import GalleryError, RefusedError
from edge.storage.gallery import SqliteGallery
from edge.storage.strangers import SqliteStrangers
from tests.edge.core.asking import (
    CancelEnrollment,
    CorrectEvent,
    EnrollImages,
    FinishEnrollment,
    ForgetExpired,
    IgnoreStranger,
    LabelStranger,
    ListPeople,
    ListStrangers,
    MergePeople,
    PurgeStrangers,
    RebuildGallery,
    RecognizeImage,
    RemovePerson,
    RenamePerson,
    SetPerson,
    StartEnrollment,
    SwitchRecognition,
    handle,
)
from tests.edge.core.fakes import ColourEmbedder, SquareDetector, square

RED, GREEN, BLUE, PINK = (255, 20, 20), (20, 255, 20), (20, 20, 255), (255, 20, 250)
MODEL = "a" * 64
EASY = QualityRules(face_px_min=20, sharpness_min=0, brightness_min=1)  # a square of one colour is never sharp


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gallery.db"


def open_door(path, embedder=None, model=MODEL, strangers=True, **rules):
    gallery, store = Gallery(model, OneThreshold(lambda _fmr: 0.3)), SqliteGallery(path, model, 3, clock_trusted=True)
    rules = RecognizerRules(EASY, **rules)
    kept = SqliteStrangers(store, strangers_max=3) if strangers else None
    return Recognizer(SquareDetector(), embedder or ColourEmbedder(), gallery, store, rules, kept)


@pytest.fixture
def door(path):
    return open_door(path)


def picture(*faces, shape=(240, 320)):
    image = np.full((*shape, 3), 40, dtype=np.uint8)
    for colour, left, top, size in faces:
        square(image, colour, left, top, size)
    return image


def watch(door, faces_at, seconds, start=0.0, fps=10):
    events = []
    for step in range(round(seconds * fps)):
        faces = faces_at(step / fps) if callable(faces_at) else faces_at
        events += door.process(Frame(picture(*faces), start + step / fps))
    return events


def walking(colour, top=80):
    return lambda at: [(colour, int(40 + 40 * at), top, 48)]


def said(events):
    return [(event.event_type, event.phase, event.name) for event in events]


def enrolled(door, **people):
    for name, colour in people.items():
        reply = handle(door, EnrollImages(name, [picture((colour, 100, 80, 60))]))
        assert reply.ok, reply.error
    return door


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


@pytest.mark.parametrize(
    ("faces", "code"),
    [
        ([()], "no_face"),
        ([((RED, 20, 60, 48), (GREEN, 150, 60, 48))], "multiple_faces"),
        ([((RED, 20, 60, 12),)], "too_small"),
        ([((RED, 20, 60, 48),), ((GREEN, 20, 60, 48),)], "different_people"),
        ([((BLUE, 20, 60, 48),)], "conflicts_with"),
        ([], "no_image"),
        ([((RED, 20, 60, 48),)] * 21, "no_image"),
    ],
)
def test_an_enrollment_is_refused_by_name_and_nothing_is_stored(door, faces, code):
    enrolled(door, bob=BLUE)
    reply = handle(door, EnrollImages("alice", [picture(*some) for some in faces]))
    assert not reply.ok
    assert reply.code == code
    assert reply.error
    assert [person["name"] for person in handle(door, ListPeople()).data["people"]] == ["bob"]


def test_a_refusal_says_how_large_the_face_was_and_what_is_needed(door):
    small = handle(door, EnrollImages("alice", [picture((RED, 20, 60, 12))]))
    assert "12 px" in small.error
    assert "20 px are needed" in small.error
    assert "320x240 px" in handle(door, EnrollImages("alice", [picture()])).error
    assert "40 to 48 px" in handle(door, EnrollImages("a", [picture((RED, 20, 60, 48), (GREEN, 150, 60, 40))])).error


def test_the_largest_of_several_is_enrolled_where_that_is_asked_and_somebody_far_does_not_count(door):
    two = picture((RED, 20, 60, 48), (GREEN, 150, 60, 40))
    (sample,) = door.samples("alice", [two], largest=True).samples
    assert sample.quality.face_px == pytest.approx(48)
    assert handle(door, EnrollImages("alice", [picture((RED, 20, 60, 48), (GREEN, 150, 60, 12))])).ok


def test_people_are_listed_renamed_and_forgotten(door, path):
    enrolled(door, alice=RED, bob=BLUE)
    assert handle(door, EnrollImages("ALICE", [picture(((255, 100, 20), 60, 60, 50))])).ok
    people = {person["name"]: person["templates"] for person in handle(door, ListPeople()).data["people"]}
    assert people == {"alice": 2, "bob": 1}
    assert handle(door, RenamePerson("alice", "bob")).code == "name_taken"
    assert handle(door, RenamePerson("carol", "dora")).code == "no_such_person"
    assert handle(door, RenamePerson("alice", "Alice")).ok
    assert handle(door, RemovePerson("bob")).ok
    assert handle(door, RemovePerson("bob")).code == "no_such_person"
    assert said(watch(door, walking(BLUE), 3)) == [("unknown", "new", None)]
    again = open_door(path)
    assert [person["name"] for person in handle(again, ListPeople()).data["people"]] == ["Alice"]


def looks(door, *colours):
    """What a live enrollment says to somebody of these colours, one after the other."""
    said = []
    for colour in colours:
        door.process(Frame(picture(*([(colour, 60, 60, 50)] if colour else [])), len(said) / 10))
        said += [(news.samples, news.reason) for news in door.progress()]
    return said


def test_somebody_is_enrolled_live_from_looks_that_differ(door):
    enrolled(door, bob=BLUE)
    assert handle(door, StartEnrollment("alice", 3)).data == {"shots": 0, "of": 3}
    assert handle(door, StartEnrollment("carol", 3)).code == "enrolling"
    assert looks(door, None, None, RED, RED, RED, (255, 90, 20)) == [
        (0, "no_face"),
        (1, None),
        (1, "too_similar"),  # said once
        (2, None),
    ]
    assert looks(door, GREEN, (255, 20, 90), RED) == [(2, "different_people"), (3, None)]  # then it has what it wants
    assert handle(door, FinishEnrollment()).data["templates"] == 3
    people = {person.name: person.templates for person in door.people.summaries()}
    assert people == {"bob": 1, "alice": 3}
    assert looks(door, RED) == []


def test_two_at_once_and_a_small_face_give_no_shot(door):
    handle(door, StartEnrollment("alice", 3))
    door.process(Frame(picture((RED, 20, 60, 48), (GREEN, 150, 60, 48)), 0.0))
    door.process(Frame(picture((RED, 20, 60, 12)), 0.1))
    assert [news.reason for news in door.progress()] == ["multiple_faces", "too_small"]


def test_somebody_who_is_known_is_not_enrolled_under_another_name(door):
    enrolled(door, bob=BLUE)
    handle(door, StartEnrollment("alice", 3))
    door.process(Frame(picture((BLUE, 60, 60, 50)), 0.0))
    (news,) = door.progress()
    assert news.refusal.code == "conflicts_with"
    assert "the person before the camera is bob" in str(news.refusal)
    assert door.live is None
    assert handle(door, StartEnrollment("bob", 3)).ok  # more of the same person


def test_a_live_enrollment_ends_with_what_there_is_or_with_nothing(door):
    assert handle(door, FinishEnrollment()).code == "not_enrolling"
    assert handle(door, CancelEnrollment()).code == "not_enrolling"
    assert handle(door, StartEnrollment("alice", 0)).code == "invalid"
    assert handle(door, StartEnrollment("unknown", 3)).code == "invalid"
    handle(door, StartEnrollment("alice", 3))
    assert handle(door, FinishEnrollment()).code == "timeout"
    handle(door, StartEnrollment("alice", 3))
    looks(door, RED)
    assert handle(door, CancelEnrollment()).data == {"name": "alice"}
    assert door.people.summaries() == []
    handle(door, StartEnrollment("alice", 3))
    looks(door, RED)
    assert handle(door, FinishEnrollment()).data["templates"] == 1


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


def test_two_names_of_one_person_become_one(door, path):
    enrolled(door, alice=RED, al=PINK, bob=BLUE)
    merged = handle(door, MergePeople("al", "Alice"))
    assert merged.data["templates"] == 2
    assert handle(door, MergePeople("al", "alice")).code == "no_such_person"
    assert handle(door, MergePeople("alice", "nemo")).code == "no_such_person"
    assert handle(door, MergePeople("alice", "alice")).code == "invalid"
    assert said(watch(door, walking(PINK), 2)) == [("recognized", "new", "alice")]
    assert {person.name: person.templates for person in open_door(path).people.summaries()} == {
        "alice": 2,
        "bob": 1,
    }


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


def visit(door, colour, start):
    """Somebody comes, and has gone again before the next one does."""
    events = watch(door, walking(colour), 2, start) + watch(door, [], 3, start + 2)
    assert [event.phase for event in events] == ["new", "end"]
    return events[0]


def strangers(door):
    return {told["stranger_id"]: told["sightings"] for told in handle(door, ListStrangers()).data["strangers"]}


def test_a_stranger_who_comes_again_is_the_same_stranger(door, path):
    first, other, again = visit(door, RED, 0), visit(door, GREEN, 10), visit(door, RED, 20)
    assert {event.event_type for event in (first, other, again)} == {"unknown"}
    assert first.stranger == again.stranger != other.stranger
    assert strangers(door) == {first.stranger: 2, other.stranger: 1}
    after = open_door(path)  # a restart
    assert visit(after, RED, 0).stranger == first.stranger
    assert handle(after, PurgeStrangers(other.stranger)).data == {"strangers": 1}
    assert handle(after, PurgeStrangers(other.stranger)).code == "no_such_stranger"
    assert strangers(after) == {first.stranger: 3}
    assert handle(after, PurgeStrangers()).ok
    assert strangers(after) == {}
    assert visit(after, RED, 10).stranger != first.stranger


def test_of_strangers_the_last_few_are_kept(door):
    met = [visit(door, colour, 10 * turn).stranger for turn, colour in enumerate((RED, GREEN, BLUE, (255, 255, 20)))]
    assert list(strangers(door)) == met[1:]


def test_nothing_of_strangers_is_kept_where_it_is_not_wanted(path):
    door = open_door(path, strangers=False)
    assert visit(door, RED, 0).stranger is None
    for command in (ListStrangers(), PurgeStrangers(), LabelStranger("u_1", "al"), IgnoreStranger("u_1", True)):
        assert handle(door, command).code == "strangers_not_kept"
    assert strangers(open_door(path)) == {}


def test_a_stranger_gets_a_name(door, path):
    stranger = visit(door, RED, 0).stranger
    assert handle(door, LabelStranger("u_0", "alice")).code == "no_such_stranger"
    assert handle(door, LabelStranger(stranger, "unknown")).code == "invalid"
    assert handle(door, LabelStranger(stranger, "alice")).data["templates"] == 1
    assert strangers(door) == {}
    assert visit(open_door(path), RED, 0).name == "alice"


def test_of_a_stranger_who_is_ignored_nothing_is_told_as_unknown(door):
    stranger = visit(door, RED, 0).stranger
    assert handle(door, IgnoreStranger(stranger, ignored=True)).data["ignored"]
    assert [event.event_type for event in (visit(door, RED, 10), visit(door, GREEN, 20))] == ["ignored", "unknown"]
    handle(door, IgnoreStranger(stranger, ignored=False))
    assert visit(door, RED, 30).event_type == "unknown"


def test_a_disk_that_cannot_be_written_does_not_stop_the_door(door, monkeypatch):
    def fail(*_):
        raise GalleryError("disk full")

    monkeypatch.setattr(door.people.strangers.store, "meet", fail)
    assert (visit(door, RED, 0).event_type, visit(door, RED, 10).stranger) == ("unknown", None)


def test_somebody_of_whom_nothing_is_to_be_told(door, path):
    enrolled(door, alice=RED)
    assert handle(door, SetPerson("alice", {"notify": False})).data["notify"] is False
    event = visit(open_door(path), RED, 0)
    assert (event.event_type, event.name) == ("ignored", "alice")


def test_a_guest_is_forgotten_when_their_time_is_over(door, path):
    assert handle(door, EnrollImages("guest", [picture((RED, 100, 80, 60))], expires=1000.0)).ok
    enrolled(door, alice=BLUE)
    assert visit(door, RED, 0).name == "guest"
    visit(door, GREEN, 10)
    never = 0.0
    assert handle(door, ForgetExpired(999.0, never)).data == {"people": [], "strangers": 0}
    assert handle(door, ForgetExpired(1001.0, never)).data == {"people": ["guest"], "strangers": 0}
    assert [person.name for person in open_door(path).people.summaries()] == ["alice"]
    assert visit(door, RED, 20).event_type == "unknown"
    assert len(strangers(door)) == 2
    assert handle(door, ForgetExpired(1001.0, time.time() + 60)).data == {"people": [], "strangers": 2}


def test_what_was_said_can_be_corrected(door, path):
    """Pink is near to red: the door takes Bob for Alice until it is told."""
    enrolled(door, alice=RED)
    taken = visit(door, (255, 100, 20), 0)
    assert taken.name == "alice"
    assert handle(door, CorrectEvent(taken, "Bob")).data["name"] == "Bob"
    assert [visit(door, colour, 10).name for colour in ((255, 100, 20),)] == ["Bob"]
    assert visit(open_door(path), RED, 0).name == "alice"


def test_a_look_can_be_nobodys(door, path):
    enrolled(door, alice=RED)
    taken = visit(door, (255, 100, 20), 0)
    assert handle(door, CorrectEvent(taken, None)).data == {"name": None, "not": "alice"}
    again = visit(open_door(path), (255, 100, 20), 0)
    assert (again.event_type, again.name) == ("unknown", None)
    assert handle(door, CorrectEvent(again, None)).code == "not_named"
    assert visit(door, RED, 20).name == "alice"
    handle(door, RemovePerson("alice"))
    assert handle(door, CorrectEvent(taken, None)).code == "not_named"


def test_names_that_are_alike_are_of_two_people(door):
    enrolled(door, Zoë=RED, Александр=BLUE)
    for name, look in (("Zoe", GREEN), ("Александра", PINK)):
        assert handle(door, EnrollImages(name, [picture((look, 60, 60, 50))])).ok
    assert {person.name for person in door.people.summaries()} == {"Zoë", "Александр", "Zoe", "Александра"}
    assert handle(door, RenamePerson("ZOË", "zoë")).ok
    assert handle(door, RenamePerson("Zoë", "Zoe")).code == "name_taken"
    assert handle(door, RenamePerson("Zoë", "Zoe!")).ok  # one's own name may be written otherwise


def test_whoever_has_a_name_that_none_can_have_any_more_is_renamed_or_removed(door):
    enrolled(door, alice=RED, bob=BLUE)
    for name in ("alice", "bob"):
        door.people.store.update(replace(door.gallery.find(name), name=f"{name}\x1b[31m"))
    door.reload()
    assert handle(door, RenamePerson("alice\x1b[31m", "alice")).ok
    assert handle(door, RemovePerson("BOB\x1b[31m")).ok
    assert handle(door, RemovePerson("bob\x1b[31m")).code == "invalid"
    assert [person.name for person in door.people.summaries()] == ["alice"]


def test_everybody_in_a_picture_is_answered_for(door):
    enrolled(door, alice=RED)
    faces = handle(door, RecognizeImage(picture((RED, 20, 60, 48), (GREEN, 150, 60, 48)))).data["faces"]
    assert sorted((face["name"] or "nobody") for face in faces) == ["alice", "nobody"]
    assert handle(door, RecognizeImage(picture())).data["faces"] == []


class TurnedEmbedder(ColourEmbedder):
    """Another model: the same people, elsewhere in space."""

    def embed(self, crop):
        return super().embed(crop)[[1, 2, 0]].copy()


def test_a_new_model_embeds_everybody_again(door, path):
    enrolled(door, alice=RED)
    newer = open_door(path, TurnedEmbedder(), "b" * 64, strangers=False)
    assert said(watch(newer, walking(RED), 3)) == [("unknown", "new", None)]
    assert handle(newer, RebuildGallery()).data == {"templates": 1, "without_picture": 0}
    assert said(watch(newer, [], 3, start=5)) == [("unknown", "end", None)]
    assert said(watch(newer, walking(RED), 2, start=10)) == [("recognized", "new", "alice")]
