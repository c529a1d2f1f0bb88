"""A bad input gets one line that names it, and creates nothing."""

import base64
import os
import socket
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.api.replies import ProgressReply
from edge.commands.enroll import print_progress
from edge.commands.main import main
from edge.config import MqttConfig
from edge.errors import BrokerError
from edge.inference.runtime import interpreter_class
from edge.mqtt.controller import Controller
from edge.storage.gallery import SqliteGallery
from edge.system import clock
from tests.edge.commands.results import one_line
from tests.faults.malformed import png_that_claims

READING = [
    "people",
    "people export {}/people.limen",
    "audit",
    "identify {}/portrait.png",
    "call person/list",
    "forget Nemo",
    "rebuild",
]


@pytest.mark.parametrize("words", READING)
def test_a_command_that_reads_creates_nothing_and_says_what_is_missing(pictures, words):
    before = set(pictures.rglob("*"))
    path = pictures / "typo" / "x.db"
    result = CliRunner().invoke(main, ["--gallery", str(path), *words.format(pictures).split()])
    one_line(result, f"there is no gallery {path}: `limen enroll` and `limen run` make one; --gallery names another")
    assert set(pictures.rglob("*")) == before


def test_nobody_is_made_a_guest_before_the_time_is_known(limen, pictures, monkeypatch):
    monkeypatch.setattr(clock, "synchronized", lambda: False)
    monkeypatch.setattr(clock, "hardware_clock_agrees", lambda _now: False)
    refused = limen("enroll", "Eileen", pictures / "portrait.png", "--days", "3")
    one_line(refused, "clock_not_set", 'set clock = "trusted" where the time is right')
    assert limen("people").output.startswith("0 people")


def test_a_picture_with_more_pixels_than_can_be_read_is_one_line(limen, tmp_path):
    (tmp_path / "huge.png").write_bytes(base64.b64decode(png_that_claims(40_000, 40_000)))
    one_line(limen("identify", tmp_path / "huge.png"), "huge.png is 40000x40000 px")
    one_line(limen("run", "--fast", "--broker", "127.0.0.1:1", "--source", tmp_path / "*.png"), "no picture in")


@pytest.mark.parametrize("broker", ["a..b", "", ":1883", "host:0", "host:x", "host:70000", "a b", "x" * 64 + ".local"])
def test_a_broker_that_cannot_be_is_one_line(limen, broker):
    one_line(limen("people", "--broker", broker), f"broker {broker!r} is not HOST or HOST:PORT")


def test_of_a_silent_broker_and_of_a_device_not_heard_it_is_said_what_to_look_at(limen, broker, monkeypatch):
    monkeypatch.setattr("edge.mqtt.controller.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        one_line(limen("people", "--broker", at), "did not answer in time; does it want TLS (mqtt.ca_file)?")
    monkeypatch.undo()
    mqtt = MqttConfig(host="127.0.0.1", port=broker.port)
    with (
        Controller(mqtt, "nobody") as controller,
        pytest.raises(BrokerError, match="never seen at this broker: another name, or this user may not hear it"),
    ):
        controller.ask("person/list", {}, timeout_seconds=0.2)


def test_what_cannot_be_done_is_one_line(limen, pictures, tmp_path):
    one_line(limen("enroll", "x", pictures / "wall.png"), "no_face: image 1 shows no face")
    one_line(limen("enroll", "x", tmp_path / "gone.jpg"), "there is no picture", "gone.jpg")
    (tmp_path / "notes.jpg").write_text("no picture")
    one_line(limen("identify", tmp_path / "notes.jpg"), "notes.jpg is not JPEG, PNG")
    one_line(limen("verify", pictures / "portrait.png", pictures / "wall.png"), "wall.png shows no face")
    one_line(limen("forget", "Nemo"), "no_such_person: nobody has this name")
    one_line(
        limen("enroll", "Unknown", pictures / "portrait.png"),
        "Unknown is no name: events and presence say it where nobody is known",
    )
    many = [pictures / "portrait.png"] * 200
    one_line(
        limen("enroll", "x", *many), "at most 20 PICTURES, not 200: one is enough, and a few in different light help"
    )
    one_line(limen("people", "--device", "A B"), "device 'A B' cannot be a part of", "of lower-case letters a to z")
    one_line(limen("run", "--source", tmp_path / "gone.mp4"), "there is no video")
    one_line(limen("run", "--broker", "host:port"), "'host:port' is not HOST or HOST:PORT")
    one_line(limen("--config", tmp_path / "gone.toml", "people"), "gone.toml cannot be read")


@pytest.fixture
def closed():
    """A folder that the user may not enter, in one of everybody's; root, who may enter any, is nobody meanwhile."""
    interpreter_class()  # nobody may not be let in where it lies
    with tempfile.TemporaryDirectory() as open_to_all:
        folder = Path(open_to_all) / "closed"
        folder.mkdir(mode=0)
        folder.parent.chmod(0o777)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o700)


@pytest.mark.parametrize(
    "words",
    [
        "enroll A {}/a.png",
        "identify {}/a.png",
        "verify {}/a.png {}/a.png",
        "people export {}/people.limen",
        "people import {}/people.limen",
        "fleet key {}/household.key",
        "run --source {}/a.mp4",
        "run --source {}",
        "run --source {}/*.png",
        "--config {0.parent}/limen.toml people",
    ],
)
def test_what_this_user_may_not_enter_is_one_line(closed, words):
    beside = closed.parent
    (beside / "limen.toml").write_text(f'[models]\nembedder = "{closed}/own.tflite"\n')
    SqliteGallery(beside / "gallery.db", "a" * 64).close()
    here = ["--gallery", str(beside / "gallery.db")]
    result = CliRunner().invoke(main, [*here, *words.format(closed, closed).split()])
    one_line(result, str(closed), "is not for this user to read or write")


def test_a_reason_without_guidance_of_its_own_is_printed_in_words(capsys):
    print_progress(ProgressReply(shots=1, of=3, reason="eyes_closed"))
    print_progress(ProgressReply(shots=2, of=3, reason="too_small"))
    assert capsys.readouterr().out == "1 of 3: eyes closed\n2 of 3: come nearer\n"
    print_progress(ProgressReply(shots=3, of=3, reason=None), err=True)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "3 of 3\n")
