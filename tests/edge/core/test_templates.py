"""The templates of one person, one by one, as the household sees them."""

import numpy as np
import pytest

from edge.core.gallery import Gallery
from edge.core.origin import learned_from
from edge.core.templates import StoredTemplate, describe
from edge.core.thresholds import OneThreshold
from edge.core.types import Person, Template


def at(degrees):
    return np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], np.float32)


def described(degrees, crops=(), others=()):
    gallery = Gallery("m", OneThreshold(lambda _fmr: 1.0))
    gallery.put(Person("p", "Anna"), [Template(one, "p", at(turn), "m") for one, turn in degrees.items()])
    stored = [StoredTemplate(one, "m", "2026-01-01T00:00:00Z", one in dict(crops)) for one in [*degrees, *others]]
    return {one.id: one for one in describe(gallery, "p", stored, dict(crops))}


def test_each_says_how_far_it_is_from_the_others():
    found = described({"e_1": 0, "e_2": 0, "e_3": 60})
    assert found["e_3"].distance == pytest.approx(1.0, abs=1e-6)
    assert found["e_1"].distance == found["e_2"].distance == pytest.approx(2 - 2 * np.cos(np.pi / 6), abs=1e-6)


def test_of_the_only_one_and_of_another_models_there_is_no_distance():
    assert described({"e_1": 0})["e_1"].distance is None
    other = described({"e_1": 0}, others=["e_9"])["e_9"]
    assert (other.distance, other.stricter) == (None, None)


def test_the_id_says_what_was_learned_and_from_which_event():
    found = described({"e_1": 0, "l_abc_12": 10})
    assert (found["e_1"].origin, found["e_1"].event) == ("given", None)
    assert (found["l_abc_12"].origin, found["l_abc_12"].event) == ("learned", "abc")
    assert learned_from("p_1") is None


def test_a_picture_that_is_stored_is_measured():
    crop = np.full((112, 112, 3), 90, np.uint8)
    found = described({"e_1": 0, "e_2": 5}, crops={"e_1": crop})
    assert (found["e_1"].crop, found["e_1"].brightness, found["e_1"].sharpness) == (True, 90, 0)
    assert (found["e_2"].crop, found["e_2"].brightness, found["e_2"].sharpness) == (False, None, None)
