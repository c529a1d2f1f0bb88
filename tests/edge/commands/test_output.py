"""What each command prints: data as JSON, nothing that was not asked for, and no line of a library."""

import json
import os
import subprocess
import sys

import cv2
import pytest
from click import Group
from skimage.data import astronaut

from edge.commands.init import camera_at
from edge.commands.main import main
from edge.commands.options import camera_of
from edge.config import CameraConfig

NO_DATA = {"init", "run", "console", "demo", "fleet key"}  # each writes files or serves, and prints what it does


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    cv2.imwrite(str(folder / "eileen.png"), astronaut()[..., ::-1])
    return folder


@pytest.fixture
def limen(folder):
    """A command in a process of its own: what libraries write to the standard error is seen."""

    def call(*words, expect=0):
        command = [sys.executable, "-m", "edge", "--gallery", "people.db", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    return call


def commands(group, before=""):
    for name, command in group.commands.items():
        if isinstance(command, Group):
            yield from commands(command, f"{before}{name} ")
        if not isinstance(command, Group) or command.invoke_without_command:
            yield f"{before}{name}", command


def test_every_command_that_prints_data_prints_json():
    without = {name for name, command in commands(main) if not any("--json" in one.opts for one in command.params)}
    assert without - NO_DATA == set()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_in_the_encoding_of_any_terminal(folder, encoding):
    name = "Zo\u00eb \U0001f600"
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "edge", "--gallery", f"{encoding}.db"]
    for words, person in (
        (["enroll", name, "eileen.png", "--json"], lambda answer: answer),
        (["people", "--json"], lambda answer: answer["people"][0]),
    ):
        done = subprocess.run([*command, *words], cwd=folder, env=environment, capture_output=True, check=False)
        assert person(json.loads(done.stdout.decode(encoding)))["name"] == name


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("pictures", "images"),
        ("pictures/*.png", "images"),
        ("pictures/img_?.png", "images"),
        ("pictures/[ab].png", "images"),
        ("pictures/odd[1].mp4", "video"),  # a file of that name is there
        ("rtsp://admin:pa*ss?[x@10.1.2.3/stream", "video"),
        ("/dev/video0", "video"),
        ("picamera", "picamera"),
    ],
)
def test_a_source_is_what_it_looks_like(tmp_path, monkeypatch, source, kind):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "odd[1].mp4").touch()
    monkeypatch.chdir(tmp_path)
    assert camera_of(source, CameraConfig()).kind == kind
    whole = camera_at(source)
    assert whole.kind == kind
    if kind == "images" or source.startswith("pictures"):
        assert whole.location == str(tmp_path / source)
    elif kind == "video":
        assert whole.location == source


def test_data_is_json_and_nothing_else_is_printed(limen, folder):
    enrolled = limen("enroll", "Eileen", "eileen.png", "--json")
    assert json.loads(enrolled.stdout) == {
        "name": "Eileen",
        "pictures": 1,
        "templates": 1,
        "left_out": [],
        "refused": None,
    }
    seen = limen("identify", "eileen.png", "--json")
    assert [face["name"] for face in json.loads(seen.stdout)["faces"]] == ["Eileen"]
    assert (enrolled.stderr, seen.stderr) == ("", "")
    assert "XNNPACK" in limen("--verbose", "identify", "eileen.png").stderr
    compared = json.loads(limen("verify", "eileen.png", "eileen.png", "--json").stdout)
    assert (compared["same"], compared["distance"]) == (True, 0.0)
    found = limen("doctor", "--source", str(folder), "--broker", "127.0.0.1:1", "--json", expect=1)
    levels = {one["what"]: one["level"] for one in map(json.loads, found.stdout.splitlines())}
    assert (levels["configuration"], levels["broker"]) == ("OK", "FAIL")
    quiet = limen("--quiet", "doctor", "--source", str(folder), "--broker", "127.0.0.1:1", expect=1)
    assert {line[:4] for line in quiet.stdout.splitlines()} <= {"FAIL", "WARN", "    "}
    forgotten = limen("--quiet", "forget", "Eileen")
    assert (forgotten.stdout, forgotten.stderr) == ("", "")
