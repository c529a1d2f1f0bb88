"""Commands, experiments, numbers and paths of training/README.md; tests/test_readme.py runs what is short."""

import re
import shlex
from pathlib import Path

import pytest

from edge.inference.detector import STANDARD as DETECTOR
from edge.inference.embedder import LITE, STANDARD
from edge.inference.model_card import DetectorCard, EmbedderCard, read_card
from training.cli import main
from training.data.terms import PACK_TERMS, TEACHER_TERMS
from training.detector.weights import weights_to_start_from
from training.engine.detector_experiment import DetectorExperiment
from training.engine.experiment_files import load_experiment, with_weights
from training.omniglot.ladder import load_ladder

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "training" / "README.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
ENVIRONMENT = ("python3 -m venv .venv", ". .venv/bin/activate", "pip install ")
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split(" | ")]
    for line in TEXT.splitlines()
    if line.startswith("|")
]


@pytest.fixture
def mine(tmp_path):
    """The experiment of the page, in a file."""
    (block,) = [block for language, block in BLOCKS if language == "toml"]
    path = tmp_path / "mine.toml"
    path.write_text(block)
    return path


def test_every_command_is_one_of_training_or_makes_its_environment():
    assert len(COMMANDS) > 15
    for command in COMMANDS:
        assert command.startswith(("limen-train ", *ENVIRONMENT)), command


@pytest.mark.parametrize("command", sorted({line for line in COMMANDS if line.startswith("limen-train")}))
def test_a_command_has_options_and_an_experiment_that_exist(command, mine):
    _, name, *words = shlex.split(command)
    given = main.commands[name].make_context(name, words).params  # raises on what does not parse
    if "ladder" in given:
        assert load_ladder(given["ladder"]).rows
        return
    experiment = load_experiment(str(mine) if given["experiment"] == "mine.toml" else given["experiment"])
    if given["weights"] and isinstance(experiment, DetectorExperiment):
        assert weights_to_start_from(with_weights(experiment, given["weights"]))
    elif given["weights"]:
        assert experiment.backbone == load_experiment("embedder").backbone  # whose weights the page starts from


def test_the_example_experiment_trains_on_a_folder(mine):
    experiment = load_experiment(str(mine))
    assert experiment.data.source == "folder"
    assert experiment.data.held_out_fraction > 0


def test_every_pack_and_teacher_of_the_shipped_experiments_is_in_the_table_of_terms():
    shipped = [load_experiment(name) for name in ("embedder", "embedder-lite", "embedder-trunk", "detector")]
    packs = {name for experiment in shipped[:3] for name in experiment.data.packs}
    packs |= {*shipped[3].data.scenes, *shipped[3].data.negatives, *shipped[3].data.crops}
    teachers = {experiment.data.teacher for experiment in shipped}
    named = {word for row in ROWS for word in re.findall(r"\w+", row[0])}
    assert packs | teachers <= named
    assert packs <= set(PACK_TERMS)
    assert teachers <= set(TEACHER_TERMS)


def row(first):
    (found,) = [row for row in ROWS if row[0] == first]
    return found[1:]


def test_the_numbers_of_the_embedders_are_those_on_their_cards():
    for model in (STANDARD, LITE):
        card = read_card(model, EmbedderCard)
        lfw = card.measured["lfw"]
        assert row(f"`{model.name}`") == [
            f"`{card.learned_from['experiment']}`",
            f"{100 * lfw['accuracy']:.2f} %",
            f"{100 * lfw['tar_at_far']['0.001']:.2f} %",
            f"{card.parameters / 1e6:.2f} M",
            f"{card.macs / 1e6:.0f}",
            f"{card.bytes / 1e6:.2f} MB",
        ]


def test_the_numbers_of_the_detector_are_those_on_its_card():
    card = read_card(DETECTOR, DetectorCard)
    held_out, pipeline = card.measured["held_out"], card.measured["pipeline"]
    assert row(f"`{DETECTOR.name}`") == [
        f"{card.input.width}x{card.input.height}",
        f"{100 * held_out['recall']:.2f} % of {held_out['hits'] + held_out['misses']}",
        f"{held_out['false_per_100']:.2f}",
        f"{100 * held_out['landmark_error']:.1f} %, {100 * held_out['landmark_error_closer']:.1f} %",
        f"{card.parameters / 1e6:.2f} M",
        f"{card.macs / 1e6:.0f}",
        f"{card.bytes / 1e6:.2f} MB",
    ]
    words = " ".join(TEXT.split())
    assert f"an error of {100 * card.measured['teacher']['landmark_error']:.1f} %" in words
    assert f"reaches {100 * pipeline['accuracy']:.2f} % on {pipeline['pairs']:,} pairs" in words
    for kind in ("held_out_grey", "held_out_tinted"):
        assert f"finds {100 * card.measured[kind]['recall']:.1f} % of the same faces" in words


def test_every_path_of_the_map_exists():
    part = TEXT.partition("## The rooms")[2]
    paths = re.findall(r"`([\w/]+\.(?:py|html|toml))`", part)
    assert len(paths) > 15
    for path in paths:
        found = (PAGE.parent / path).exists() or (ROOT / path).exists() or list(PAGE.parent.glob(f"*/{path}"))
        assert found, path


def test_every_room_is_on_the_map():
    rooms = {path.parent.name for path in PAGE.parent.glob("*/__init__.py")}
    assert rooms <= {word for cell in ROWS for word in re.findall(r"`(\w+)`", cell[0])}
