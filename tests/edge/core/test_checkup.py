"""What is found in a gallery in the plane."""

import numpy as np
import pytest

from edge.core.checkup import check_gallery
from edge.core.gallery import Gallery
from edge.core.thresholds import Cohort, NormalizedThresholds, OneThreshold
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
    return [(one.kind, one.name, one.other, one.template_id) for one in check_gallery(gallery)[0]]


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
    assert check_gallery(gallery)[0][0].d == pytest.approx(2 - 2 * np.cos(np.deg2rad(10)), abs=1e-4)


def test_of_hundreds_every_pair_is_compared():
    turns = {f"p{number:03}": [number % 2 * 180.0 + number / 1000] * 2 for number in range(200)}
    findings, checked = check_gallery(gallery_of(**turns))
    assert (len(findings), checked) == (200, 200)


def test_of_more_people_those_who_were_enrolled_last_are_looked_at():
    findings, checked = check_gallery(gallery_of(**{f"p{number:03}": [number] for number in range(310)}))
    assert checked == 200
    assert (findings[0].name, findings[0].kind) == ("P110", "one_template")


def test_a_template_of_which_the_model_knows_little_is_named():
    """It lies among many of the cohort; the other is like nobody."""
    cohort = np.array([[np.cos(turn), np.sin(turn)] for turn in np.deg2rad(np.linspace(-20, 20, 30))], np.float32)
    typical = np.array([0.3, 0.1], np.float32)
    gallery = Gallery("m", NormalizedThresholds(Cohort(cohort, 5), lambda _fmr: 3.0, typical))
    looks = {"anna0": [1, 0], "anna1": [0, 1]}
    gallery.put(
        Person("anna", "Anna"), [Template(one, "anna", np.array(at, np.float32), "m") for one, at in looks.items()]
    )
    assert ("poor", "Anna", None, "anna0") in found(gallery)
    assert ("poor", "Anna", None, "anna1") not in found(gallery)
