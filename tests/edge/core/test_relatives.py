"""Two people whose templates are near to one another get a stricter match threshold, in a gallery in the plane."""

import itertools

import numpy as np
import pytest

from edge.core.gallery import Gallery
from edge.core.relatives import PEOPLE_MAX, STRICTEST
from edge.core.thresholds import OneThreshold
from edge.core.types import Person, Template

TAU = 1.0


def at(degrees):
    return np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], np.float32)


def put(gallery, name, *degrees, tau=None):
    gallery.put(Person(name, name, tau), [Template(f"{name}{n}", name, at(one), "m") for n, one in enumerate(degrees)])


@pytest.fixture
def gallery():
    gallery = Gallery("m", OneThreshold(lambda _fmr: TAU))
    put(gallery, "anna", 0, 10)
    put(gallery, "bea", 120, 130)
    return gallery


def taus(gallery):
    return {one: round(gallery.tau_of(person, gallery.tau), 3) for one, person in gallery.people.items()}


def d_of(degrees):
    return round(2 - 2 * float(np.cos(np.deg2rad(degrees))), 3)


def test_people_who_are_unlike_have_the_ordinary_tau(gallery):
    assert taus(gallery) == {"anna": TAU, "bea": TAU}
    assert gallery.relative_of("anna") is None


def test_who_moves_near_to_somebody_makes_it_stricter_for_both_until_one_is_gone(gallery):
    put(gallery, "bea", 50, 130)
    assert taus(gallery) == {"anna": d_of(40), "bea": d_of(40)}
    assert gallery.relative_of("anna").person_id == "bea"
    assert gallery.relative_of("bea").person_id == "anna"
    assert gallery.identify(at(-30)).person.name == "anna"
    assert gallery.identify(at(-45)).person is None  # within 1.0, and beyond the distance of both
    assert gallery.identify(at(45)).person.name == "bea"
    gallery.remove("bea")
    assert taus(gallery) == {"anna": TAU}
    assert gallery.identify(at(-45)).person.name == "anna"


def test_twins_keep_a_tau_and_a_tau_of_their_own_counts(gallery):
    put(gallery, "cleo", 11)
    assert taus(gallery) == {"anna": STRICTEST, "bea": TAU, "cleo": STRICTEST}
    put(gallery, "cleo", 11, tau=0.7)
    assert taus(gallery)["cleo"] == 0.7


def test_the_pairs_follow_from_the_templates_and_not_from_the_order_of_changes():
    rng = np.random.default_rng(0)
    turns = {f"p{number}": rng.uniform(0, 360, 3) for number in range(12)}
    stories = []
    for order in itertools.islice(itertools.permutations(turns), 0, 400_000, 100_000):
        gallery = Gallery("m", OneThreshold(lambda _fmr: TAU))
        put(gallery, "gone", *rng.uniform(0, 360, 2))
        for name in order:
            put(gallery, name, *rng.uniform(0, 360, 2))
        gallery.remove("gone")
        for name in reversed(order):
            put(gallery, name, *turns[name])
        stories.append({name: gallery._relatives.nearest(name) for name in turns})
    filled = Gallery("m", OneThreshold(lambda _fmr: TAU))
    filled.fill(gallery.people.values(), gallery.templates)
    assert stories == [{name: filled._relatives.nearest(name) for name in turns}] * len(stories)


def test_in_a_gallery_of_more_people_than_a_household_has_nobody_is_compared():
    gallery = Gallery("m", OneThreshold(lambda _fmr: TAU))
    for number in range(PEOPLE_MAX):
        put(gallery, f"p{number}", number)
    assert gallery.relative_of("p0") is not None
    put(gallery, "one more", 0)
    assert gallery.relative_of("p0") is None
    gallery.remove("one more")
    assert gallery.relative_of("p0") is not None
