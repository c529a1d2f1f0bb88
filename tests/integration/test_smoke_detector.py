"""Fit, export, evaluate and report a detector on drawn faces: the whole chain, on any machine."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from edge.core.geometry import box_iou
from edge.inference.detector import Detector
from edge.inference.model_card import DetectorCard, read_card
from training.cli import main
from training.data.generated_scenes import drawn_scenery

pytestmark = pytest.mark.slow  # a training


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    options = ["--runs", str(runs), "--workers", "0", "--threads", "1", "--quiet"]
    done = CliRunner().invoke(main, ["run", "smoke-detector", *options])
    assert done.exit_code == 0, done.output
    assert "int8 boxes keep an IoU of" in done.stdout
    return runs / "smoke-detector"


def test_it_finds_faces_that_are_not_in_the_training_data(run_dir):
    numbers = json.loads((run_dir / "evaluation.json").read_text())
    assert numbers["held_out"]["recall"] > 0.8
    assert numbers["held_out"]["false_per_100"] < 15
    assert numbers["pipeline"] is None


def test_int8_is_as_good_as_float(run_dir):
    card = read_card(run_dir / "smoke-detector.tflite", DetectorCard)
    assert card.measured["parity"]["iou_mean"] > 0.93
    assert card.measured["parity"]["boxes"] > 20


def test_the_whole_graph_is_one_piece_for_xnnpack(run_dir):
    found = read_card(run_dir / "smoke-detector.tflite").measured["xnnpack"]
    assert found["delegated_pieces"] == 1
    assert found["whole"] is True


def test_the_device_loads_it_and_finds_drawn_faces(run_dir):
    detector = Detector(run_dir / "smoke-detector.tflite")
    scenes, _ = drawn_scenery(60, seed=99)  # none of them was in the training
    hits = []
    for scene in scenes:
        found = detector.detect(scene.image)
        boxes = np.array([face.box for face in found]).reshape(-1, 4)
        hits += [box_iou(face[None, :4], boxes).max(initial=0) >= 0.5 for face in scene.faces]
    assert np.mean(hits) > 0.7
    assert "drawings" in detector.card.terms


def test_the_report_has_hits_and_misses(run_dir):
    page = (run_dir / "report.html").read_text()
    assert sorted(path.name for path in run_dir.glob("*.png")) == ["contact-sheet.png", "learning.png", "threshold.png"]
    assert page.count("data:image/png;base64,") == 3
    assert "http:" not in page  # self-contained; a picture in base64 has no colon
    assert "https:" not in page
    assert (run_dir / "contact-sheet.png").stat().st_size > 20_000


def test_the_report_can_be_written_again_from_the_model_alone(run_dir):
    (run_dir / "report.html").unlink()
    options = ["--runs", str(run_dir.parent), "--model", str(run_dir / "smoke-detector.tflite")]
    done = CliRunner().invoke(main, ["report", "smoke-detector", *options])
    assert done.exit_code == 0, done.output
    assert "Held-out scenes" in (run_dir / "report.html").read_text()


def test_another_size_is_exported_from_the_same_weights(run_dir):
    options = ["--runs", str(run_dir.parent), "--size", "192x160"]
    done = CliRunner().invoke(main, ["export", "smoke-detector", *options])
    assert done.exit_code == 0, done.output
    detector = Detector(run_dir / "smoke-detector-192x160.tflite")
    assert detector.shape == (160, 192)
    assert detector.card.name == "smoke-detector-192x160"
    assert detector.card.measured["held_out"]["recall"] > 0.7
