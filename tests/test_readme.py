"""Every command and block of README.md and the pages that it links runs; the operations page has a test of its own."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from contextlib import ExitStack, contextmanager, suppress
from urllib.request import urlopen

import cv2
import pytest

from edge.api.messages import event_message
from edge.api.verbs import convert_request
from edge.capture import open_source
from edge.commands.config_file import load_config
from edge.config import CameraConfig, Config, DecisionConfig, GalleryConfig, MqttConfig
from edge.core.events import Event
from edge.core.rates import fmr_of
from edge.core.types import Quality
from edge.demo.scene import porch, with_person
from edge.demo.story import portrait
from edge.inference.cohort import thresholds_of
from edge.inference.detector import STANDARD as DETECTOR
from edge.inference.embedder import LITE, STANDARD
from edge.inference.model_card import DetectorCard, EmbedderCard, read_card
from edge.runtime.device_name import host_name
from tests.bench import accuracy
from tests.household import Broker, Household, free_port, running, until, visit
from tests.markdown import ROOT, Page, agrees
from training.data.lfw import read_lfw_photos

README, TESTS, EDGE = Page("README.md"), Page("tests/README.md"), Page("edge/README.md")
CONFIGURATION, MQTT = Page("deploy/CONFIGURATION.md"), Page("deploy/MQTT.md")
CONSOLE = Page("deploy/CONSOLE.md")
TRAINING = Page("training/README.md")
PAGES = [README, EDGE, TESTS, CONFIGURATION, MQTT, TRAINING, CONSOLE]
LINKED = [*PAGES, Page("deploy/OPERATIONS.md"), Page("deploy/rehearsal.md")]

# Each does one thing, once its environment is made.
SCRIPTS = {"deploy/demo": "limen demo", "tests/run": "pytest -n 4 --dist loadfile --no-loadscope-reorder"}
# Commands that do not run here, and why.
NOT_RUN = {
    "sudo apt install ": "it changes the operating system",
    "sudo deploy/install": "it changes the operating system; tests/deploy/test_install.py has what can be tested",
    "sudo -u limen ": "the user is there only after deploy/install",
    "git clone ": "it has a test of its own",
    "cd limen": "the clone",
    "python3 -m venv ": "this test runs in that environment",
    ". .venv/bin/activate": "this test runs in that environment",
    "pip install ": "it needs a network; this test runs in what it made",
    "deploy/demo": "it has a test of its own; limen demo runs in tests/edge/demo",
    "tests/run": "it has a test of its own; this is one of its tests",
    "limen init": "tests/edge/commands/test_init.py answers what it asks",
    "mosquitto_sub ": "the test listens by a client of its own",
    "python -m tests.faults.": "hours; tests/faults/test_faults.py injects a few of each fault",
    "python -m tests.home_assistant ": "it needs a Python with Home Assistant",
    "python -m tests.bench.memory": "minutes",
    "python -m tests.bench.console": "a minute; tests/edge/console loads every page in a browser",
    "python -m tests.bench.detector_conditions": "minutes",
    "python -m tests.bench.landmark_labels": "minutes",
    "python -m tests.bench.accuracy": "test_what_passes_at_the_shipped_tau_is_measured runs what it is made of",
    "python -m tests.bench.backbones": "a minute, for it converts three networks; tests/integration converts one",
    "python -m tests.bench.closer": "half a minute; tests/edge/core/test_closer.py has what it compares",
    "python -m tests.bench.visits": "minutes; tests/training/embedder/test_visits.py plays some",
    "limen-train evaluate embedder": "minutes; tests/integration/test_smoke.py evaluates an experiment",
    "limen-train report embedder-lite": "minutes; tests/integration/test_smoke.py writes a report",
    "limen-train report detector": "minutes; tests/integration/test_smoke_detector.py writes a report",
    "python -m tests.bench.near_lfw": "minutes; tests/training/data/test_near_lfw.py asks the teacher for some",
    "python -m tests.bench.evaluation_faces": "minutes; tests/training/data/test_face_labels.py asks for some",
    "python -m tests.bench.sets": "tests/edge/core/test_selection.py has what it counts",
    "python -m tests.bench.children": "a minute, where its pack is not decoded yet",
    "python -m tests.bench.swaps": "a minute; tests/edge/core/test_track.py swaps two people",
    "python -m tests.bench.relatives": "half a minute; tests/edge/core/test_relatives.py has the rule",
    "python -m tests.bench.learning": "half a minute; tests/edge/core/test_learning.py plays by the same rules",
    "python -m tests.bench.corrections": "half a minute; tests/edge/core/test_people.py corrects by the same rules",
    "python -m tests.bench.fine_tuning": "minutes; tests/training/embedder/test_weights.py starts from weights",
    "python -m tests.bench.verdicts": "tests/story plays by it",
    "limen-train run embedder": "hours",
    "limen-train run detector": "hours",
    "limen-train fit embedder": "hours",
    "limen-train fit detector": "hours",
    "limen-train export detector": "it needs the weights of a run that took hours",
    "limen-train run mine.toml": "it needs pictures; tests/training/test_readme.py checks the experiment",
    "limen-train fit mine.toml": "it needs weights; tests/training/embedder/test_weights.py makes some",
    "limen-train export mine.toml": "it needs the run of the line before",
    "limen-train weights ": "it needs a run or packs; tests/training has a test_weights.py of each kind",
    "limen-train omniglot --data": "hours",
    "limen-train omniglot smoke-omniglot": "tests/integration/test_smoke_omniglot.py runs it",
    "limen-train run smoke": "tests/integration/test_smoke.py runs it",
}
# What makes a command short enough: that it runs is the test, what it measures is for people.
SHORTER = {
    "limen bench": ["--frames", "2"],
    "python -m tests.bench.detector_speed": ["--rounds", "10"],
    "python -m tests.bench.embedder_speed": ["--rounds", "10"],
    "python -m tests.bench.pipeline_speed": ["--frames", "30"],
    "python -m tests.bench.footage": ["--clips", "0"],
    "python -m tests.bench.tracks": ["--clips", "1"],
    "python -m tests.bench.stills": ["--pictures", "1"],
    "python -m tests.bench.growth": ["--people", "10", "--rounds", "2"],
    "python -m tests.bench.fleet_speed": ["--people", "2", "--rounds", "1"],
}
NEEDS_SHARED = re.compile(r"\.\./shared|tests\.bench\.(\w+_speed|footage|tracks|stills)")
PROGRAMS = {
    "limen": [sys.executable, "-m", "edge"],
    "limen-train": [sys.executable, "-m", "training"],
    "python": [sys.executable],
}
# Blocks of limen's commands, by what stands in them; the tests below run each.
FIRST_EVENT, HOUSEHOLD, PICTURES = (
    (README, "/dev/video0"),
    (README, "limen forget"),
    (EDGE, "limen --gallery people.db identify"),
)
HERE, IN_THE_NETWORK, IN_A_FRAME = (CONSOLE, "pip install"), (CONSOLE, "--set-password"), (CONSOLE, "--frame")
LISTEN, VERBS, INIT, DOCTOR, BENCH = (
    (README, "mosquitto_sub"),
    (MQTT, "limen call"),
    (CONFIGURATION, "porch.toml init"),
    (CONFIGURATION, "limen.toml doctor"),
    (TESTS, "limen bench"),
)
RUN = FIRST_EVENT, LISTEN, HOUSEHOLD, PICTURES, VERBS, INIT, DOCTOR, BENCH, HERE, IN_THE_NETWORK, IN_A_FRAME
# People of the demo's sheet.
ALICE, VISITOR, CAROL = 0, 1, 3


def run(words, folder, expect=0):
    done = subprocess.run(
        [*PROGRAMS[words[0]], *words[1:]], cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def commands_that_begin(*beginnings):
    """Of all pages, those that run."""
    found = {command for page in PAGES for command in page.commands if command.startswith(beginnings)}
    return sorted(command for command in found if not command.startswith(tuple(NOT_RUN)))


def test_the_readme_has_its_two_commands_first():
    assert [block.strip() for block in README.blocks_of("sh")[:2]] == ["deploy/demo", "tests/run"]


@pytest.mark.parametrize("command", sorted({command for page in PAGES for command in page.commands}))
def test_no_command_is_left_out(command):
    assert command.startswith((*NOT_RUN, "limen ", "limen-train ", "python -m tests.bench."))
    assert subprocess.run(["bash", "-nc", command], check=False).returncode == 0


def test_every_block_of_limens_commands_is_run_by_a_test_below():
    for page in PAGES:
        for block in page.blocks_of("sh"):
            if "\nlimen " in f"\n{block}":
                assert [where for where in RUN if where[0] == page and where[1] in block], block


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted({command for page in PAGES for command in page.commands}))
def test_a_program_that_does_not_run_here_takes_what_it_is_called_with(command):
    """Those of training: tests/training/test_readme.py."""
    if command.startswith("python -m ") and command.startswith(tuple(NOT_RUN)):
        _, _, program, *options = shlex.split(command)
        module = importlib.import_module(program)
        if hasattr(module, "__path__"):
            module = importlib.import_module(f"{program}.__main__")
        module.main.make_context(program, options)  # raises where it does not take them


@pytest.mark.parametrize(("script", "ends_with"), SCRIPTS.items())
def test_a_script_makes_an_environment_and_does_one_thing(script, ends_with):
    lines = (ROOT / script).read_text().splitlines()
    assert lines[-1] == f'{ends_with} "$@"'
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0
    assert os.access(ROOT / script, os.X_OK)


def test_a_clone_has_what_the_readme_runs(tmp_path):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    (command,) = [command for command in README.commands if command.startswith("git clone")]
    subprocess.run(shlex.split(command.replace("ADDRESS", str(ROOT))), cwd=tmp_path, check=True, capture_output=True)
    for script in SCRIPTS:
        assert os.access(tmp_path / "limen" / script, os.X_OK)
    assert (tmp_path / "limen" / "pyproject.toml").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("command", commands_that_begin("limen-train ", "python -m ", "limen bench"))
def test_a_measurement_runs(command, tmp_path):
    if NEEDS_SHARED.search(command) and not (ROOT.parent / "shared").is_dir():
        pytest.skip("../shared is not here: this command measures on it")
    options = ["--runs", str(tmp_path)] if command.startswith("limen-train ") else []
    for beginning, shorter in SHORTER.items():
        options += shorter if command.startswith(beginning) else []
    run([*shlex.split(command), *options], ROOT)


@contextmanager
def process(words, folder):
    """A command that goes on until it is stopped."""
    with (folder / "log").open("wb") as log:
        # NiceGUI serves nothing where it sees that pytest runs.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        command = [*PROGRAMS[words[0]], *words[1:]]
        started = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        try:
            yield
        finally:
            started.terminate()
            assert started.wait(timeout=60) == 0, (folder / "log").read_text()


def draw_pictures(folder):
    """Somebody at the door, and pictures of three people, one of them twice."""
    (folder / "footage").mkdir()
    for number, pose in enumerate(visit(0.0)):
        cv2.imwrite(str(folder / "footage" / f"{number:03d}.jpg"), with_person(porch(), VISITOR, pose)[..., ::-1])
    people = {"alice.jpg": (ALICE, 2.0), "visitor.jpg": (ALICE, 1.0), "carol.jpg": (CAROL, 2.0)}
    for name, (person, look) in people.items():
        (folder / name).write_bytes(portrait(person, look))


def test_init_writes_what_it_is_told(tmp_path):
    (command,) = commands_that_begin("limen --config porch.toml init")
    run(shlex.split(command), tmp_path)
    config = load_config(tmp_path / "porch.toml")
    assert (config.device, config.mqtt.host, config.camera.location) == (
        "porch",
        "broker.lan",
        "rtsp://camera.lan/stream",
    )


def block_with(page, text):
    (block,) = [block for block in page.blocks_of("sh") if text in block]
    return [shlex.split(line) for line in block.splitlines() if line.startswith("limen ")]


@pytest.mark.slow
def test_the_first_five_minutes_end_in_an_event(tmp_path):
    draw_pictures(tmp_path)
    (tmp_path / "alice.jpg").write_bytes(portrait(VISITOR, 2.0))
    (watch,), (enroll,) = block_with(*FIRST_EVENT), block_with(*LISTEN)
    with Broker(tmp_path) as broker, Household(broker.port, host_name()) as household:
        address = f"127.0.0.1:{broker.port}"
        watch[watch.index("/dev/video0")] = str(tmp_path / "footage")
        enroll[enroll.index("localhost")] = address
        (listen,) = [command for command in README.commands if command.startswith("mosquitto_sub")]
        assert "-t limen/+/event" in listen
        with process([*watch, "--loop", "--broker", address], tmp_path):
            until(lambda: household.newest("status") == b"online")
            assert run(enroll, tmp_path) == "Alice: 1 template added\n"
            event = household.next_event(0, event_type="recognized")  # an update, where the visit began before
    assert event["name"] == "Alice"
    (shown,) = [json.loads(block) for block in README.blocks_of("json")]
    assert event.keys() == shown.keys()


@contextmanager
def a_porch(folder, port):
    """A device called porch that runs; somebody comes to it again and again."""
    camera = CameraConfig("images", str(folder / "footage"))
    mqtt = MqttConfig(host="127.0.0.1", port=port)
    config = Config(
        device="porch", clock="trusted", camera=camera, gallery=GalleryConfig(folder / "gallery.db"), mqtt=mqtt
    )
    with running(config, lambda: open_source(config.camera, loop=True)), Household(port) as household:
        until(lambda: household.newest("status") == b"online")
        yield


@pytest.mark.slow
@pytest.mark.parametrize(("page", "text"), [HOUSEHOLD, VERBS], ids=["README", "MQTT"])
def test_the_commands_of_a_household_run_one_after_the_other(page, text, tmp_path):
    draw_pictures(tmp_path)
    said = []
    with Broker(tmp_path) as broker, a_porch(tmp_path, broker.port):
        for words in block_with(page, text):
            here = [f"127.0.0.1:{broker.port}" if word == "porch.local" else word for word in words]
            said.append(run(here, tmp_path))
    if page is README:
        alice, bob, carol, people, alice_set, forgotten = said
        assert alice == "Alice: 1 template added\n"
        assert "Bob: 5 templates added\n" in bob
        assert carol == "Carol: 1 template added; a guest, forgotten after 3 days\n"
        assert [line.split()[0] for line in people.splitlines()] == ["Alice", "Bob", "Carol", "3"]
        assert json.loads(alice_set)["notify"] is False
        assert forgotten.startswith("Alice: forgotten; 1 template and 1 picture overwritten")


@pytest.mark.slow
@pytest.mark.parametrize(("page", "text"), [PICTURES, DOCTOR], ids=["edge", "CONFIGURATION"])
def test_the_commands_of_one_machine_run_one_after_the_other(page, text, tmp_path):
    draw_pictures(tmp_path)
    (tmp_path / "limen.toml").write_text(CONFIGURATION.blocks_of("toml")[0])
    with ExitStack() as stack:
        for words in block_with(page, text):
            more = []
            if "limen.toml" in words:
                broker = stack.enter_context(Broker(tmp_path))
                more = ["--source", str(tmp_path / "footage"), "--broker", f"127.0.0.1:{broker.port}"]
            if words[-1] == "run":
                more.append("--fast")
            if words[1] == "bench":
                more += ["--frames", "2"]
            run([*words, *more], tmp_path)


@pytest.mark.slow
def test_the_console_is_served_as_its_page_says(tmp_path):
    (here,), (set_password, in_the_network) = block_with(*HERE), block_with(*IN_THE_NETWORK)
    (in_a_frame,) = block_with(*IN_A_FRAME)
    entered = "long enough a word\n"
    command = [*PROGRAMS["limen"], *set_password[1:]]
    asked = subprocess.run(command, cwd=tmp_path, input=2 * entered, capture_output=True, text=True, check=True)
    assert "console.password: written" in asked.stdout
    login = 'type="password"'
    with Broker(tmp_path) as broker:
        for words, shown in ((here, "Recent events"), (in_the_network, login), (in_a_frame, login)):
            port = free_port()
            if "--host" in words:
                words[words.index("192.168.1.20")] = "127.0.0.1"
            words[words.index("porch.local")] = f"127.0.0.1:{broker.port}"
            with process([*words, "--no-show", "--port", str(port)], tmp_path):
                assert shown in until(lambda port=port: page_at(port))


def page_at(port):
    """What a browser would get, empty before there is anything."""
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
        return page.read().decode()
    return ""


@pytest.mark.parametrize(("page", "block"), [(page, block) for page in PAGES for block in page.blocks_of("python")])
def test_a_python_block_runs(page, block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw_pictures(tmp_path)
    exec(compile(block, page.name, "exec"), {})  # noqa: S102 -- the page is ours


@pytest.mark.parametrize("block", [block for page in PAGES for block in page.blocks_of("toml") if "# limen" in block])
def test_a_configuration_holds(block, tmp_path):
    (tmp_path / "limen.toml").write_text(block)
    assert load_config(tmp_path / "limen.toml") != Config()


def test_every_toml_block_is_a_configuration_or_an_experiment():
    for page in PAGES:
        for block in page.blocks_of("toml"):
            assert block.startswith("# limen.toml") or page == TRAINING


def test_the_event_in_the_readme_is_what_the_device_publishes():
    (event,) = [json.loads(block) for block in README.blocks_of("json")]
    seen = Event(
        event["event_type"], event["phase"], event["track"], 0.0, event["name"], event["person_id"], event["why"],
        distance=event["distance"], tau=event["tau"], votes=event["votes"],
        quality=Quality(0.837, 11.2, 90.0, 42.4, -3.1, None),
        box=tuple(event["box"]), faces_in_frame=event["faces_in_frame"],
    )  # fmt: skip
    message = event_message(seen, event["id"], event["seq"], event["ts"], event["model"])
    assert json.loads(message.json()) == event


def test_the_request_on_the_page_of_mqtt_is_one():
    (block,) = MQTT.blocks_of("json")
    request = convert_request("enroll/image", json.loads(block))
    assert (request.name, request.transaction) == ("Alice", "8f2c")


def test_the_demos_people_are_as_their_card_has_them():
    distance = json.loads((ROOT / "edge" / "demo" / "people.json").read_text())["distance"]
    words = " ".join(EDGE.text.split())
    assert f"at most {distance['within_max']:.2f} apart" in words
    assert f"at least {distance['between_min']:.2f} (" in words


def test_the_accuracy_in_the_readme_is_that_on_the_cards():
    cards = [read_card(model, EmbedderCard) for model in (STANDARD, LITE)]
    fmr = fmr_of(DecisionConfig().fpir, accuracy.PEOPLE)
    pairs = zip((STANDARD, LITE), cards, strict=True)
    taus = [f"{thresholds_of(model, card).nominal(fmr):.3f}" for model, card in pairs]
    assert f"tau {taus[0]} in an ordinary comparison, or {taus[1]} with the lite model" in README.text
    visits = [{one["people"]: one for one in card.measured["visits"]}[accuracy.PEOPLE] for card in cards]
    assert README.row("a visit of one of five people ends with their name")[:2] == [
        str(accuracy.Share(one["right_last"], one["members"])) for one in visits
    ]
    assert README.row("a visit of a stranger to five people has a name (FPIR)")[:2] == [
        f"{100 * one['fpir_measured']:.2f} % [{100 * one['fpir_interval'][0]:.2f}, {100 * one['fpir_interval'][1]:.2f}]"
        for one in visits
    ]
    lfw = [card.measured["lfw"] for card in cards]
    assert README.row("LFW protocol, each fold at its own best tau") == [
        *(f"{100 * one['accuracy']:.2f} % ± {100 * one['accuracy_std']:.2f}" for one in lfw),
        f"{lfw[0]['pairs']:,} pairs of crops",
    ]
    assert README.row("LFW pairs of one person that match where 0.1 % of the others do (TAR at FAR 0.1 %)")[:2] == [
        f"{100 * one['tar_at_far']['0.001']:.2f} %" for one in lfw
    ]
    impostors = cards[0].impostors
    assert README.row("different people match (FMR, false match rate)") == [
        *(f"{100 * card.fmr_min:g} %" for card in cards),
        f"extrapolated from {impostors.pairs:,} comparisons of {impostors.people} people held out from training",
    ]
    assert (cards[1].impostors.pairs, cards[1].impostors.people) == (impostors.pairs, impostors.people)


def test_the_detectors_accuracy_in_the_readme_is_that_on_its_card():
    card = read_card(DETECTOR, DetectorCard)
    held_out = card.measured["held_out"]
    hits, faces = held_out["hits"], held_out["hits"] + held_out["misses"]
    found, _, trials = README.row(f"faces of 24 px and more found in {card.input.width} x {card.input.height}")
    assert found == f"{100 * held_out['recall']:.2f} % {str(accuracy.Share(hits, faces)).partition('% ')[2]}"
    turned = card.measured["per_source"]["turned"]
    heads = f"{faces} faces, {turned['hits'] + turned['misses']} of them of turned heads"
    assert trials == f"{heads}; {held_out['false_per_100']:.2f} false alarms per 100 pictures"


@pytest.mark.slow
def test_what_passes_at_the_shipped_tau_is_measured(shared):
    photos = read_lfw_photos(shared)
    crops = accuracy.crops_of(photos)
    mated = README.row("two photographs of one person match")
    non_mated = README.row("two photographs of different people match")
    for column, model in enumerate((STANDARD, LITE)):
        found = accuracy.measure(photos, model, crops)
        if model == STANDARD:
            on_card = read_card(DETECTOR, DetectorCard).measured["pipeline"]
            assert on_card["embedder"] == read_card(model, EmbedderCard).sha256
            assert found.accuracy == pytest.approx(on_card["accuracy"], abs=0.005)
        assert agrees(mated[column], str(found.mated), within=0.5)
        assert agrees(non_mated[column], str(found.non_mated).replace("0.0 %", "0 %"), within=0.5)
        tau, *shares = TESTS.row(found.model)
        assert tau == f"{found.tau:.3f}"
        assert agrees(shares[0], f"{found.mated} of {found.mated.trials} pairs", within=0.5)
        assert agrees(shares[1], f"{found.non_mated} of {found.non_mated.trials} pairs", within=0.5)


def test_the_speed_in_the_readme_is_as_measured():
    pairs = {
        "a frame, nobody there": "nobody there",
        "a frame, somebody there": "somebody there",
        "frame to verdict, every face encoded": "limen",
        "the same with YuNet and MobileFaceNet in OpenCV": "YuNet and MobileFaceNet in OpenCV",
    }
    for here, there in pairs.items():
        assert README.row(here) == TESTS.row(there)[:2]
    assert README.row("memory of `limen run`")[0] in TESTS.text


def test_every_path_of_the_map_is_there():
    part = README.text.partition("## The map")[2]
    paths = [path for path in re.findall(r"`([\w./-]+)`", part) if "/" in path]
    assert len(paths) >= 8
    for path in paths:
        assert (ROOT / path).exists(), path


def test_the_layers_of_edge_are_those_that_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["edge"]]
    drawn = [f"( {layer} )" if "|" in layer else layer for layer in layers if layer != "__main__"]
    assert f"    {' > '.join(drawn)}\n" in EDGE.text
    rooms = {room.strip() for layer in layers for room in layer.split("|")} - {"__main__", "config", "errors"}
    assert {f"`{room}`" for room in rooms} <= {row[0] for row in EDGE.rows}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target, heading in page.links:
        path = (page.path.parent / target).resolve() if target else page.path
        assert path.exists(), target
        if heading:
            assert heading in Page(str(path.relative_to(ROOT))).headings, (target, heading)
