"""The whole ladder on drawn characters: trained, chosen, tested, quantized and reported."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from edge.core.gallery import Gallery
from edge.core.thresholds import OneThreshold
from edge.core.types import Person, Template
from edge.inference.embedder import Embedder
from training.cli import main
from training.data.places import Places
from training.engine.experiment_files import load_experiment
from training.omniglot.character_set import read_evaluation_set
from training.omniglot.ladder import load_ladder, replicas
from training.omniglot.protocols import PROTOCOLS

ROWS = {"smoke-omniglot-koch", "smoke-omniglot-softmax", "smoke-omniglot-best"}

pytestmark = pytest.mark.slow  # a training


def run_ladder(runs, *options):
    command = [
        "omniglot",
        "smoke-omniglot",
        "--runs",
        str(runs),
        *options,
        "--threads",
        "1",
        "--workers",
        "0",
        "--quiet",
    ]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    run_ladder(folder)
    return folder


@pytest.fixture(scope="module")
def results(runs):
    return json.loads((runs / "smoke-omniglot-report" / "evaluation.json").read_text())


def test_every_row_is_reported_and_the_best_on_the_held_out_alphabets_is_chosen(results):
    rows = {row["experiment"]: row for row in results["rows"]}
    assert set(rows) == ROWS
    assert results["not_run"] == []
    can_ship = ROWS - {"smoke-omniglot-koch"}
    assert results["chosen"]["experiment"] == max(can_ship, key=lambda name: rows[name]["validation"]["mean"])
    for row in rows.values():
        for protocol in PROTOCOLS:
            assert 0 < row["scores"][protocol.key]["mean"] < 1
            assert len(row["scores"][protocol.key]["values"]) == row["seeds"]


def test_new_characters_are_recognized_from_one_example(results):
    chosen = next(row for row in results["rows"] if row["experiment"] == results["chosen"]["experiment"])
    assert chosen["scores"]["lake"]["mean"] > 0.8
    assert chosen["scores"]["within_5shot"]["mean"] > chosen["scores"]["within"]["mean"] - 0.02
    assert abs(results["int8"]["cost"]["within"]) < 0.02


def test_a_new_class_costs_the_similarity_function_one_encoding(results):
    cost = results["new_class_cost"]
    assert cost["similarity_new_accuracy"] > 0.5
    assert cost["classifier_known_accuracy_before"] > 0.9
    assert cost["similarity_seconds"] < cost["classifier_seconds"]


def test_every_evaluation_of_the_test_set_is_counted_and_none_is_repeated(runs, results):
    seeds = sum(row["seeds"] for row in results["rows"])
    assert results["test_evaluations"] == seeds + results["int8"]["seeds"]
    run_ladder(runs, "--as-is")
    again = json.loads((runs / "smoke-omniglot-report" / "evaluation.json").read_text())
    assert again == results


def test_the_page_has_its_figures(runs):
    folder = runs / "smoke-omniglot-report"
    page = (folder / "report.html").read_text()
    figures = sorted(path.stem for path in folder.glob("*.png"))
    assert figures == ["confusions", "ladder", "learning", "map", "shots-unstructured", "shots-within"]
    assert page.count("data:image/png;base64,") == len(figures)
    assert "published" not in page  # there are no published results on drawn characters
    assert "http" not in page  # self-contained


def test_the_device_gallery_identifies_characters_as_it_identifies_people(runs, results):
    experiment = load_experiment(results["chosen"]["experiment"])
    embedder = Embedder(runs / experiment.name / f"{experiment.name}.tflite")
    drawings = read_evaluation_set(experiment, Places(runs, runs)).drawings
    model = embedder.card.sha256
    alphabet = drawings.only(drawings.alphabets == "unseen-0")
    first, second = (alphabet.only(alphabet.drawers == drawer) for drawer in (1, 2))
    people = [Person(str(number), character) for number, character in enumerate(first.characters)]
    templates = [
        Template(f"t{number}", str(number), embedder.embed(image), model) for number, image in enumerate(first.images)
    ]
    gallery = Gallery(model, OneThreshold(embedder.card.tau_within))
    gallery.fill(people, templates)
    matches = [gallery.identify(embedder.embed(image)) for image in second.images]
    named = np.array([match.nearest.name for match in matches])
    assert (named == second.characters).mean() > 0.7
    gallery.fill(people[1:], templates[1:])  # the first character is forgotten
    assert gallery.identify(embedder.embed(second.images[0])).nearest.name != second.characters[0]


def test_seeds_differ_in_nothing_but_the_seed():
    best = load_ladder("smoke-omniglot").rows[-1]
    first, second = replicas(best)
    assert (first.name, second.name) == (best.experiment, f"{best.experiment}-seed1")
    assert second.seed == first.seed + 1
    assert first.fingerprint() != second.fingerprint()
