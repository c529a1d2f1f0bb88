import pytest

from edge.runtime.bounded import BoundedDict


def test_a_key_beyond_the_limit_takes_the_place_of_the_oldest():
    bounded = BoundedDict[str, int](2)
    for number, key in enumerate("abac"):
        bounded[key] = number
    assert bounded == {"b": 1, "c": 3}


@pytest.mark.usefixtures("porch")
def test_topics_that_strangers_write_under_people_are_remembered_up_to_a_limit(porch, monkeypatch):
    people = porch.publisher.people
    monkeypatch.setattr(people._removed, "entries_max", 5)
    for number in range(20):
        people.hear(f"nobody-{number}", b"x", retained=False)
    assert len(people._removed) == 5
