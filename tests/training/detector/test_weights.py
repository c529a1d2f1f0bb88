import msgspec
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from edge.core.geometry import box_iou
from edge.errors import ExperimentError
from edge.inference.detector import STANDARD
from edge.inference.detector import Detector as OnDevice
from training.cli import main
from training.data.generated_scenes import drawn_scenery
from training.data.terms import DRAWN, RESEARCH_ONLY
from training.detector.dequantized import dequantized
from training.detector.evaluation import rows_of
from training.detector.float_network import detect_float
from training.detector.lineage import lineage, pasted_counts, terms
from training.detector.matching import at_model_scale
from training.detector.network import Detector
from training.detector.weights import kept_weights, weights_to_start_from
from training.engine.experiment_files import load_experiment, with_weights
from training.engine.learner import to_network
from training.engine.weights import save_weights


@pytest.fixture
def tiny():
    experiment = load_experiment("smoke-detector")
    data = msgspec.structs.replace(experiment.data, generated_scenes=40, held_out_fraction=0.3)
    optimizer = msgspec.structs.replace(experiment.optimizer, images=8, warmup_images=4, peak_learning_rate=1e-9)
    return msgspec.structs.replace(experiment, data=data, optimizer=optimizer, batch_size=4, calibration_images=4)


@pytest.fixture
def saved(tiny, tmp_path):
    """A network, and the file of its weights."""
    torch.manual_seed(3)
    network = Detector(tiny.network)
    about = {
        "network": msgspec.to_builtins(tiny.network),
        "data": msgspec.to_builtins(tiny.data),
        "pasted_crops": {"aaf": 900, "mixed": 20},
        "lineage": {"experiment": "before", "images_seen": 640},
        "terms": DRAWN,
    }
    return network, save_weights(network, about, tmp_path / "kept.safetensors")


def test_an_experiment_starts_with_the_weights_and_has_their_lineage_and_terms(saved, tiny):
    network, path = saved
    started = with_weights(tiny, str(path))
    for name, value in weights_to_start_from(started).items():
        assert torch.allclose(value.float(), network.state_dict()[name].half().float()), name
    assert lineage(started)["started_from"] == {"experiment": "before", "images_seen": 640}
    assert terms(started) == DRAWN
    data = msgspec.structs.replace(tiny.data, crops=("aaf", "voteview"), crops_per_pack=100)
    assert pasted_counts(msgspec.structs.replace(started, data=data)) == {"aaf": 900, "mixed": 20, "voteview": 100}


def test_weights_that_do_not_fit_are_refused(saved, tiny):
    path = str(saved[1])
    wider = msgspec.structs.replace(tiny, network=msgspec.structs.replace(tiny.network, head=32))
    with pytest.raises(ExperimentError, match=r"'smoke-detector' starts from weights .* of another network"):
        weights_to_start_from(with_weights(wider, path))
    more = msgspec.structs.replace(tiny, data=msgspec.structs.replace(tiny.data, held_out_fraction=0.5))
    with pytest.raises(ExperimentError, match=r"holds out 0\.5 of the pictures, but weights .* only 0\.3"):
        weights_to_start_from(with_weights(more, path))
    with pytest.raises(ExperimentError, match="weights embedder are not a detector's"):
        kept_weights("embedder")
    with pytest.raises(ValueError, match="start_from and from_weights both give weights"):
        msgspec.structs.replace(tiny, from_weights="a", start_from="b")


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_a_run_continues_from_kept_weights_and_its_own_are_kept(saved, tiny, tmp_path):
    network, path = saved
    mine = tmp_path / "mine.toml"
    mine.write_bytes(b'task = "detector"\n' + msgspec.toml.encode(tiny))
    options = ["--from", path, "--runs", tmp_path, "--cache", tmp_path]
    assert run("fit", mine, *options, "--threads", 1, "--workers", 0, "--quiet", "--precision", "32-true")[0] == 0
    status, text = run("weights", mine, *options, "--to", tmp_path / "next.safetensors")
    assert (status, "after 8 images; Trained on drawings" in text) == (0, True)
    after = kept_weights(str(tmp_path / "next.safetensors"))
    assert after.told.lineage["started_from"]["experiment"] == "before"
    assert after.told.pasted_crops == {"aaf": 900, "mixed": 20}
    for name, value in network.state_dict().items():
        if value.ndim == 4:
            assert torch.allclose(after.state[name], value, atol=1e-3), name


@pytest.fixture(scope="module")
def scenes():
    drawn, _ = drawn_scenery(24, seed=5)
    return [at_model_scale(scene, (240, 320)) for scene in drawn]


def test_the_float_network_of_the_shipped_model_finds_the_same_faces(scenes):
    pictures = np.stack([scene.image for scene in scenes])
    network = dequantized(STANDARD, load_experiment("detector").network, pictures)
    device = OnDevice(STANDARD, score_min=0.6)
    seen = 0
    for picture, floats in zip(pictures, detect_float(network, pictures, 0.6), strict=True):
        int8 = rows_of(device.detect(picture))
        for face in floats[floats[:, 4] > 0.65]:
            overlap = box_iou(face[None, :4], int8[:, :4])[0]
            assert overlap.max() > 0.95
            assert np.abs(face[5:] - int8[overlap.argmax(), 5:]).max() < 2
            assert face[4] == pytest.approx(int8[overlap.argmax(), 4], abs=0.03)
            seen += 1
    assert seen > 5
    with torch.no_grad():  # and it starts a training as what it is
        pixels = to_network(torch.from_numpy(pictures))
        still, trained = network.eval()(pixels), network.train()(pixels)
    for first, second in zip(still, trained, strict=True):
        assert (first - second.clamp(0, 6) if first.shape[1] == 14 else first - second).abs().mean() < 0.1


def test_a_model_of_another_network_is_refused_and_an_int8_one_kept(tmp_path, scenes):
    wrong = load_experiment("smoke-detector").network
    with pytest.raises(ExperimentError, match=r"detector\.tflite has no weights for Conv2d"):
        dequantized(STANDARD, wrong, scenes[0].image[None])
    status, text = run("weights", "smoke-omniglot-koch", "--runs", tmp_path)
    assert (status, "is not an embedder or a detector" in text) == (1, True)
    status, text = run("weights", "embedder", "--model", STANDARD, "--runs", tmp_path)
    assert (status, "'embedder' is not a detector" in text) == (1, True)


def test_what_ships_tells_its_terms_once():
    assert terms(load_experiment("detector")) == RESEARCH_ONLY
