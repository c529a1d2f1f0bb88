"""Whole lives of tracks: they appear, are confirmed, decided, doubted, lost."""

import numpy as np
import pytest

from edge.core.tracker import Tracker, TrackRules
from edge.core.types import Face, Match, Person, Quality

ALICE, BOB = Person("p_a", "alice"), Person("p_b", "bob")
POINTS = np.zeros((5, 2), dtype=np.float32)


def face(left, top=50.0, size=40.0):
    return Face(np.array([left, top, left + size, top + size], dtype=np.float32), 0.9, POINTS)


def look(person, distance=0.4):
    return Match(person or ALICE, distance if person else 1.9, tau=1.0)


def quality(score=1.0):
    return Quality(score, 200, 120, 80, 0)


@pytest.fixture
def track():
    tracker = Tracker(TrackRules())
    tracker.update([face(10)], 0.0)
    (found,), _ = tracker.update([face(12)], 0.1)
    return found


def test_a_life(track):
    assert track.name == "t1"
    assert track.wants_sample(0.1)
    assert track.add(look(ALICE), quality(), 0.1) is None
    assert track.add(look(ALICE, 0.2), quality(), 0.2) is None
    verdict = track.add(look(None), quality(0.3), 0.3)
    assert verdict.identity == "p_a"
    assert verdict.best.match.distance == 0.2
    assert verdict.votes == {"alice": 2, "unknown": 1}
    assert verdict.why == "2 of 3 samples within tau"
    assert not track.wants_sample(1.0)
    assert track.wants_sample(3.4)
    assert track.add(look(ALICE), quality(), 3.4) is None
    assert not track.wants_sample(4.0)
    assert track.finish() is None


def test_a_flicker_is_never_shown():
    tracker = Tracker(TrackRules())
    assert tracker.update([face(10)], 0.0) == ([], [])
    assert tracker.update([], 0.5) == ([], [])
    present, (gone,) = tracker.update([], 1.6)
    assert present == []
    assert not gone.confirmed
    assert tracker.tracks == []


def test_a_stranger_is_nobody_we_know(track):
    for at in (0.1, 0.2):
        assert track.add(look(None), quality(), at) is None
    verdict = track.add(look(None), quality(), 0.3)
    assert verdict.identity is None
    assert verdict.why == "3 of 3 samples beyond tau of everybody"


def test_good_looks_weigh_more_than_bad_ones(track):
    track.add(look(ALICE), quality(1.0), 0.1)
    track.add(look(BOB), quality(0.2), 0.2)
    verdict = track.add(look(BOB), quality(0.2), 0.3)
    assert verdict.identity == "p_a"


def test_without_agreement_it_is_nobody_we_know(track):
    people = [ALICE, BOB, None] * 3
    verdicts = [track.add(look(person), quality(), 0.1 * number) for number, person in enumerate(people, 1)]
    assert verdicts[:-1] == [None] * 8
    assert verdicts[-1].identity is None
    assert verdicts[-1].votes == {"alice": 3, "bob": 3, "unknown": 3}


def test_one_wrong_look_changes_nothing_and_a_quorum_does(track):
    for at in (0.1, 0.2, 0.3):
        track.add(look(ALICE), quality(), at)
    assert track.add(look(None), quality(), 3.5) is None
    assert track.wants_sample(3.6)  # in doubt: looked at again at once
    assert track.add(look(ALICE), quality(), 3.6) is None
    assert track.add(look(ALICE), quality(), 3.7) is None  # agreed: still alice
    assert not track.wants_sample(3.8)
    for at in (7.0, 7.1):
        assert track.add(look(BOB), quality(), at) is None
    verdict = track.add(look(BOB), quality(), 7.2)
    assert verdict.identity == "p_b"
    assert track.verdict is verdict


def test_who_leaves_early_is_named_only_if_two_looks_agree(track):
    track.add(look(ALICE), quality(), 0.1)
    assert track.finish().identity is None
    other = Tracker(TrackRules())
    other.update([face(10)], 0.0)
    (second,), _ = other.update([face(10)], 0.1)
    for at in (0.1, 0.2):
        second.add(look(ALICE), quality(), at)
    assert second.finish().identity == "p_a"


def test_two_people_side_by_side_stay_apart():
    tracker = Tracker(TrackRules())
    names = {}
    for step in range(20):
        faces = [face(10 + 4 * step), face(200 - 3 * step, top=60)]
        present, _ = tracker.update(faces[:: 1 if step % 2 else -1], 0.1 * step)
        for track in present:
            names.setdefault(track.name, []).append(float(track.face.box[1]))
    assert {name: len(set(tops)) for name, tops in names.items()} == {"t1": 1, "t2": 1}


def test_a_quick_step_is_still_the_same_person_and_a_jump_is_another():
    tracker = Tracker(TrackRules())
    tracker.update([face(10)], 0.0)
    (track,), _ = tracker.update([face(38)], 0.1)
    assert track.name == "t1"
    tracker.update([face(200)], 0.2)
    (present,), _ = tracker.update([face(200)], 0.3)
    assert present.name == "t2"


def test_a_short_gap_is_bridged_and_a_long_one_is_not():
    tracker = Tracker(TrackRules())
    tracker.update([face(10)], 0.0)
    tracker.update([face(10)], 0.1)
    (again,), gone = tracker.update([face(12)], 1.0)
    assert (again.name, gone) == ("t1", [])
    present, (lost,) = tracker.update([face(12)], 2.1)
    assert lost.name == "t1"
    assert present == []  # it is a new one, not confirmed yet


def scored(left, score):
    return Face(face(left).box, score, POINTS)


def test_a_weak_face_continues_a_track_and_begins_none():
    tracker = Tracker(TrackRules())
    tracker.update([face(10)], 0.0, 0.77)
    for step in range(1, 20):
        (track,), lost = tracker.update([scored(10 + step, 0.5), scored(300, 0.6)], step / 10, 0.77)
        assert track.name == "t1"
        assert not lost
        assert [one.score for one in tracker.unclaimed] == [0.6]
    assert len(tracker.tracks) == 1
