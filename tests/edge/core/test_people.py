"""Whom the household knows: what corrections, strangers and merges leave behind, and what of somebody is gone."""

import json
from contextlib import closing

import numpy as np

from edge.api.messages import event_message
from edge.core.thresholds import OneThreshold
from edge.core.types import Frame, Sample
from edge.storage.gallery import SqliteGallery
from edge.storage.strangers import SqliteStrangers
from tests.edge.core.asking import (
    CorrectEvent,
    EnrollImages,
    LabelStranger,
    ListStrangers,
    MergePeople,
    RebuildGallery,
    RecognizeImage,
    RemovePerson,
    RenamePerson,
    SetPerson,
    handle,
)
from tests.edge.core.doors import (
    BLUE,
    GREEN,
    MODEL,
    RED,
    TurnedEmbedder,
    enrolled,
    open_door,
    picture,
    said,
    visit,
    walking,
    watch,
)

LIKE_RED = (255, 100, 20)  # within tau of RED


def named(door, colour):
    (face,) = handle(door, RecognizeImage(picture((colour, 100, 80, 60)))).data["faces"]
    return face["name"]


def left(path):
    """Rows on the disk that hold a look."""
    with closing(SqliteGallery(path, MODEL, 3)) as db:
        return {
            table: db.value(f"SELECT count(*) FROM {table}")  # noqa: S608 -- our names
            for table in ("template", "negative", "stranger_template")
        }


def test_who_is_removed_is_nowhere_not_even_as_what_somebody_else_is_not(door, path):
    enrolled(door, alice=RED)
    taken = visit(door, LIKE_RED, 0)
    handle(door, CorrectEvent(taken, "Bob"))
    assert left(path) == {"template": 2, "negative": 1, "stranger_template": 0}
    assert handle(door, RemovePerson("Bob")).ok
    assert left(path) == {"template": 1, "negative": 0, "stranger_template": 0}


def test_who_came_as_a_stranger_and_is_known_is_no_stranger_any_more(door, path):
    visit(door, RED, 0)
    visit(door, GREEN, 10)
    enrolled(door, alice=RED)
    assert len(handle(door, ListStrangers()).data["strangers"]) == 1
    assert left(path)["stranger_template"] == 1
    handle(door, RemovePerson("alice"))
    assert left(path) == {"template": 0, "negative": 0, "stranger_template": 1}


def test_who_was_removed_by_another_process_is_no_stranger_here_either(door, path):
    enrolled(door, alice=RED)
    with closing(SqliteGallery(path, MODEL, 3)) as other:
        SqliteStrangers(other).meet(None, door.gallery.templates[0].embedding, picture()[:112, :112])
        other.remove(door.gallery.find("alice"))
    door.reload()
    assert left(path) == {"template": 0, "negative": 0, "stranger_template": 0}


def test_a_look_that_was_too_short_to_name_somebody_makes_no_stranger_of_them(door):
    enrolled(door, alice=RED)
    events = watch(door, walking(RED), 0.2) + door.flush(Frame(picture(), 2.0))
    assert said(events)[0] == ("unknown", "new", None)
    assert handle(door, ListStrangers()).data["strangers"] == []


def test_a_stranger_whom_another_process_purged_is_somebody_new(door, path):
    first = visit(door, RED, 0).stranger
    with closing(SqliteGallery(path, MODEL, 3)) as other:
        SqliteStrangers(other).purge()
    watch(door, walking(RED), 2, start=10)
    door.reload()
    assert first not in {one["stranger_id"] for one in handle(door, ListStrangers()).data["strangers"]}


def test_nobody_who_was_forgotten_is_named_as_the_next_likely(door):
    enrolled(door, alice=RED, bob=GREEN)
    (first,) = watch(door, walking(RED), 2)
    assert first.runner_up.name == "bob"
    handle(door, RemovePerson("bob"))
    (end,) = door.flush(Frame(picture(), 2.0))
    assert (end.name, end.runner_up, end.votes) == ("alice", None, {"alice": 2})


def test_of_somebody_unknown_nobody_is_named_as_the_nearest_or_the_next(door):
    enrolled(door, alice=RED, bob=GREEN)
    (first,) = watch(door, walking(BLUE), 4)
    assert (first.event_type, first.name, first.runner_up, first.margin) == ("unknown", None, None, None)
    assert first.distance > first.tau
    assert first.nearest_id in door.gallery.people  # for the history of the device alone
    assert "nearest_id" not in json.loads(event_message(first, "id", 1, "2026-11-22T08:30:05Z", "m").json())


def test_of_who_was_forgotten_while_there_no_look_is_kept(door):
    enrolled(door, alice=RED)
    watch(door, walking(RED), 2)
    handle(door, RemovePerson("alice"))
    (end,) = door.flush(Frame(picture(), 2.0))
    assert (end.name, end.sample, end.distance, end.votes) == (None, None, None, {})
    assert handle(door, CorrectEvent(end, "alice")).code == "no_look"


def test_who_was_removed_while_away_is_not_known_again_by_the_encoding_of_that_track(door):
    enrolled(door, alice=RED)
    watch(door, [(RED, 20, 80, 48)], 2)
    handle(door, RemovePerson("alice"))
    watch(door, [], 2, start=2)  # a track that has an encoding would be held for 2.5 s
    assert door.tracker.tracks == []
    watch(door, [(RED, 220, 90, 48)], 1, start=4)
    assert [track.name for track in door.tracker.tracks] == ["t2"]


def test_who_is_renamed_while_there_leaves_under_the_new_name(door):
    enrolled(door, alice=RED)
    watch(door, walking(RED), 2)
    handle(door, RenamePerson("alice", "Zed"))
    handle(door, SetPerson("Zed", {"notify": False}))
    (end,) = door.flush(Frame(picture(), 2.0))
    assert (end.event_type, end.name, end.votes) == ("ignored", "Zed", {"Zed": 2})


def test_a_correction_can_be_corrected(door):
    enrolled(door, alice=RED)
    taken = visit(door, LIKE_RED, 0)
    assert handle(door, CorrectEvent(taken, None)).ok
    assert named(door, LIKE_RED) is None
    assert handle(door, CorrectEvent(taken, "alice")).ok
    assert named(door, LIKE_RED) == "alice"
    unknown = visit(door, BLUE, 10)
    handle(door, CorrectEvent(unknown, "Bob"))
    handle(door, CorrectEvent(unknown, "Carol"))
    assert named(door, BLUE) == "Carol"
    assert {one.name: one.templates for one in door.people.summaries()} == {"alice": 2, "Bob": 0, "Carol": 1}
    assert handle(door, CorrectEvent(unknown, None)).data == {"name": None, "not": None}
    assert named(door, BLUE) is None


def test_two_names_of_one_person_do_not_speak_against_each_other(door):
    enrolled(door, Robert=RED)
    handle(door, CorrectEvent(visit(door, RED, 0), "Bob"))
    assert named(door, RED) == "Bob"
    assert handle(door, MergePeople("Robert", "Bob")).ok
    assert named(door, RED) == "Bob"


def test_a_stranger_is_not_given_the_name_of_somebody_else(door):
    """Tau is less for strangers, who are many, than for people, who are few: a stranger may be near to somebody."""
    stranger = visit(door, RED, 0).stranger
    door.people.strangers.remove_like = lambda _looks: None
    assert handle(door, EnrollImages("alice", [picture((RED, 100, 80, 60))])).ok
    refused = handle(door, LabelStranger(stranger, "Bob"))
    assert refused.code == "conflicts_with"
    assert handle(door, LabelStranger(stranger, "alice")).ok


def test_a_tau_of_ones_own_is_of_one_model(door, path):
    enrolled(door, alice=RED)
    handle(door, SetPerson("alice", {"tau": 0.05}))
    handle(door, RebuildGallery())
    assert door.gallery.find("alice").tau == 0.05
    newer = open_door(path, TurnedEmbedder(), "b" * 64)
    handle(newer, RebuildGallery())
    assert newer.gallery.find("alice").tau is None


def test_a_change_reads_those_alone_who_are_changed(door, monkeypatch):
    enrolled(door, alice=RED, bob=GREEN)

    def refused():
        raise AssertionError("everybody was read")

    monkeypatch.setattr(door.store, "load", refused)
    enrolled(door, carol=BLUE)
    assert handle(door, RenamePerson("carol", "Caro")).ok
    assert handle(door, SetPerson("Caro", {"tau": 0.3})).ok
    assert handle(door, MergePeople("bob", "alice")).ok
    assert handle(door, RemovePerson("Caro")).ok
    assert (named(door, RED), named(door, GREEN), named(door, BLUE)) == ("alice", "alice", None)
    monkeypatch.undo()
    before = door.people.summaries()
    door.reload()
    assert door.people.summaries() == before


def test_who_is_near_to_somebody_is_listed_with_them_and_a_stricter_tau(door):
    door.gallery.thresholds = OneThreshold(lambda _fmr: 1.0)
    enrolled(door, alice=RED, bob=BLUE)
    assert [person.relative for person in door.people.summaries()] == [None, None]
    crop = np.full((112, 112, 3), (255, 170, 20), np.uint8)
    door.people.add("carol", [Sample(crop, door.embedder.embed(crop))])
    alice, bob, carol = door.people.summaries()
    assert (alice.relative.name, carol.relative.name, bob.relative) == ("carol", "alice", None)
    assert alice.relative.distance == alice.tau == carol.tau < bob.tau
    handle(door, RemovePerson("carol"))
    assert door.people.summary("alice").relative is None


def test_a_page_is_full_and_the_list_goes_on_where_somebody_was_not_read_yet(door):
    """Another process enrolled bob, carol and dora meanwhile."""
    people = {name: door.store.add(name, [], []) for name in ("alice", "bob", "carol", "dora", "emil")}
    door.reload()
    for name in ("bob", "carol", "dora"):
        door.gallery.remove(people[name].person_id)
    ((first, mark),) = door.people.page(None, 1)
    assert first.name == "alice"
    assert [person.name for person, _ in door.people.page(mark, 1)] == ["emil"]
    assert [person.name for person, _ in door.people.page(None, 5)] == ["alice", "emil"]
