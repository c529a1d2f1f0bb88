"""What is found in a gallery in the plane."""

import numpy as np
import pytest

from edge.core.checkup import check_gallery
from edge.core.gallery import Gallery
from edge.core.thresholds import OneThreshold
from edge.core.types import Person, Template


def gallery_of(**degrees):
    gallery = Gallery("m", OneThreshold(lambda fmr: {1e-2: 1.0, 1e-3: 0.6}.get(fmr, 0.3)))
    for name, several in degrees.items():
        looks = [np.array([np.cos(np.deg2rad(one)), np.sin(np.deg2rad(one))], np.float32) for one in several]
        gallery.put(
            Person(name, name.title()), [Template(f"{name}{n}", name, look, "m") for n, look in enumerate(looks)]
        )
    return gallery


def found(gallery):
    return [(one.kind, one.name, one.other, one.template_id) for one in check_gallery(gallery)]


def test_nothing_is_found_where_nothing_is_amiss():
    assert found(gallery_of()) == []
    assert found(gallery_of(anna=[0, 10], bob=[120, 130])) == []


def test_who_has_one_template_or_none_is_named():
    assert found(gallery_of(anna=[0], bob=[])) == [
        ("one_template", "Anna", None, None),
        ("no_template", "Bob", None, None),
    ]


@pytest.mark.parametrize(("degrees", "outliers"), [([0, 10, 180], ["anna2"]), ([0, 180], [None]), ([0, 40, 80], [])])
def test_a_template_far_from_the_others_of_the_person_is_named(degrees, outliers):
    assert found(gallery_of(anna=degrees)) == [("outlier", "Anna", None, one) for one in outliers]


def test_two_people_who_are_alike_are_named_once_the_nearest_pair_first():
    gallery = gallery_of(anna=[0, 2], bob=[30, 32], carol=[181, 180], dora=[190, 191])
    assert found(gallery) == [("alike", "Carol", "Dora", None), ("alike", "Anna", "Bob", None)]
    assert check_gallery(gallery)[0].d == pytest.approx(2 - 2 * np.cos(np.deg2rad(10)), abs=1e-4)


def test_of_hundreds_every_pair_is_compared():
    turns = {f"p{number:03}": [number % 2 * 180.0 + number / 1000] * 2 for number in range(300)}
    assert len(check_gallery(gallery_of(**turns))) == 200
