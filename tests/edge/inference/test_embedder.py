"""On the shipped models: no stand-in for inference."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from skimage.data import astronaut

from edge.core.align import align
from edge.errors import ImageError, ModelError
from edge.inference.detector import Detector
from edge.inference.embedder import LITE, STANDARD, Embedder
from edge.inference.model_card import EmbedderCard, card_path, read_card
from training.data.augment import door_camera
from training.data.conditions import brim, scarf

SHIPPED = pytest.mark.parametrize("model", [STANDARD, LITE], ids=lambda path: path.stem)


@pytest.fixture
def copy(tmp_path):
    """A model and its card, to be spoilt."""
    for file in (STANDARD, card_path(STANDARD)):
        shutil.copyfile(file, tmp_path / file.name)
    return tmp_path / STANDARD.name


@SHIPPED
def test_an_encoding_is_a_128_d_unit_vector_and_the_same_every_time(model, face):
    embedder = Embedder(model)
    encoding = embedder.embed(face)
    assert encoding.shape == (128,)
    assert encoding.dtype == np.float32
    assert float(np.linalg.norm(encoding)) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(encoding, embedder.embed(face))


@SHIPPED
def test_a_face_stays_nearer_to_itself_than_to_a_mirror_of_noise(model, face):
    embedder = Embedder(model)
    again = door_camera(face, np.random.default_rng(1), strength=0.3)
    noise = np.random.default_rng(0).integers(0, 256, face.shape, dtype=np.uint8)
    here = embedder.embed(face)
    assert np.square(here - embedder.embed(again)).sum() < np.square(here - embedder.embed(noise)).sum()


@SHIPPED
def test_a_portrait_is_clear_and_what_is_no_face_is_not(model):
    embedder, image = Embedder(model), astronaut()
    portrait = align(image, Detector().detect(image)[0].landmarks)
    noise = np.random.default_rng(0).integers(0, 256, portrait.shape, dtype=np.uint8)
    assert embedder.encode(portrait).clarity > 1.2
    assert embedder.encode(noise).clarity < 1
    assert embedder.encode(scarf(brim(portrait, np.random.default_rng(0)), np.random.default_rng(1))).clarity < 1
    assert np.linalg.norm(embedder.raw(portrait)) == pytest.approx(
        embedder.encode(portrait).clarity * embedder.card.clarity.length_min
    )


def with_card(model, **fields):
    """An embedder of the same file under a card with other fields."""
    card_path(model).write_text(json.dumps(json.loads(card_path(model).read_text()) | {"normalization": None} | fields))
    return Embedder(model)


def test_a_mirrored_encoding_is_the_mean_of_both_outputs_and_the_same_for_both(copy, face):
    mirrored, plain = face[:, ::-1], with_card(copy, mirror=False)
    mean = (plain.raw(face) + plain.raw(mirrored)) / 2
    both = with_card(copy, mirror=True)
    assert not np.allclose(plain.raw(face), plain.raw(mirrored), atol=0.1)
    assert np.array_equal(both.raw(face), mean)
    assert np.array_equal(both.raw(mirrored), mean)
    assert np.array_equal(both.embed(face), mean / np.linalg.norm(mean))


def test_a_card_without_clarity_tells_none(copy, face):
    card = json.loads(card_path(copy).read_text())
    del card["clarity"]
    card["normalization"] = None
    card_path(copy).write_text(json.dumps(card))
    assert Embedder(copy).encode(face).clarity is None


@pytest.mark.parametrize("length", [0.0, -1.0])
def test_a_card_with_a_clarity_of_nothing_is_refused(copy, length):
    card = json.loads(card_path(copy).read_text())
    card["clarity"]["length_min"] = length
    card_path(copy).write_text(json.dumps(card))
    with pytest.raises(ModelError, match=f"length_min {length:g}: expected more than 0"):
        Embedder(copy)


@SHIPPED
def test_every_pixel_value_reaches_the_network(model):
    graph = Embedder(model)._graph
    assert graph.input_scale == pytest.approx(1 / 128)
    assert graph.input_zero_point == 0


@SHIPPED
def test_the_file_is_small_and_the_card_is_complete(model):
    card = read_card(model, EmbedderCard)
    assert model.stat().st_size == card.bytes <= 2_000_000
    assert card.measured["xnnpack"]["whole"]
    assert card.measured["parity"]["cosine_mean"] >= 0.99
    rates = ["0.01", "0.003", "0.001", "0.0003", "0.0001", "3e-05", "1e-05", "3e-06", "1e-06"]
    assert list(card.impostors.distance_at_fmr) == rates
    assert card.mirror
    assert "research" in card.terms


@SHIPPED
def test_int8_costs_next_to_nothing(model):
    cost = read_card(model).measured["parity"]
    assert cost["measured_on"] == "LFW"
    assert cost["accuracy_float"] - cost["accuracy_int8"] <= 0.0015


def test_the_shipped_models_are_good_enough_and_the_lite_one_is_not_far_behind():
    standard, lite = (read_card(model).measured["lfw"]["accuracy"] for model in (STANDARD, LITE))
    assert standard >= 0.96  # what a training on CPU alone must reach
    assert standard - lite <= 0.025


@SHIPPED
def test_tau_follows_the_wanted_false_match_rate(model):
    card = read_card(model, EmbedderCard)
    for fmr, distance in card.impostors.distance_at_fmr.items():
        assert card.tau(float(fmr)) == pytest.approx(distance)
    rates = np.geomspace(1e-5, 1e-2, 50)
    taus = [card.tau(float(rate)) for rate in rates]
    assert taus == sorted(taus)
    assert 0 < taus[0] < taus[-1] < 2
    for beyond in (1e-7, 0.5, 0):
        with pytest.raises(ModelError, match=r"the card has tau for FMR 1e-06 to 0\.01"):
            card.tau(beyond)


@pytest.mark.parametrize("spoilt", [np.zeros((111, 112, 3), np.uint8), np.zeros((112, 112, 3), np.float32)])
def test_a_crop_of_another_kind_is_refused_with_both_kinds(spoilt):
    with pytest.raises(ImageError, match=r"expected a crop of \(112, 112, 3\) uint8, got"):
        Embedder().embed(spoilt)


def test_another_files_card_is_refused(copy):
    copy.write_bytes(copy.read_bytes() + b"\0")
    with pytest.raises(ModelError, match=r"model card .*embedder\.json is for [0-9a-f]{12}, but embedder\.tflite is"):
        Embedder(copy)


def test_a_card_that_does_not_hold_is_named_with_its_key(copy):
    card = json.loads(card_path(copy).read_text())
    card_path(copy).write_text(json.dumps(card | {"confidence": 1}))
    with pytest.raises(ModelError, match=r"is not the card of an embedder: .*unknown field `confidence`"):
        Embedder(copy)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ({}, "has no distance at any FMR"),
        ({"often": 1.0}, "could not convert"),
        ({"0": 1.0}, r"an FMR in \(0, 1\]"),
        ({"nan": 1.0}, r"an FMR in \(0, 1\]"),
        ({"0.001": 5.0}, r"expected d in \[0, 4\]"),
    ],
)
def test_a_card_from_which_no_tau_follows_is_refused(copy, points, says):
    card = json.loads(card_path(copy).read_text())
    card["impostors"]["distance_at_fmr"] = points
    card_path(copy).write_text(json.dumps(card))
    with pytest.raises(ModelError, match=says):
        read_card(copy, EmbedderCard).tau_within(1e-3)


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("text", [b'{"schema": ' + b"[" * 100_000, b'{"name": "\xff"}', b""])
def test_whatever_is_no_card_is_named(copy, text):
    card_path(copy).write_bytes(text)
    with pytest.raises(ModelError, match=r"embedder\.json is not the card of an embedder"):
        read_card(copy, EmbedderCard)


def test_a_missing_model_and_a_missing_card_are_named(copy):
    card_path(copy).unlink()
    with pytest.raises(ModelError, match=r"has no card embedder\.json beside it"):
        Embedder(copy)
    copy.unlink()
    with pytest.raises(ModelError, match=r"model .*embedder\.tflite is missing"):
        Embedder(copy)


def test_a_file_that_is_no_model_is_named(copy):
    import hashlib

    copy.write_bytes(b"TFL3 it is not")
    card = json.loads(card_path(copy).read_text())
    card_path(copy).write_text(json.dumps(card | {"sha256": hashlib.sha256(copy.read_bytes()).hexdigest()}))
    with pytest.raises(ModelError, match="is not a TFLite model this runtime can load"):
        Embedder(copy)


def test_a_fresh_interpreter_embeds_without_torch_or_training():
    code = (
        "import sys, numpy\n"
        "from edge.inference.embedder import Embedder\n"
        "Embedder().embed(numpy.zeros((112, 112, 3), numpy.uint8))\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'training', 'tensorflow')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
