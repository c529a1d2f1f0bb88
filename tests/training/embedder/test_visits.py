"""Visits of people who are points of a sphere, by the device's rules."""

import numpy as np
import pytest

from edge.core.rates import fmr_of
from edge.core.thresholds import OneThreshold
from training.embedder.figures import tracks_figure
from training.embedder.visits import SAMPLES, Visits, told, track_leads, visit_rates
from training.embedder.visits import household as gallery_of

RNG = np.random.default_rng(0)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def visits():
    """120 people in 128 dimensions, far from one another; every tenth person's samples are of somebody else."""
    people = unit(RNG.normal(size=(120, 128)))
    seen = people.copy()
    seen[::10] = unit(RNG.normal(size=(12, 128)))
    return Visits(people, unit(seen[:, None] + 0.05 * RNG.normal(size=(120, SAMPLES, 128))))


def test_members_are_named_but_for_those_who_do_not_look_like_their_picture(visits):
    found = visit_rates(visits, OneThreshold(lambda _fmr: 1.0), 100, 1e-4)
    assert found.members == 500
    assert 0.06 < 1 - found.right_last / found.members < 0.13
    assert found.unknown == found.members - found.right_first
    assert (found.wrong, found.named, found.samples_to_name) == (0, 0, 2.0)
    assert found.strangers == 100  # of 120 people all who are not in one of the five households


def test_where_everything_is_within_tau_strangers_are_named(visits):
    found = visit_rates(visits, OneThreshold(lambda _fmr: 4.0), 5, 1e-4)
    assert found.named == found.strangers == found.strangers_named.passed
    assert found.numbers()["fpir_measured"] == 1.0
    assert found.wrong > 0


def test_the_curve_of_tracks_passes_where_the_verdicts_are(visits):
    """At tau itself, members who come within it are those who are named, and no stranger does."""
    one_tau = OneThreshold(lambda _fmr: 1.0)
    leads, rates = track_leads(visits, one_tau, 100, 1e-4), visit_rates(visits, one_tau, 100, 1e-4)
    assert (len(leads.members), len(leads.strangers)) == (rates.members, rates.strangers)
    assert (leads.members >= 0).sum() == rates.right_last
    assert leads.strangers.max() < 0
    everything = track_leads(visits, OneThreshold(lambda _fmr: 4.0), 5, 1e-4)
    assert everything.strangers.min() >= 0
    assert tracks_figure([leads, everything]).startswith(b"\x89PNG")


def test_the_gallery_of_a_household_is_asked_at_the_rate_of_its_size(visits):
    asked = []
    gallery = gallery_of(visits, OneThreshold(lambda fmr: asked.append(fmr) or 1.0), np.arange(5), 1e-3)
    assert fmr_of(1e-3, 5) in asked
    assert told(visits.samples[1], gallery) == [("1", 2)]
    assert told(visits.samples[7], gallery) == [(None, 9)]
