"""limen init: with options, and asked at a terminal; on real footage and a real broker."""

import os
import pty
import select
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

import cv2
import pytest
from click.testing import CliRunner
from skimage.data import astronaut

from edge.commands import file_checks, probes
from edge.commands.config_file import load_config
from edge.commands.main import main
from edge.commands.settings_file import settings_text, write_settings
from edge.config import CameraConfig, Config, GalleryConfig, HistoryConfig, MqttConfig
from edge.errors import ConfigError
from tests.edge.mqtt.brokers import mosquitto
from tests.household import Nothing, free_port, running, until

PASSWORD = "correct horse"  # noqa: S105 -- of a broker that lasts as long as a test


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Ten frames of a portrait."""
    path = tmp_path_factory.mktemp("film") / "door.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (512, 512))
    for _ in range(10):
        writer.write(astronaut()[..., ::-1])
    writer.release()
    return path


@pytest.fixture
def limen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, list(map(str, words)))


@pytest.fixture
def closed(tmp_path):
    """A broker that lets porch in, with a password."""
    folder = tmp_path / "broker"
    folder.mkdir()
    subprocess.run(["mosquitto_passwd", "-b", "-c", folder / "passwd", "porch", PASSWORD], check=True)
    (folder / "passwd").chmod(0o600)
    with mosquitto(folder, "allow_anonymous false", f"password_file {folder}/passwd") as broker:
        yield broker


def refused(result, tmp_path, *words):
    assert result.exit_code == 1, result.output
    assert all(word in result.output for word in words), result.output
    assert "Traceback" not in result.output
    assert [path.name for path in tmp_path.glob("*") if path.name != "broker"] == []


def test_options_make_a_configuration_that_the_doctor_finds_good(limen, film, broker, tmp_path):
    said = limen("init", "--yes", "--source", film, "--broker", f"127.0.0.1:{broker.port}", "--name", "porch").output
    assert "512x512; a face of 1" in said
    assert f"127.0.0.1:{broker.port} lets this device in" in said
    assert "no other device at this broker is called 'porch'" in said
    assert "next: limen doctor, then limen run" in said
    path = tmp_path / "limen.toml"
    assert load_config(path) == Config(
        device="porch",
        camera=CameraConfig("video", str(film)),
        gallery=GalleryConfig(probes_gallery(tmp_path)),
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "FAIL" not in limen("--config", path, "doctor").output
    before = path.read_text()
    again = limen("init", "--yes", "--source", film, "--no-check")
    assert "limen.toml is there already: --force replaces it" in again.output
    assert path.read_text() == before
    path.chmod(0o644)
    kept = ["--keep-hours", "72", "--scene", "--image-last", "--snapshot"]
    assert limen("init", "--yes", "--source", "rtsp://me:x@cam/1", "--no-check", "--force", *kept).exit_code == 0
    config = load_config(path)
    assert config.history == HistoryConfig(keep_hours=72, scene=True)
    assert (config.mqtt.image_last, config.mqtt.snapshot, config.camera.location) == (True, True, "rtsp://me:x@cam/1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640  # the group could read it before


def probes_gallery(folder):
    """Where people are kept: on a device with a folder of its own there, else beside the configuration."""
    there = Config().gallery.path
    return there if os.access(there.parent, os.W_OK) else folder / "gallery.db"


def test_what_does_not_work_is_said_with_the_remedy_and_nothing_is_written(limen, film, closed, tmp_path):
    at = ["init", "--yes", "--source", film, "--broker", f"127.0.0.1:{closed.port}"]
    refused(limen(*at), tmp_path, "Not authorized", "mosquitto_passwd", "--no-check")
    (tmp_path / "broker" / "wrong").write_text("wrong")
    named = [*at, "--username", "porch", "--password-file", tmp_path / "broker" / "wrong"]
    refused(limen(*named), tmp_path, "mqtt.password_file")
    port = free_port()
    refused(limen(*at[:-1], f"127.0.0.1:{port}"), tmp_path, f"127.0.0.1:{port} cannot be reached", "does a broker run")
    refused(limen(*at[:-1], "no-such-host.invalid"), tmp_path, "cannot be reached", "(mqtt.host)")
    refused(limen(*at[:2], "--source", "gone.mp4"), tmp_path, "there is no video gone.mp4")
    refused(limen(*at[:2], "--source", "picamera"), tmp_path, "python3-picamera2")
    refused(limen(*at, "--no-check", "--name", "A B"), tmp_path, "of lower-case letters a to z")
    refused(limen("init", "--source", film), tmp_path, "standard input is no terminal", "--yes")
    refused(limen("--config", "gone/limen.toml", *at), tmp_path, "mkdir -p gone")


def test_without_a_camera_none_is_proposed(limen, tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "cameras", dict)
    refused(limen("init", "--yes"), tmp_path, "no camera is connected", "--source names a file, a folder or rtsp://")
    monkeypatch.setattr(probes, "cameras", lambda: {"/dev/video9": "Webcam"})
    assert limen("init", "--yes", "--no-check").exit_code == 0
    assert load_config(tmp_path / "limen.toml").camera == CameraConfig("video", "/dev/video9")


def test_a_device_that_only_converts_is_no_camera():
    def answer(of_all, of_this):
        return probes.CAPABILITIES.pack(b"uvcvideo", b"Webcam C270", b"usb", 0x60000, of_all, of_this)

    assert len(answer(0, 0)) == (probes.QUERY >> 16) & 0x3FFF  # as the kernel's number of the request says
    assert probes.capture_name(answer(0x84A00001, 0x04200001)) == "Webcam C270"
    assert probes.capture_name(answer(0x84A00001, 0x04A00000)) is None  # its node of metadata
    assert probes.capture_name(answer(0x00000001, 0)) == "Webcam C270"  # of an old driver
    assert probes.capture_name(answer(0x84204000, 0x04204000)) is None  # memory to memory: the Pi's decoders


def test_a_namesake_at_the_broker_is_found(limen, film, broker, tmp_path):
    there = Config(
        device="porch",
        gallery=GalleryConfig(tmp_path / "other" / "gallery.db"),
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
    )
    at = ["init", "--yes", "--source", film, "--broker", f"127.0.0.1:{broker.port}", "--name", "porch"]
    with running(there, Nothing) as service:
        until(lambda: service.link.pending() == [] and service.link.connected)
        said = limen(*at)
        assert said.exit_code == 1
        assert "another device is online as 'porch': give each device its own `device` name" in said.output
        assert not (tmp_path / "limen.toml").exists()
    assert "a device 'porch' has been at this broker" in limen(*at).output


class Terminal:
    """limen init at a terminal: waits for each question, and answers it."""

    def __init__(self, folder, *words):
        ours, theirs = pty.openpty()
        self.text, self._ours = "", ours
        command = [sys.executable, "-m", "edge", *map(str, words)]
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def read_until(self, question):
        self.text = ""
        while question not in self.text:
            assert select.select([self._ours], [], [], 20)[0], f"{question!r} was not asked: {self.text}"
            self.text += os.read(self._ours, 4096).decode()
        return self.text

    def answer(self, question, text):
        before = self.read_until(question)
        os.write(self._ours, f"{text}\n".encode())
        return before

    def end(self):
        rest = ""
        with suppress(OSError):  # EIO: nobody is there any more
            while select.select([self._ours], [], [], 20)[0] and (data := os.read(self._ours, 4096)):
                rest += data.decode()
        return self.process.wait(30), rest


def answer_with_errors(terminal, film, port):
    terminal.answer("Camera, by its number", "gone.mp4")
    assert "there is no video gone.mp4" in terminal.answer("nevertheless?", "n")
    terminal.answer("Camera, by its number", film)
    assert "px is seen" in terminal.answer("Broker, HOST or HOST:PORT [localhost]", "a b")
    assert "broker 'a b' is not HOST" in terminal.answer("Broker, HOST or HOST:PORT", f"127.0.0.1:{port}")
    terminal.answer("Login at the broker", "porch")
    terminal.answer("Password:", "wrong")
    assert "mqtt.password_file" in terminal.answer("nevertheless?", "n")
    terminal.answer("Broker, HOST or HOST:PORT", f"127.0.0.1:{port}")
    terminal.answer("Login at the broker", "porch")
    hidden = terminal.answer("Password:", PASSWORD)
    hidden += terminal.answer("Name of this device", "porch")
    assert PASSWORD not in hidden
    assert "Strangers are kept too, who were not asked" in terminal.answer("How many hours", "24")
    terminal.answer("all that the camera saw?", "y")
    terminal.answer("the newest face as a picture?", "y")
    terminal.answer("Show what the camera sees", "")


def test_who_is_asked_at_a_terminal_may_err(film, closed, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    with Terminal(folder, "init") as terminal:
        answer_with_errors(terminal, film, closed.port)
        status, rest = terminal.end()
    assert (status, "limen.toml: written" in rest) == (0, True), rest
    config = load_config(folder / "limen.toml")
    assert config.history == HistoryConfig(keep_hours=24, scene=True)
    assert (config.device, config.mqtt.username, config.mqtt.password()) == ("porch", "porch", PASSWORD)
    assert (config.mqtt.image_last, config.mqtt.snapshot) == (True, False)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*")} == {
        "limen.toml": 0o600,
        "mqtt-password": 0o600,
    }
    assert PASSWORD not in (folder / "limen.toml").read_text()
    assert file_checks.secrets(config, folder / "limen.toml").startswith("nobody else can")


def test_ctrl_c_leaves_nothing(film, tmp_path):
    with Terminal(tmp_path, "init", "--source", film, "--no-check", "--name", "porch") as terminal:
        terminal.read_until("Broker, HOST or HOST:PORT")
        while terminal.process.poll() is None:  # one that comes just before the question is read waits for the next
            terminal.process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        status, rest = terminal.end()
    assert status != 0, rest
    assert list(tmp_path.glob("*")) == []


def test_files_are_written_whole_or_not_at_all(tmp_path):
    path, secret = tmp_path / "limen.toml", tmp_path / "mqtt-password"
    text = settings_text(replace(Config(), device="porch", camera=CameraConfig("video", 'a "b" \\ \x7f é.mp4')))
    with pytest.raises(ConfigError, match="device"):
        write_settings(path, text.replace('"porch"', '"A B"'), {secret: PASSWORD})
    assert list(tmp_path.glob("*")) == []
    (tmp_path / ".limen.toml.partial").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_settings(path, text, {secret: PASSWORD})
    assert [one.name for one in tmp_path.glob("*")] == [".limen.toml.partial"]
    (tmp_path / ".limen.toml.partial").rmdir()
    write_settings(path, text, {secret: PASSWORD})
    assert load_config(path).camera.location == 'a "b" \\ \x7f é.mp4'
