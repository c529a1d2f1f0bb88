"""What was learned of somebody: bounded, undone by a correction, gone with the person or with what it rests on."""

import time
from contextlib import closing

import numpy as np
import pytest

from edge.core.events import Event
from edge.core.learning import LEARNED_MAX
from edge.core.origin import learned_from
from edge.core.types import Sample
from edge.errors import RefusedError
from edge.storage.archive import export
from tests.edge.core.learned import DAY, Porch, crop, turned

VISIT = "a" * 32


@pytest.fixture
def porch(path):
    return Porch(path)


def learn(porch, number=0, visit=None, distance=0.6):
    """A sample of Anna, learned so many days from now. Returns it."""
    sample = Sample(crop(number), turned(porch.anna, porch.somebody(), distance))
    visit = visit or f"{number:032x}"
    assert porch.people.upkeep.learn(porch.anna_id, sample, visit, time.time() + number * DAY)
    return sample


def ids(porch):
    return [one for one in porch.gallery.template_ids(porch.anna_id) if learned_from(one) is not None]


def event(sample, person_id, visit=VISIT):
    return Event("recognized", "new", "t1", 0.0, "Anna", person_id, "", sample=sample, visit=visit)


def test_at_most_three_are_kept_the_newest_and_what_people_gave_stays(porch):
    samples = [learn(porch, number) for number in range(LEARNED_MAX + 2)]
    assert [learned_from(one) for one in ids(porch)] == [f"{number:032x}" for number in (2, 3, 4)]
    np.testing.assert_array_equal(porch.learned(), [one.embedding for one in samples[2:]])
    assert porch.gallery.given_count(porch.anna_id) == 1
    assert porch.people.summary("Anna").learned == LEARNED_MAX


def test_one_a_day(porch):
    first = learn(porch)
    again = porch.people.upkeep.learn
    assert not again(porch.anna_id, first, VISIT, time.time() + DAY - 60)
    assert again(porch.anna_id, first, VISIT, time.time() + DAY + 60)
    assert again(porch.gallery.find("P1").person_id, first, VISIT, time.time())  # of another one


def test_after_a_restart_it_is_known_as_learned(porch, path):
    sample = learn(porch, visit=VISIT)
    porch.store.close()
    again = Porch(path)
    assert [learned_from(one) for one in ids(again)] == [VISIT]
    assert again.gallery.identify(sample.embedding).distance == pytest.approx(0, abs=1e-6)
    assert not again.people.upkeep.learn(again.anna_id, sample, VISIT, time.time() + 60)


@pytest.mark.parametrize("name", [None, "P1", "Somebody new"])
def test_a_correction_takes_back_what_was_learned_from_the_visit(porch, name):
    learn(porch, 0)
    learn(porch, 1, VISIT)
    other = Sample(crop(9), turned(porch.anna, porch.somebody(), 0.7))  # not the sample that was learned
    porch.people.correct(event(other, porch.anna_id), name)
    assert [learned_from(one) for one in ids(porch)] == [f"{0:032x}"]


def test_a_visit_that_is_corrected_while_it_goes_on_teaches_nothing(porch):
    sample = Sample(crop(9), turned(porch.anna, porch.somebody(), 0.7))
    porch.people.correct(event(sample, porch.anna_id), "Anna")
    assert not porch.people.upkeep.learn(porch.anna_id, sample, VISIT, time.time())


def test_who_confirms_a_visit_takes_nothing_back(porch):
    learn(porch, 0, VISIT)
    porch.people.correct(event(Sample(crop(9), turned(porch.anna, porch.somebody(), 0.7)), porch.anna_id), "anna")
    assert len(ids(porch)) == 1


def test_what_was_learned_by_a_template_goes_with_it(porch):
    """Of her two pictures one is of somebody else; what was learned by it is of them too."""
    wrong = porch.somebody()
    porch.people.add("Anna", [Sample(crop(0), wrong)])
    learn(porch, 0)
    at_the_other = Sample(crop(1), turned(wrong, porch.somebody(), 0.6))
    assert porch.people.upkeep.learn(porch.anna_id, at_the_other, VISIT, time.time() + 2 * DAY)
    given = [one for one in porch.gallery.template_ids(porch.anna_id) if learned_from(one) is None]
    assert porch.people.upkeep.remove(porch.anna_id, given[1]) == 2
    assert [learned_from(one) for one in ids(porch)] == [f"{0:032x}"]


def test_the_only_picture_that_people_gave_stays(porch):
    learn(porch)
    (given,) = set(porch.gallery.template_ids(porch.anna_id)) - set(ids(porch))
    with pytest.raises(RefusedError, match="the only one that people gave") as refused:
        porch.people.upkeep.remove(porch.anna_id, given)
    assert refused.value.code == "last_template"
    with pytest.raises(RefusedError, match="list them again"):
        porch.people.upkeep.remove(porch.gallery.find("P1").person_id, given)
    assert porch.people.upkeep.remove(porch.anna_id, *ids(porch)) == 1


def test_a_merge_and_an_export_keep_the_origin(porch, tmp_path):
    learn(porch, 0, VISIT)
    before = ids(porch)
    data, _ = porch.store.export()
    porch.people.merge("Anna", "P1")
    porch.anna_id = porch.gallery.find("P1").person_id
    assert [learned_from(one) for one in ids(porch)] == [VISIT]
    assert ids(porch) != before  # an id is of one person
    with closing(Porch(tmp_path / "other.db", others=0).store) as other:
        other.import_(data)
        _, templates = other.load()
        assert VISIT in {learned_from(one.template_id) for one in templates}


@pytest.mark.parametrize("how", ["the person", "the template", "a newer one"])
def test_no_byte_of_it_is_left(porch, tmp_path, how):
    porch.store.keep_crops = True
    embedding = learn(porch, 0).embedding.tobytes()
    on_disk = lambda: b"".join(file.read_bytes() for file in tmp_path.iterdir())  # noqa: E731 -- read again
    assert embedding in on_disk()
    if how == "the person":
        porch.people.remove("Anna")
    elif how == "the template":
        porch.people.upkeep.remove(porch.anna_id, *ids(porch))
    else:
        for number in range(1, LEARNED_MAX + 1):
            learn(porch, number)
    porch.store.checkpoint()
    assert embedding not in on_disk()
    assert export(porch.store)[0].count(embedding) == 0
