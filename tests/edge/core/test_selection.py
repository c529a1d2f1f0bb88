"""Which of several pictures of one person become templates, in the plane."""

import numpy as np
import pytest

from edge.core.gallery import Gallery
from edge.core.selection import majority, select
from edge.core.thresholds import OneThreshold
from edge.core.types import Person, Sample, Template
from edge.errors import RefusedError

TAU = 1.0  # an angle of 60 degrees
THRESHOLDS = OneThreshold(lambda _fmr: TAU)


def at_angle(degrees):
    return np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], dtype=np.float32)


def samples(*degrees):
    return {number: Sample(np.zeros((0, 0, 3), np.uint8), at_angle(one)) for number, one in enumerate(degrees, 1)}


@pytest.fixture
def gallery():
    gallery = Gallery("m", THRESHOLDS)
    gallery.put(Person("p_m", "Maria"), [Template("e_m", "p_m", at_angle(0), "m")])
    return gallery


@pytest.mark.parametrize(
    ("degrees", "members"),
    [
        ([0], [True]),
        ([0, 50], [True, True]),
        ([0, 70], [False, False]),
        ([0, 20, 180], [True, True, False]),
        ([0, 90, 180], [False, False, False]),
        ([0, 0, 180, 180], [False] * 4),
        ([0, 40, 80], [True, True, True]),  # the two at the ends are 80 degrees apart, each is near to the mean
        ([100, 0, 20, 40], [False, True, True, True]),
    ],
)
def test_the_majority_that_belongs_together(degrees, members):
    assert majority(np.stack([at_angle(one) for one in degrees]), THRESHOLDS).tolist() == members


def test_the_one_of_somebody_else_is_named_and_the_others_are_taken(gallery):
    chosen = select("Anna", samples(200, 20, 210), gallery)
    assert [sample.embedding.tolist() for sample in chosen.samples] == [at_angle(200).tolist(), at_angle(210).tolist()]
    ((left,)) = chosen.left_out
    assert (left.image, left.code) == (2, "different_person")
    assert "image 2" in left.reason


def test_without_a_majority_nothing_is_taken(gallery):
    with pytest.raises(RefusedError, match="image 1 and image 3 are not of one person: d 4") as refused:
        select("Anna", samples(0, 90, 180), gallery)
    assert refused.value.code == "different_people"


def test_a_picture_that_is_there_already_is_not_taken_twice(gallery):
    chosen = select("maria", samples(0, 10, 10), gallery)
    assert [(one.image, one.code) for one in chosen.left_out] == [(1, "already_there"), (3, "already_there")]
    assert len(chosen.samples) == 1


def test_somebody_else_under_a_name_that_is_taken_is_refused_unless_it_is_insisted_on(gallery):
    with pytest.raises(RefusedError, match="not the Maria who is enrolled") as refused:
        select("MARIA", samples(150, 160), gallery)
    assert refused.value.code == "different_person"
    assert len(select("MARIA", samples(150, 160), gallery, force=True).samples) == 2
    assert len(select("Boris", samples(150, 160), gallery).samples) == 2
