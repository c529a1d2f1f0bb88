import hashlib
import json
import shutil

import numpy as np
import pytest

from edge.core.thresholds import NormalizedThresholds, OneThreshold
from edge.errors import ModelError
from edge.inference.cohort import read_cohort, thresholds_of
from edge.inference.embedder import STANDARD
from edge.inference.model_card import EmbedderCard, card_path, cohort_path, read_card


@pytest.fixture
def model(tmp_path):
    """A copy of the shipped model with a cohort of 50."""
    path = tmp_path / "mine.tflite"
    shutil.copyfile(STANDARD, path)
    rows = np.random.default_rng(1).integers(-127, 128, (50, 128), dtype=np.int8)
    np.save(cohort_path(path), rows)
    write_card(path, encodings=50)
    return path


def write_card(model, **changes):
    card = json.loads(card_path(STANDARD).read_text())
    card["normalization"] = {
        "cohort_sha256": hashlib.sha256(cohort_path(model).read_bytes()).hexdigest(),
        "encodings": 50,
        "nearest": 10,
        "typical": [0.2, 0.04],
        "score_at_fmr": {"1e-3": 4.0, "1e-5": 8.0},
    } | changes
    card_path(model).write_text(json.dumps(card))


def card_of(model):
    return read_card(model, EmbedderCard)


def test_the_cohort_is_of_unit_length_and_its_scores_are_interpolated(model):
    cohort = read_cohort(model, card_of(model))
    assert np.linalg.norm(cohort.encodings, axis=1) == pytest.approx(np.ones(50), abs=1e-6)
    thresholds = thresholds_of(model, card_of(model))
    assert isinstance(thresholds, NormalizedThresholds)
    assert [thresholds.score_at_fmr(fmr) for fmr in (1e-1, 1e-3, 1e-4, 1e-5, 1e-9)] == pytest.approx([4, 4, 6, 8, 8])
    cosine = 0.2 + 8.0 * 0.04
    assert thresholds.nominal(1e-5) == pytest.approx(2 - 2 * cosine, abs=1e-6)


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda path: cohort_path(path).unlink(), "missing"),
        (lambda path: cohort_path(path).write_bytes(b"another"), "is not the one that the card"),
        (lambda path: write_card(path, encodings=49, nearest=10), r"has \(50, 128\) int8, the card"),
        (lambda path: (cohort_path(path).write_bytes(b"no array"), write_card(path)), "cannot be read"),
        (lambda path: write_card(path, nearest=51), "51 nearest of a cohort of 50"),
    ],
)
def test_a_cohort_that_is_not_that_of_the_card_is_refused(model, break_it, says):
    break_it(model)
    with pytest.raises(ModelError, match=says):
        read_cohort(model, card_of(model))


def test_a_card_without_a_cohort_has_one_tau_for_all(model):
    card = json.loads(card_path(model).read_text())
    del card["normalization"]
    card_path(model).write_text(json.dumps(card))
    thresholds = thresholds_of(model, card_of(model))
    assert isinstance(thresholds, OneThreshold)
    assert thresholds.nominal(1e-5) == card_of(model).tau(1e-5)


def test_scores_that_are_not_measured_yet_normalise_nothing(model):
    write_card(model, score_at_fmr={})
    assert isinstance(thresholds_of(model, card_of(model)), OneThreshold)
