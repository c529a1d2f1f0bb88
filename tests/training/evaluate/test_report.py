import json

import pytest

from edge.inference.detector import STANDARD as DETECTOR
from edge.inference.embedder import LITE, STANDARD
from edge.inference.model_card import Card, read_card
from training.evaluate.report import training_of, write_page
from training.evaluate.rounding import rounded


@pytest.mark.parametrize("model", [STANDARD, LITE, DETECTOR], ids=lambda path: path.stem)
def test_the_report_reads_the_card_of_every_shipped_model(model):
    """Those of the first release have other names for the split and the validations."""
    training = training_of(read_card(model, Card))
    assert training["history"][-1]["images"] > 0
    assert training["split_stats"]["per_source"]
    assert not {"account", "growth"} & set(training)


def test_a_page_has_its_figures_inside_and_beside_and_escapes_what_it_shows(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '{% extends "base.html" %}{% block title %}t{% endblock %}{% block body %}{{ text }}{% endblock %}'
        "{% block made_by %}{% endblock %}"
    )
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    path = write_page(page, run_dir, {"curve": b"\x89PNG"}, {"accuracy": 0.5}, text="<a & b>")
    text = path.read_text()
    assert 'alt="curve" src="data:image/png;base64,iVBORw=="' in text
    assert "&lt;a &amp; b&gt;" in text
    assert (run_dir / "curve.png").read_bytes() == b"\x89PNG"
    assert json.loads((run_dir / "evaluation.json").read_text()) == {"accuracy": 0.5}


def test_numbers_are_rounded_at_every_depth():
    assert rounded({"a": {"b": 1 / 3}, "c": 2, "d": "x", "e": None}) == {
        "a": {"b": 0.33333},
        "c": 2,
        "d": "x",
        "e": None,
    }
