"""Every command and block in the README runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from skimage.data import astronaut

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
ENVIRONMENT = ("python3 -m venv", ". .venv/bin/activate", "pip install")  # this test runs inside what they made
LONG = (  # hours, or the weights of a run that took hours: only that the command exists is checked
    "limen-train run embedder",
    "limen-train run detector",
    "limen-train fit detector",
    "limen-train export detector",
)


def commands():
    for language, block in BLOCKS:
        if language == "sh":
            yield from (line for line in block.splitlines() if line and not line.startswith("#"))


def test_the_readme_has_its_two_commands_first():
    first, second = [block for language, block in BLOCKS if language == "sh"][:2]
    assert "limen-train run smoke" in first
    assert second.strip().endswith("pytest")


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_command_of_the_readme_runs(command, tmp_path):
    if command.startswith(ENVIRONMENT) or command == "pytest":
        assert command in (ROOT / ".ci" / "run").read_text() or command.endswith("'.[training]'")
        return
    words = shlex.split(command.split("  #")[0])
    if command.startswith(LONG):
        words = [*words, "--help"]
    if "../shared" in command and not (ROOT.parent / "shared").is_dir():
        pytest.skip("../shared is not here: this command measures on it")
    programs = {
        "limen-train": [sys.executable, "-m", "training"],
        "limen": [sys.executable, "-m", "edge"],
        "python": [sys.executable],
    }
    assert words[0] in programs, f"no way to run {command!r}: teach this test"
    if words[0] == "limen-train" and "--help" not in words:
        words += ["--runs", str(tmp_path)]
    if words[1] == "run" and "--help" not in words:
        words += ["--threads", "1", "--workers", "0"]  # the tests may share two cores with anything
    at_home = words[0] == "limen"  # with pictures of one's own
    if at_home:
        draw_pictures(tmp_path)
    done = subprocess.run(
        [*programs[words[0]], *words[1:]],
        cwd=tmp_path if at_home else ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


def draw_pictures(folder):
    """alice.png and visitor.png: the same person, once in the mirror."""
    portrait = astronaut()[..., ::-1]
    cv2.imwrite(str(folder / "alice.png"), portrait)
    cv2.imwrite(str(folder / "visitor.png"), portrait[:, ::-1])


@pytest.mark.parametrize("block", [block for language, block in BLOCKS if language == "python"])
def test_a_python_block_of_the_readme_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw_pictures(tmp_path)
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 -- the README is ours


@pytest.mark.parametrize("block", [block for language, block in BLOCKS if language == "toml"])
def test_an_experiment_in_the_readme_holds(block, tmp_path):
    from training.config import load_experiment

    path = tmp_path / "mine.toml"
    path.write_text(block)
    assert load_experiment(str(path)).optimizer.images > 0


def test_the_detectors_numbers_in_the_readme_are_those_on_its_card():
    from edge.inference.card import DetectorCard, read_card
    from edge.inference.detector import STANDARD

    card = read_card(STANDARD, DetectorCard)
    held_out = card.measured["held_out"]
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{STANDARD.name}`")]
    assert [cell.strip() for cell in row.split("|")[2:-1]] == [
        f"{card.input.width}x{card.input.height}",
        f"{100 * held_out['recall']:.2f} % of {held_out['hits'] + held_out['misses']}",
        f"{held_out['false_per_100']:.2f}",
        f"{100 * held_out['landmark_error']:.1f} %",
        f"{card.parameters / 1e6:.2f} M",
        f"{card.macs / 1e6:.0f}",
        f"{card.bytes / 1e6:.2f} MB",
    ]


def test_the_numbers_in_the_readme_are_those_on_the_cards():
    from edge.inference.card import EmbedderCard, read_card
    from edge.inference.embedder import LITE, STANDARD

    for model in (STANDARD, LITE):
        card = read_card(model, EmbedderCard)
        lfw = card.measured["lfw"]
        (row,) = [line for line in README.splitlines() if line.startswith(f"| `{model.name}`")]
        assert [cell.strip() for cell in row.split("|")[3:-1]] == [
            f"{100 * lfw['accuracy']:.2f} %",
            f"{100 * lfw['tar_at_far']['0.001']:.2f} %",
            f"{card.parameters / 1e6:.2f} M",
            f"{card.macs / 1e6:.0f}",
            f"{card.bytes / 1e6:.2f} MB",
        ]
