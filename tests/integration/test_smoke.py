"""Fit, export, evaluate and report on drawn faces: the whole chain, on any machine."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edge.inference.embedder import Embedder
from edge.inference.model_card import read_card
from training.cli import main
from training.data.generated import generated_people

pytestmark = pytest.mark.slow  # a training


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    options = ["--runs", str(runs), "--workers", "0", "--threads", "1", "--quiet"]
    done = CliRunner().invoke(main, ["run", "smoke", *options])
    assert done.exit_code == 0, done.output
    assert "int8 keeps a cosine of" in done.stdout
    return runs / "smoke"


def test_it_verifies_people_who_are_not_in_the_training_data(run_dir):
    numbers = json.loads((run_dir / "evaluation.json").read_text())
    assert numbers["held_out"]["accuracy"] > 0.85
    assert numbers["lfw"] is None


def test_int8_is_as_good_as_float(run_dir):
    parity = read_card(run_dir / "smoke.tflite").measured["parity"]
    assert parity["cosine_mean"] > 0.99
    assert abs(parity["accuracy_float"] - parity["accuracy_int8"]) < 0.02


def test_the_whole_graph_is_one_piece_for_xnnpack(run_dir):
    assert read_card(run_dir / "smoke.tflite").measured["xnnpack"] == {
        "operations": 21,
        "delegated_pieces": 1,
        "whole": True,
    }


def test_the_device_loads_it_and_identifies_people(run_dir):
    embedder = Embedder(run_dir / "smoke.tflite")
    crops = generated_people(people=12, pictures=2, seed=99)  # none of them was in the training
    encodings = np.stack([embedder.embed(crop) for crop in crops.images]).reshape(12, 2, -1)
    distances = 2 - 2 * encodings[:, 0] @ encodings[:, 1].T  # (12, D) @ (D, 12) -> (12, 12)
    assert (distances.argmin(axis=1) == np.arange(12)).mean() >= 0.75
    assert "drawings" in embedder.card.terms


def test_an_encoding_is_the_mean_over_the_mirror_image_and_the_file_says_so(run_dir):
    from ai_edge_litert.tools.flatbuffer_utils import read_model

    embedder, crop = Embedder(run_dir / "smoke.tflite"), generated_people(people=1, pictures=1, seed=99).images[0]
    assert np.array_equal(embedder.embed(crop), embedder.embed(crop[:, ::-1]))
    assert b"its mirror image" in read_model(str(run_dir / "smoke.tflite")).description


def test_an_export_onto_a_full_disk_leaves_the_model_that_was_there(run_dir, tmp_path, monkeypatch):
    for suffix in (".tflite", ".json"):
        (tmp_path / f"smoke{suffix}").write_text("of before")

    def fail(source, target):
        Path(target).write_bytes(Path(source).read_bytes()[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr("training.export.export.shutil.copyfile", fail)
    before = (run_dir / "smoke.tflite").read_bytes()
    done = CliRunner().invoke(main, ["export", "smoke", "--runs", str(run_dir.parent), "--to", str(tmp_path)])
    assert done.exit_code == 1
    assert done.output.splitlines()[-1].startswith(f"Error: {tmp_path}")
    assert "No space left on device; free some space" in done.output.splitlines()[-1]
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "smoke.tflite": "of before",
        "smoke.json": "of before",
    }
    assert (run_dir / "smoke.tflite").read_bytes() == before


def test_the_report_has_its_figures(run_dir):
    page = (run_dir / "report.html").read_text()
    figures = sorted(path.name for path in run_dir.glob("*.png"))
    assert figures == [
        "held-out-det.png",
        "held-out-distances.png",
        "held-out-roc.png",
        "impostors.png",
        "learning.png",
        "nearest.png",
    ]
    assert page.count("data:image/png;base64,") == len(figures)
    assert "http" not in page  # self-contained
    for size in [(run_dir / name).stat().st_size for name in figures]:
        assert size > 5000


def test_evaluate_gives_the_same_numbers_again(run_dir):
    options = ["--runs", str(run_dir.parent), "--model", str(run_dir / "smoke.tflite")]
    done = CliRunner().invoke(main, ["evaluate", "smoke", *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((run_dir / "evaluation.json").read_text())
