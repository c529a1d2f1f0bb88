"""Enrollment from pictures and before the camera, at a door where people are squares of one colour."""

import time
from dataclasses import replace

import pytest

from edge.core.types import Frame
from tests.edge.core.asking import (
    CancelEnrollment,
    EnrollImages,
    FinishEnrollment,
    ForgetExpired,
    ListPeople,
    MergePeople,
    RebuildGallery,
    RemovePerson,
    RenamePerson,
    StartEnrollment,
    handle,
)
from tests.edge.core.doors import (
    BLUE,
    GREEN,
    PINK,
    RED,
    TurnedEmbedder,
    enrolled,
    open_door,
    picture,
    said,
    strangers,
    visit,
    walking,
    watch,
)


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


def test_a_new_model_embeds_everybody_again(door, path):
    enrolled(door, alice=RED)
    newer = open_door(path, TurnedEmbedder(), "b" * 64, strangers=False)
    assert said(watch(newer, walking(RED), 3)) == [("unknown", "new", None)]
    assert handle(newer, RebuildGallery()).data == {"templates": 1, "without_picture": 0}
    assert said(watch(newer, [], 3, start=5)) == [("unknown", "end", None)]
    assert said(watch(newer, walking(RED), 2, start=10)) == [("recognized", "new", "alice")]
