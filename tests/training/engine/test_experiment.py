import msgspec
import pytest
import torch

from edge.errors import ExperimentError
from training.embedder.backbone import Backbone
from training.engine.encoder_experiment import SizeStep
from training.engine.experiment_files import EXPERIMENTS_DIR, load_experiment, with_weights
from training.export.counts import count_macs, count_parameters

GOOD = (EXPERIMENTS_DIR / "smoke.toml").read_text()
SIZE = "\n[[sizes]]\npx = {}\nuntil_images = {}\n"


@pytest.mark.parametrize("path", sorted(EXPERIMENTS_DIR.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_experiment_is_valid_and_named_as_its_file(path):
    experiment = load_experiment(path.stem)
    assert experiment.name == path.stem
    assert experiment == load_experiment(str(path))


@pytest.mark.parametrize(
    ("name", "parameters", "macs"), [("embedder", 1.7e6, 0.25e9), ("embedder-lite", 1.7e6, 0.08e9)]
)
def test_the_shipped_networks_stay_within_the_budget_of_the_devices(name, parameters, macs):
    config = load_experiment(name).backbone
    backbone = Backbone(config)
    assert count_parameters(backbone) <= parameters
    assert 0 < count_macs(backbone, (112, 112, 3)) <= macs
    assert backbone.eval()(torch.zeros(2, 3, 112, 112)).shape == (2, 128)


def test_macs_are_counted_as_by_hand(tiny):
    # stem 3->8 at 56, then 8->8 at 28, 8->16 at 14 with a block of two, 16->32 at 7, head 32->32, 7x7 depthwise, 128
    by_hand = (
        56**2 * 9 * 3 * 8
        + 28**2 * 9 * 8 * 8
        + 14**2 * 9 * (8 * 16 + 2 * 16 * 16)
        + 7**2 * 9 * 16 * 32
        + 7**2 * 32 * 32
        + 49 * 32
        + 32 * 128
    )
    assert count_macs(Backbone(tiny.backbone), (112, 112, 3)) == by_hand


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            ("held_out_fraction", "heldout_fraction"),
            r"unknown field `heldout_fraction`.*did you mean `held_out_fraction`",
        ),
        (("images = 6_400", 'images = "many"'), r"Expected `int`, got `str`.*optimizer\.images"),
        (('source = "generated"', 'source = "cloud"'), r"Invalid enum value 'cloud'"),
        (("batch_size = 64", "batch_size = 63"), r"batch_size 63 is not a multiple of crops_per_person 4"),
        (("seed = 2015", "seed ="), r"smoke\.toml"),
        (
            ("blocks = [0, 1, 1, 1]", "blocks = [0, 1]"),
            r"widths \[8, 16, 32, 64\] and blocks \[0, 1\] must have one value for each stage",
        ),
        (("stem = 8", "stem = 16"), "the first stage has the stem's 16 channels, but widths starts with 8"),
        (("batch_size = 64", "batch_size = 0"), r"Expected `int` >= 2 - at `\$\.sampler\.batch_size`"),
        (("seed = 2015", "seed = -1"), r"Expected `int` >= 0 - at `\$\.seed`"),
        (("seed = 2015", "seed = 2015\nfrom_weights = ''"), r"Expected `str` of length >= 1 - at `\$\.from_weights`"),
        (("peak_learning_rate = 3e-3", "peak_learning_rate = nan"), r"`\$\.optimizer\.peak_learning_rate`"),
        (("peak_learning_rate = 3e-3", "peak_learning_rate = -1.0"), r"`\$\.optimizer\.peak_learning_rate`"),
        (("images = 6_400", "images = 6_400\nmuon_learning_rate = -0.5"), r"`\$\.optimizer\.muon_learning_rate`"),
        (("images = 6_400", "images = 6_400\nweight_decay = inf"), r"`\$\.optimizer\.weight_decay`"),
        (("images = 6_400", "images = 6_400\ngradient_norm_max = 0.0"), r"`\$\.optimizer\.gradient_norm_max`"),
        (("triplet = 1.0", "triplet = inf"), r"`\$\.loss\.triplet`"),
        (("triplet = 1.0", "triplet = 1.0\ntriplet_margin = nan"), r"`\$\.loss\.triplet_margin`"),
        (("seed = 2015", 'seed = 2015\ntask = ["embedder"]'), r"task '\['embedder'\]' is unknown; known tasks"),
        (('source = "generated"', 'source = "drawn"'), 'source = "drawn" needs held_out_alphabets'),
        (("crops_per_person = 4", "crops_per_person = 0"), r"`\$\.sampler\.crops_per_person`"),
        (("images = 6_400", "images = 63"), r"optimizer\.images 63 is less than one batch of 64"),
        (("triplet = 1.0\nmargin_softmax = 0.1", ""), "every term of the loss has weight 0"),
        (('name = "smoke"', 'name = "../smoke"'), "Expected `str` matching regex"),
        (("held_out_fraction = 0.25", "held_out_fraction = 2.5"), r"Expected `float` <= 1\.0"),
        (
            ("held_out_fraction = 0.25", "augmentation_shares = { fog = 0.1 }"),
            "augmentation_shares names fog: possible",
        ),
        (("held_out_fraction = 0.25", "augmentation_shares = { noisy = 2 }"), r"Expected `float` <= 1\.0"),
        (
            ('source = "generated"', 'source = "drawn"\naugmentation_shares = { noisy = 0.1 }'),
            'augmentation_shares are of faces: leave them out with source = "drawn"',
        ),
    ],
)
def test_an_invalid_value_is_named_with_the_file(tmp_path, change, complaint):
    path = tmp_path / "smoke.toml"
    assert change[0] in GOOD
    path.write_text(GOOD.replace(*change))
    with pytest.raises(ExperimentError, match=complaint):
        load_experiment(str(path))


def test_an_unknown_experiment_is_refused_with_the_known_ones():
    with pytest.raises(
        ExperimentError,
        match=r"no experiment 'embeder'.*known experiments: detector, detector-first, embedder, embedder-lite, .*smoke",
    ):
        load_experiment("embeder")


def test_a_fingerprint_changes_with_any_value_and_only_then(tmp_path):
    path = tmp_path / "smoke.toml"
    path.write_text("# a comment is no value, nor is a byte order mark\n" + GOOD, encoding="utf-8-sig")
    smoke = load_experiment("smoke")
    assert load_experiment(str(path)).fingerprint() == smoke.fingerprint()
    path.write_text(GOOD.replace("seed = 2015", "seed = 2016"))
    assert load_experiment(str(path)).fingerprint() != smoke.fingerprint()


def test_pictures_grow_by_steps_and_end_at_the_input_size(tiny):
    experiment = msgspec.structs.replace(tiny, sizes=(SizeStep(64, 32 * 10), SizeStep(80, 32 * 10 + 1)))
    sides = [experiment.px_at(step) for step in range(14)]
    assert sides == [64] * 10 + [80] + [112] * 3  # a step has the size of its first image
    assert {tiny.px_at(step) for step in range(14)} == {112}


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ([(64, 10), (80, 10)], r"sizes end after \[10, 10\]"),
        ([(64, 20), (80, 10)], r"sizes end after \[20, 10\]"),
        ([(128, 20)], "sizes shows pictures at 128 px"),
        ([(0, 20)], r"Expected `int` >= 1 - at `\$\.sizes"),
    ],
)
def test_sizes_that_cannot_be_are_refused(tmp_path, sizes, complaint):
    path = tmp_path / "smoke.toml"
    path.write_text(GOOD + "".join(SIZE.format(*size) for size in sizes))
    with pytest.raises(ExperimentError, match=complaint):
        load_experiment(str(path))


def test_a_network_that_takes_one_size_only_is_refused_with_sizes(tmp_path):
    path = tmp_path / "smoke.toml"
    path.write_text(GOOD.replace("head = 64", 'head = 64\npool = "dense"') + SIZE.format(64, 10))
    with pytest.raises(ExperimentError, match=r'sizes needs backbone\.pool = "depthwise"'):
        load_experiment(str(path))


def test_one_start_is_enough(tmp_path):
    path = tmp_path / "smoke.toml"
    path.write_text('start_from = "smoke"\nfrom_weights = "embedder"\n' + GOOD)
    with pytest.raises(ExperimentError, match="start_from and from_weights both give weights"):
        load_experiment(str(path))


def test_weights_replace_another_start_and_only_embedder_and_detector_take_them(tiny):
    started = with_weights(msgspec.structs.replace(tiny, start_from="smoke"), "mine.safetensors")
    assert (started.start_from, started.from_weights) == (None, "mine.safetensors")
    assert started.fingerprint() != tiny.fingerprint()
    with pytest.raises(ExperimentError, match="'smoke-omniglot-koch' is neither embedder nor detector"):
        with_weights(load_experiment("smoke-omniglot-koch"), "embedder")


def test_a_value_that_is_not_given_is_no_part_of_the_fingerprint(tiny):
    """A new field with a default must not make the checkpoints of a long run useless."""
    written = msgspec.json.encode(tiny).decode()
    for name in (
        "sizes",
        "from_weights",
        "seed",
        "muon_learning_rate",
        "distill_bank",
        "held_out_every",
        "augmentation_shares",
    ):
        assert name not in written


def test_the_fingerprints_of_long_runs_stay():
    """Shipped cards and the checkpoints of runs in progress have these; a change of the code must not change them."""
    runs = {
        "detector-first": "979bb54f24df",
        "detector": "42ede130a4cd",
        "embedder-trunk": "0da9b33f83f1",
    }
    assert {name: load_experiment(name).fingerprint() for name in runs} == runs
