"""What is decided of a track, by the samples together, against a real gallery of two people in the plane."""

import numpy as np
import pytest

from edge.core.gallery import Gallery
from edge.core.thresholds import OneThreshold
from edge.core.track import Track, TrackRules
from edge.core.types import Face, Person, Quality, Sample, Template

MODEL, TAU = "a" * 64, 1.0
CROP = np.zeros((112, 112, 3), np.uint8)
ALICE, BOB, STRANGER = 0.0, 120.0, 240.0  # degrees
RULES = TrackRules()


def at_angle(degrees):
    return np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], dtype=np.float32)


@pytest.fixture
def gallery():
    gallery = Gallery(MODEL, OneThreshold(lambda _fmr: TAU))
    people = [Person("p_a", "alice"), Person("p_b", "bob")]
    gallery.fill(
        people, [Template(person.person_id, person.person_id, at_angle(angle), MODEL) for person, angle in
                 zip(people, (ALICE, BOB), strict=True)]
    )  # fmt: skip
    return gallery


@pytest.fixture
def track():
    return Track(1, Face(np.array([0, 0, 40, 40], np.float32), 0.9, np.zeros((5, 2), np.float32)), 0.0, RULES)


def quality(score=1.0):
    return Quality(score, 200, 120, 80, 0)


class Door:
    """Adds samples to a track, as often as it wants them, and notes every verdict."""

    def __init__(self, track, gallery):
        self.track, self.gallery, self.at, self.said, self.sampled = track, gallery, 0.0, [], 0

    def see(self, degrees, seconds=0.3, score=1.0):
        for _ in range(round(seconds * 10)):
            if self.track.wants_sample(self.at):
                self.sampled += 1
                sample = Sample(CROP, at_angle(degrees), quality(score))
                if (verdict := self.track.add(sample, quality(score), self.at, self.gallery.identify)) is not None:
                    self.said.append(verdict.identity)
            self.at = round(self.at + 0.1, 1)
        return self


@pytest.fixture
def door(track, gallery):
    return Door(track, gallery)


def test_two_samples_together_within_tau_name(door):
    assert door.see(ALICE + 20).said == []
    assert door.see(ALICE - 20).said == ["p_a"]
    assert door.track.verdict.match.distance == pytest.approx(0, abs=1e-6)
    assert door.track.verdict.why == "2 samples together: d 0.00, within tau 1.00"
    assert door.track.verdict.votes == {"alice": 2}


def test_a_sample_that_no_one_would_name_alone_does_not_stand_against_the_others(door):
    door.see(ALICE).see(ALICE - 65)
    assert door.said == ["p_a"]
    assert door.track.verdict.votes == {"alice": 1, "unknown": 1}


def test_early_poor_samples_do_not_make_a_known_person_unknown(door):
    door.see(ALICE - 80, 0.9, score=0.3).see(ALICE, 0.9)
    assert door.said == ["p_a"]


def test_unknown_is_said_of_nobody_before_nine_samples(door):
    assert door.see(STRANGER, 2.4).said == []
    assert door.see(STRANGER, 0.3).said == [None]
    assert door.track.verdict.why == "9 samples together: d 3.00, beyond tau 1.00"


def test_where_nobody_is_enrolled_unknown_is_said_at_once(track):
    door = Door(track, Gallery(MODEL, OneThreshold(lambda _fmr: TAU)))
    assert door.see(STRANGER, 0.6).said == [None]
    assert door.track.verdict.why == "2 samples, and nobody is enrolled"


def test_who_was_unknown_is_named_when_the_newest_samples_say_so(door):
    door.see(STRANGER, 2.7).see(BOB, 1.5)
    assert door.said == [None, "p_b"]


def test_a_name_stays_through_poor_samples(door):
    door.see(ALICE, 0.6)
    door.see(ALICE - 65, 30)  # d 1.15: beyond tau, but not clearly
    assert door.said == ["p_a"]


def test_a_name_is_taken_back_where_the_newest_samples_speak_clearly_against_it(door):
    door.see(ALICE, 0.6).see(STRANGER, 10)
    assert door.said == ["p_a", None]


def test_two_people_whom_the_tracker_swapped_get_their_own_names(door):
    door.see(ALICE, 6).see(BOB, 10)
    assert door.said == ["p_a", "p_b"]


def test_one_sample_of_another_changes_nothing_but_is_looked_into_at_once(door):
    door.see(ALICE, 3.9)
    before = door.sampled
    door.see(BOB, 0.1)
    door.at = 7.0
    door.see(BOB, 0.1)
    assert door.track.in_doubt
    door.see(ALICE, 3.0)
    assert door.said == ["p_a"]
    assert not door.track.in_doubt
    assert door.sampled - before <= 4


def test_samples_of_one_moment_are_not_taken_twice(door):
    door.see(STRANGER, 1.0)
    assert door.sampled == 4  # at 0.0, 0.3, 0.6 and 0.9 s


def test_a_track_that_stays_unknown_is_looked_at_less_often(door):
    door.see(STRANGER, 60)
    assert door.said == [None]
    assert door.sampled < 40


def test_who_leaves_after_one_sample_is_not_named(door):
    door.see(ALICE, 0.1)
    assert door.track.finish().identity is None


def test_who_leaves_after_two_samples_apart_is_told_by_both(track, gallery):
    door = Door(track, gallery).see(STRANGER).see(STRANGER)
    assert door.said == []
    verdict = door.track.finish()
    assert (verdict.identity, verdict.votes) == (None, {"unknown": 2})
    assert door.track.finish() is None


def test_of_one_sample_among_refused_ones_nothing_is_told(door):
    door.see(STRANGER, 0.1)
    door.track.refuse(quality(0.2))
    assert door.track.finish() is None


def test_who_is_enrolled_while_there_is_named_at_the_next_sample(door):
    door.see(STRANGER, 6)
    person = Person("p_s", "sam")
    door.gallery.fill(
        [*door.gallery.people.values(), person],
        [*door.gallery.templates, Template("t_s", "p_s", at_angle(STRANGER), MODEL)],
    )
    door.track.update_people(door.gallery.people)
    door.see(STRANGER, 4)
    assert door.said == [None, "p_s"]


def test_nothing_is_kept_of_somebody_who_was_removed(door):
    door.see(ALICE, 3.9)
    door.track.update_people({})
    assert door.track.verdict.identity is None
    assert (door.track.verdict.sample, door.track.verdict.votes) == (None, {})
    assert door.track.finish() is None


def test_nothing_is_kept_of_somebody_removed_whom_no_sample_alone_named(door):
    door.see(ALICE + 65).see(ALICE - 65)
    assert (door.said, door.track.verdict.votes) == (["p_a"], {"bob": 1, "unknown": 1})
    door.track.update_people({"p_b": door.gallery.people["p_b"]})
    assert door.track._evidence.samples == []
    assert door.track.finish() is None


def test_a_long_track_keeps_a_bounded_number_of_samples(door):
    for minute in range(10):
        door.see(ALICE + (minute % 2) * 5, 60)
    assert door.sampled > 150
    assert door.track.verdict.identity == "p_a"
    assert len(door.track._evidence.samples) <= 60
