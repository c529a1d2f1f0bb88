"""Strangers who come again, and corrections, at a door where people are squares of one colour."""

from edge.errors import GalleryError
from tests.edge.core.asking import (
    CorrectEvent,
    IgnoreStranger,
    LabelStranger,
    ListStrangers,
    PurgeStrangers,
    RemovePerson,
    handle,
)
from tests.edge.core.doors import BLUE, GREEN, RED, enrolled, open_door, strangers, visit


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
