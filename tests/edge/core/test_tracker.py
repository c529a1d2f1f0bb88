"""Which face of a frame is which of the frames before: tracks appear, are confirmed, bridged, lost."""

import numpy as np

from edge.core.track import TrackRules
from edge.core.tracker import Tracker
from edge.core.types import Face

POINTS = np.zeros((5, 2), dtype=np.float32)


def face(left, top=50.0, size=40.0):
    return Face(np.array([left, top, left + size, top + size], dtype=np.float32), 0.9, POINTS)


def test_a_flicker_is_never_shown():
    tracker = Tracker(TrackRules())
    assert tracker.update([face(10)], 0.0) == ([], [])
    assert tracker.update([], 0.5) == ([], [])
    present, (gone,) = tracker.update([], 1.6)
    assert present == []
    assert not gone.confirmed
    assert tracker.tracks == []


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
