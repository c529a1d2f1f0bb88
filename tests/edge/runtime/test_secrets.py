"""No secret, template or table of scores leaves the device: in no message, log line, report or error text."""

import base64
import json
import logging
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from skimage.data import astronaut

from edge.capture import open_source
from edge.commands.config_file import load_config
from edge.commands.main import main
from edge.config import PASSWORD_VARIABLE, SIGNING_KEY_VARIABLE, CameraConfig
from edge.errors import LimenError
from edge.mqtt.controller import Controller
from tests.household import base64_of, portrait_jpeg, running, until

PASSWORD, KEY, CAMERA = "open-sesame-of-the-porch", "a-key-of-the-household-0123456789", "camera-pass-word"
SECRETS = (PASSWORD, KEY, CAMERA)
NUMBERS_MAX = 4  # a box has four: no message has a longer list of numbers


@pytest.fixture
def secretive(tmp_path, broker):
    """A configuration with every secret there is; the path of its file."""
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "key").write_text(KEY)
    path = tmp_path / "limen.toml"
    path.write_text(
        f"""
        device = "porch"
        clock = "trusted"
        [camera]
        kind = "video"
        location = "rtsp://user:{CAMERA}@127.0.0.1:1/stream"
        [gallery]
        path = "{tmp_path}/gallery.db"
        [mqtt]
        host = "127.0.0.1"
        port = {broker.port}
        username = "porch"
        password_file = "{tmp_path}/password"
        signing_key_file = "{tmp_path}/key"
        health_every_seconds = 0.5
        """
    )
    return path


def numbers_in(value):
    """How many stand in the longest list of numbers, or object of numbers by name, anywhere in a JSON value."""
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    inner = [numbers_in(part) for part in parts]
    own = sum(isinstance(part, float) for part in parts) if isinstance(value, list) else 0
    return max([own, *inner], default=0)


def test_no_report_and_no_error_text_holds_a_secret(secretive, capfd, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    config = load_config(secretive)
    said = [repr(config).replace(str(config.camera), "")]

    def limen(*arguments):
        result = CliRunner().invoke(main, ["--config", str(secretive), *arguments])
        said.append(result.output)
        return result.output

    assert "key " in (doctor := limen("doctor"))
    assert "FAIL  camera: video rtsp://user:********@127.0.0.1:1/stream gave no frame" in doctor
    assert "there is no video rtsp//user:********@host" in limen("run", "--source", f"rtsp//user:{CAMERA}@host")
    limen("people")
    limen("people", "--device", "porch", "--broker", "127.0.0.1:1")
    limen("forget", "Nemo", "--device", "back")
    limen("audit")
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, KEY[:20])
    assert "LIMEN_MQTT_SIGNING_KEY has 20 bytes, at least 32 are wanted" in limen("people", "--device", "porch")
    monkeypatch.delenv(PASSWORD_VARIABLE)
    monkeypatch.delenv(SIGNING_KEY_VARIABLE)
    for name in ("key", "password"):
        secretive.with_name(name).write_bytes(b"\xff" + KEY.encode())
        assert f"{name} cannot be read: it is not text in UTF-8" in limen("people", "--device", "porch")
        secretive.with_name(name).write_bytes(KEY.encode())
    out, err = capfd.readouterr()
    for text in (*said, out, err, caplog.text):
        for secret in (*SECRETS, KEY[:20]):
            assert secret not in text


def test_a_stream_that_fails_is_logged_without_its_password(caplog):
    caplog.set_level(logging.DEBUG)
    source = open_source(CameraConfig("video", f"rtsp://user:{CAMERA}@127.0.0.1:1/stream"))
    until(lambda: "it is tried again" in caplog.text)
    source.close()
    assert CAMERA not in caplog.text


def test_no_message_and_no_log_line_of_a_session_holds_a_secret_a_template_or_scores(
    config, secretive, household, caplog, capfd
):
    """Everything that is asked, answered, told and logged, at the level DEBUG of every logger."""
    caplog.set_level(logging.DEBUG)
    loaded = load_config(secretive)
    config = replace(config, clock="trusted", mqtt=replace(loaded.mqtt, image_last=True))
    everything = []
    household.client.on_message = lambda _client, _userdata, message: everything.append(message)
    household.client.subscribe("#", qos=1)
    portrait = portrait_jpeg()
    with running(config, lambda: open_source(config.camera, loop=True)), Controller(config.mqtt, "porch") as asks:
        asks.wait_until_online(10)
        asks.ask("enroll/image", {"name": "Eileen", "images": [portrait]})
        asks.ask("enroll/image", {"name": "Eileen", "images": [base64_of(astronaut()[:300, 380:80:-1])]})
        embeddings = [row[0] for row in sqlite3.connect(config.gallery.path).execute("SELECT embedding FROM template")]
        seen = [message for message in everything if message.topic == "limen/porch/event"]
        until(lambda: [m for m in everything if m.topic == "limen/porch/event"][len(seen) + 2 :])
        asks.ask("recognize/image", {"image": portrait})
        for verb, fields in (
            ("person/list", {}),
            ("person/set", {"name": "Eileen", "tau": 0.5}),
            ("person/rename", {"name": "Eileen", "new_name": "Ann"}),
            ("gallery/rebuild", {}),
            ("config/get", {}),
            ("enroll/start", {"name": "Bob", "shots": 1, "timeout_seconds": 8}),
            ("person/remove", {"name": "Ann"}),
            ("person/remove", {"name": "Nemo"}),
            ("enroll/image", {"name": "x", "images": ["AAAA"]}),
            ("enroll/image", {"name": "x", "images": [base64_of(np.full((90, 90, 3), 9, np.uint8))]}),
            ("door/open", {}),
        ):
            try:
                asks.ask(verb, fields)
            except LimenError as error:
                everything.append(error)
        until(lambda: any(getattr(message, "topic", "") == "limen/porch/health" for message in everything))
    messages = [message for message in everything if hasattr(message, "payload")]
    own = [message for message in messages if "/request/" not in message.topic]
    assert any(message.topic.startswith("limen/answers/to/") for message in own)
    topics = {message.topic.split("/")[2] for message in own if message.topic.startswith("limen/porch")}
    assert topics >= {"event", "gallery", "health", "info", "presence", "person", "image", "config"}
    assert len(embeddings) == 2
    out, err = capfd.readouterr()
    errors = [str(error) for error in everything if isinstance(error, LimenError)]
    assert len(errors) >= 4
    texts = [caplog.text, out, err, *errors, *(repr(message.payload) for message in messages)]
    numbers = np.frombuffer(embeddings[0], "<f4")
    readable = [f"{value:.4f}" for value in numbers[np.abs(numbers) > 0.01][:4]]
    for text in texts:
        assert not any(secret in text for secret in SECRETS)
        assert not any(blob.hex()[:32] in text or base64.b64encode(blob).decode()[:32] in text for blob in embeddings)
        assert not all(value in text for value in readable)
    for message in own:
        assert not any(blob[:16] in message.payload for blob in embeddings)
        if message.payload.startswith(b"{"):
            assert numbers_in(json.loads(message.payload)) <= NUMBERS_MAX, message.topic
    assert numbers_in({"a": [{"b": [0.1] * 128}]}) == 128  # what would have been found
