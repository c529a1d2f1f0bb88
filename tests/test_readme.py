"""Every command and block in the README runs."""

import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import pytest
from skimage.data import astronaut

from edge.api.messages import event_message
from edge.api.requests import VERBS, convert_request
from edge.capture import open_source
from edge.config import CameraConfig, Config, GalleryConfig, MqttConfig, load_config
from edge.core.codes import Code
from edge.core.events import Event
from edge.core.types import Quality
from tests.household import Broker, Household, base64_of, running, until

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
# And what each does, once its environment is made.
SCRIPTS = {"deploy/demo": "limen demo", "tests/run": "pytest -n 2 --dist loadfile"}
ENVIRONMENT = (  # this test runs in what they made
    "sudo apt install",
    "sudo deploy/install",
    "python3 -m venv",
    ". .venv/bin/activate",
    "pip install",
)
LONG = (  # hours, or the weights of a run that took hours: only that the command exists is checked
    "limen-train run embedder",
    "limen-train run detector",
    "limen-train fit detector",
    "limen-train export detector",
    "limen-train omniglot",
)
NEEDS_SHARED = re.compile(r"shared|embedder_speed|detector_speed|pipeline_speed")
PROGRAMS = {
    "limen-train": [sys.executable, "-m", "training"],
    "limen": [sys.executable, "-m", "edge"],
    "python": [sys.executable],
}


def commands():
    for language, block in BLOCKS:
        if language == "sh":
            yield from (line for line in block.splitlines() if line and not line.startswith("#"))


def test_the_readme_has_its_two_commands_first():
    first, second = [block.strip() for language, block in BLOCKS if language == "sh"][:2]
    assert (first, second) == ("deploy/demo", "tests/run")


@pytest.mark.parametrize("command", list(commands()))
def test_no_command_is_left_out(command):
    assert command.startswith((*SCRIPTS, *ENVIRONMENT, "limen ", "limen-train ", "python -m "))


@pytest.mark.parametrize(("script", "ends_with"), SCRIPTS.items())
def test_a_script_makes_an_environment_and_does_one_thing(script, ends_with):
    """What it does is run elsewhere in the tests; what pip and apt do needs a network, which tests have not."""
    lines = (ROOT / script).read_text().splitlines()
    assert lines[-1] == f'{ends_with} "$@"'
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0
    assert os.access(ROOT / script, os.X_OK)


@pytest.mark.parametrize("command", sorted({line for line in commands() if line.startswith("limen-train")}))
def test_a_command_of_training_runs(command, tmp_path):
    words = shlex.split(command)
    if command == "limen-train run smoke":
        assert '"training", "run", "smoke"' in (ROOT / "tests" / "integration" / "test_smoke.py").read_text()
        return
    if command.startswith(LONG):
        run([*words, "--help"], ROOT)
        return
    if "../shared" in command and not (ROOT.parent / "shared").is_dir():
        pytest.skip("../shared is not here: this command measures on it")
    words += ["--runs", str(tmp_path)]
    if words[1] == "run":
        words += ["--threads", "1", "--workers", "0"]  # the tests may share two cores with anything
    run(words, ROOT)


@pytest.mark.parametrize("command", sorted({line for line in commands() if line.startswith("python -m")}))
def test_a_measurement_runs(command):
    if NEEDS_SHARED.search(command) and not (ROOT.parent / "shared").is_dir():
        pytest.skip("../shared is not here: this command measures on it")
    words = shlex.split(command)
    if "backbones" in command:
        words += ["--rounds", "10", "--seconds", "0.1"]  # that it runs is the test; what it measures is for people
    run(words, ROOT)


@pytest.mark.parametrize(
    "block", [block for language, block in BLOCKS if language == "sh" and "\nlimen " in f"\n{block}"]
)
def test_the_commands_of_a_household_run_one_after_the_other(block, tmp_path):
    """With pictures, a broker and a running device in the places of those that the README names."""
    draw_pictures(tmp_path)
    config = next(text for language, text in BLOCKS if language == "toml" and text.startswith("# limen.toml"))
    (tmp_path / "limen.toml").write_text(config)
    lines = [line for line in block.splitlines() if line.startswith("limen ")]
    with ExitStack() as stack:
        here = []
        if "porch.local" in block or "limen.toml" in block:
            broker = stack.enter_context(Broker(tmp_path))
            here = ["--broker", f"127.0.0.1:{broker.port}"]
        if "porch.local" in block:
            stack.enter_context(a_porch(tmp_path, broker.port, alice_is_known="enroll" not in block))
        for line in lines:
            words = shlex.split(line)
            if "porch.local" in words:
                words[words.index("porch.local")] = here[1]
            if "limen.toml" in words:
                words += ["--source", str(tmp_path / "footage"), *here, *(["--fast"] if words[-1] == "run" else [])]
            run(words, tmp_path)


def run(words, folder):
    assert words[0] in PROGRAMS, f"no way to run {words}: teach this test"
    done = subprocess.run(
        [*PROGRAMS[words[0]], *words[1:]], cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def a_porch(folder, port, *, alice_is_known):
    """A device called porch that runs."""
    camera = CameraConfig("images", str(folder / "footage"))
    gallery, mqtt = GalleryConfig(folder / "gallery.db"), MqttConfig(host="127.0.0.1", port=port)
    config = Config(device="porch", camera=camera, gallery=gallery, mqtt=mqtt)
    with running(config, lambda: open_source(config.camera, loop=True)), Household(port) as household:
        until(lambda: household.newest("status") == b"online")
        if alice_is_known:
            enroll = {"transaction": "t", "name": "Alice", "images": [base64_of(astronaut())]}
            assert household.ask("enroll/image", enroll)["status"] == "ok"
        yield


def draw_pictures(folder):
    """alice.png and visitor.png: the same person, once in the mirror."""
    portrait = astronaut()[..., ::-1]
    cv2.imwrite(str(folder / "alice.png"), portrait)
    cv2.imwrite(str(folder / "visitor.png"), portrait[:, ::-1])
    (folder / "footage").mkdir()
    cv2.imwrite(str(folder / "footage" / "1.png"), portrait)


@pytest.mark.parametrize("block", [block for language, block in BLOCKS if language == "python"])
def test_a_python_block_of_the_readme_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw_pictures(tmp_path)
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 -- the README is ours


@pytest.mark.parametrize("block", [block for language, block in BLOCKS if language == "toml" and "# limen" in block])
def test_a_configuration_in_the_readme_holds(block, tmp_path):
    (tmp_path / "limen.toml").write_text(block)
    assert load_config(tmp_path / "limen.toml") != Config()


def test_the_event_in_the_readme_is_what_the_device_says():
    event = next(json.loads(block) for language, block in BLOCKS if language == "json" and "event_type" in block)
    quality = Quality(0.837, 11.2, 90.0, 42.4, -3.1, None)
    seen = Event(
        event["event_type"], event["phase"], event["track"], 0.0, None, None, event["why"], tau=event["tau"],
        votes=event["votes"], quality=quality, box=tuple(event["box"]), faces_in_frame=event["faces_in_frame"],
    )  # fmt: skip
    message = event_message(seen, event["id"], event["seq"], event["ts"], event["model"])
    assert json.loads(message.json()) == event


def test_the_request_in_the_readme_is_one():
    (block,) = [block for language, block in BLOCKS if language == "json" and "event_type" not in block]
    request = convert_request("enroll/image", json.loads(block))
    assert (request.name, request.transaction) == ("Alice", "8f2c")


def test_the_table_of_requests_is_complete():
    for verb, kind in VERBS.items():
        (row,) = [line for line in README.splitlines() if line.startswith(f"| `{verb}`")]
        for field in set(kind.__struct_fields__) - {"transaction"}:
            assert f"`{field}`" in row.split("|")[2]


def test_every_code_of_a_refusal_is_told():
    told = set(re.findall(r"`(\w+)`", README + (ROOT / "deploy" / "OPERATIONS.md").read_text()))
    assert {str(code) for code in Code} - told <= {"no_image", "not_running", "answer_too_large"}


def test_what_the_readme_says_of_the_demos_people_is_on_their_card():
    card = json.loads((ROOT / "edge" / "demo" / "people.json").read_text())
    assert f"at most {card['distance']['within_max']:.2f} apart" in README
    assert f"at least {card['distance']['between_min']:.2f} (" in README


@pytest.mark.parametrize("block", [block for language, block in BLOCKS if language == "toml" and "[backbone]" in block])
def test_an_experiment_in_the_readme_holds(block, tmp_path):
    from training.engine.experiment_files import load_experiment

    path = tmp_path / "mine.toml"
    path.write_text(block)
    assert load_experiment(str(path)).optimizer.images > 0


def test_the_detectors_numbers_in_the_readme_are_those_on_its_card():
    from edge.inference.detector import STANDARD
    from edge.inference.model_card import DetectorCard, read_card

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
    from edge.inference.embedder import LITE, STANDARD
    from edge.inference.model_card import EmbedderCard, read_card

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
