"""What the doctor says of files and of the system's unit."""

import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest

from edge.commands import camera_checks, checks, file_checks
from edge.commands.checks import Finding, examine
from edge.config import CameraConfig, Config, FleetConfig, GalleryConfig, ModelsConfig, MqttConfig
from edge.errors import ModelError
from edge.mqtt.identity import instance_of
from edge.runtime.assembly import Device
from edge.runtime.device_name import keep_name
from edge.storage.gallery import SqliteGallery
from tests.household import Household, Nothing, running, until

NOBODY = 65534

CROP = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)


@pytest.fixture
def config(tmp_path):
    config = Config(gallery=GalleryConfig(tmp_path / "gallery.db"))
    with Device.open(config) as device:
        for number in range(20):
            device.store.add(f"Person {number}", [np.eye(1, 128, number, dtype=np.float32)[0]], [CROP])
    return config


def finding(config, what):
    (found,) = (one for one in examine(config, None) if one.what == what)
    return found


def test_damaged_pages_of_the_gallery_are_found_and_the_remedy_is_said(config):
    assert finding(config, "gallery") == Finding("gallery", "OK", f"{config.gallery.path}, 20 people")
    data = bytearray(config.gallery.path.read_bytes())
    page = data.find(np.eye(1, 128, 7, dtype="<f4").tobytes()) // 4096
    data[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    config.gallery.path.write_bytes(data)
    found = finding(config, "gallery")
    assert found.level == "FAIL"
    assert "bring a backup back by `limen people import`" in found.text


def test_a_damaged_template_is_said(config):
    with Device.open(config) as device, device.store.transaction():
        device.store.execute("UPDATE template SET embedding = ? WHERE rowid = 3", (bytes(512),))
    found = finding(config, "gallery")
    assert (found.level, "1 template damaged and not used: enroll these people again" in found.text) == ("WARN", True)


@pytest.fixture
def shared():
    """A folder that every user may enter; that of other tests is closed."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_secret_that_others_can_read_or_write_is_said(shared):
    names = ("gallery.db", "password", "key", "household.key", "limen.toml")
    files = {name: shared / name for name in names}
    for path in files.values():
        path.touch(mode=0o640)
    config = Config(
        gallery=GalleryConfig(files["gallery.db"]),
        camera=CameraConfig("video", "rtsp://me:secret@10.0.0.9/"),
        mqtt=MqttConfig(password_file=files["password"], key_file=files["key"]),
        fleet=FleetConfig(key_file=files["household.key"]),
    )
    assert file_checks.secrets(config, files["limen.toml"]).startswith("nobody else can read or write")
    for path, mode, can in zip(files.values(), (0o604, 0o642, 0o666, 0o644, 0o644), "rwxrr", strict=True):
        path.chmod(mode)
        word = {"r": "read", "w": "write", "x": "read and write"}[can]
        with pytest.raises(file_checks.Warned, match=f"can {word} {path}: chmod o-rwx {path}"):
            file_checks.secrets(config, files["limen.toml"])
        path.chmod(0o600)
    shared.chmod(0o777)
    with pytest.raises(file_checks.Warned, match=f"can replace {files['key']}: chmod o-w {shared}"):
        file_checks.secrets(config, None)
    for path in files.values():
        path.chmod(0o666)
    shared.chmod(0o700)
    assert file_checks.secrets(config, None).startswith("nobody else can")


@pytest.fixture
def unit(tmp_path, monkeypatch):
    """A systemctl that says what limen's unit allows and denies."""

    def says(allowed, denied):
        program = tmp_path / "bin" / "systemctl"
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            "#!/bin/sh\n"
            'test "$1 $2 $4" = "show limen.service --value" || exit 1\n'
            "case $3 in\n"
            f'--property=IPAddressAllow) echo "{allowed}";;\n'
            f'--property=IPAddressDeny) echo "{denied}";;\n'
            "esac\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    return says


HOUSEHOLD = "127.0.0.0/8 ::1/128 169.254.0.0/16 fe80::/64 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fd00::/8"
ANY = "0.0.0.0/0 ::/0"


def test_a_broker_or_camera_outside_of_the_units_addresses_is_said(unit):
    def at(broker, camera=""):
        return Config(mqtt=MqttConfig(host=broker), camera=CameraConfig("video", camera or "/dev/video0"))

    unit(HOUSEHOLD, ANY)
    assert file_checks.fence(at("192.168.1.5")) == "limen.service may reach the broker"
    assert file_checks.fence(at("localhost", "rtsp://10.1.2.3/x")).endswith("the broker and the camera")
    for broker, camera, said in (
        ("100.64.1.2", "", "the broker, 100.64.1.2"),
        ("2001:db8::1", "", "the broker, 2001:db8::1"),
        ("10.0.0.1", "rtsp://me:x@203.0.113.7:554/x", "the camera, 203.0.113.7"),
    ):
        with pytest.raises(file_checks.Warned, match=f"limen.service may not reach {said} .IPAddressAllow"):
            file_checks.fence(at(broker, camera))
    unit(f"{HOUSEHOLD} 100.64.0.0/10", ANY)
    assert file_checks.fence(at("100.64.1.2")) == "limen.service may reach the broker"
    unit("", "")
    assert file_checks.fence(at("100.64.1.2")).startswith("no address is shut out")


def test_an_address_that_cannot_be_read_is_said_without_its_password(unit):
    unit(HOUSEHOLD, ANY)
    camera = CameraConfig("video", "rtsp://admin:pa[ss@10.1.2.3/stream")
    with pytest.raises(file_checks.Warned, match=r"rtsp://admin:\*{8}@10.1.2.3/stream: .* as %XX"):
        file_checks.fence(Config(camera=camera))
    for password in ("pa[sesame]word", "[sesame]", "sesame\uff1f"):
        with pytest.raises(file_checks.Warned) as warned:
            file_checks.fence(Config(camera=CameraConfig("video", f"rtsp://admin:{password}@10.1.2.3/stream")))
        assert "sesame" not in str(warned.value)
    long = f"rtsp://{'a' * 70}.example/stream"
    with pytest.raises(OSError, match="is no name of a host"):
        file_checks.fence(Config(camera=CameraConfig("video", long)))


def test_where_there_is_no_systemd_no_address_is_shut_out(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    config = replace(Config(), mqtt=MqttConfig(host="203.0.113.7"))
    assert file_checks.fence(config).startswith("no address is shut out")


def broken(tmp_path, monkeypatch, unit):
    """A configuration with which every check of the doctor finds something, but that of the packages."""
    (tmp_path / "gallery.db").write_bytes(b"no database")
    (tmp_path / "key").write_text("x" * 64)
    unit(HOUSEHOLD, ANY)
    monkeypatch.setattr(file_checks, "open_to_others", lambda path: f"everybody can read {path}")
    monkeypatch.setattr(checks, "DISK_FREE_MB_MIN", 10**9)

    def no_runtime():
        raise ModelError("no runtime")

    monkeypatch.setattr(checks, "interpreter_class", no_runtime)
    return Config(
        gallery=GalleryConfig(tmp_path / "gallery.db"),
        models=ModelsConfig(detector="gone.tflite"),
        camera=CameraConfig("video", str(tmp_path / "gone.mp4")),
        mqtt=MqttConfig(host="203.0.113.7", password_file=tmp_path / "gone"),
    )


def test_whatever_is_amiss_has_its_remedy(tmp_path, monkeypatch, unit):
    found = list(examine(broken(tmp_path, monkeypatch, unit), None))
    assert [one.what for one in found if one.level == "OK"] == ["packages"]
    assert [one.what for one in found] == list(checks.WHAT_TO_DO)
    assert [one.remedy for one in found if one.level != "OK"] == list(checks.WHAT_TO_DO.values())[1:]


def said_to_somebody_else(path):
    """What file_checks.denied says of a path to another user than the one who runs the tests as root."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setuid(NOBODY)
            os.write(writing, str(file_checks.denied(path)).encode())
        finally:
            os._exit(0)  # whatever happens: no second pytest goes on
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as said:
        return said.read()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_a_gallery_that_belongs_to_somebody_else_is_said_once(shared):
    folder = shared / "state"
    folder.mkdir(mode=0o755)
    gallery = folder / "gallery.db"
    assert file_checks.denied(gallery) is None
    whose = file_checks.user_of(NOBODY)
    assert said_to_somebody_else(gallery) == f"user {whose} may not write {folder}, which belongs to root"
    gallery.touch(mode=0o600)
    assert said_to_somebody_else(gallery) == f"user {whose} may not write {gallery}, which belongs to root"
    folder.chmod(0o700)
    assert said_to_somebody_else(gallery) == f"user {whose} may not enter {folder}, which belongs to root"
    os.chown(gallery, NOBODY, -1)
    os.chown(folder, NOBODY, -1)
    assert said_to_somebody_else(gallery) == "None"
    assert said_to_somebody_else(Path("not there/gallery.db").absolute()) == "None"


def test_models_and_clock_are_examined_without_a_gallery_that_may_not_be_opened(config, monkeypatch):
    Device.open(config).close()
    config.gallery.path.write_bytes(b"no gallery")
    monkeypatch.setattr(file_checks, "denied", lambda path: f"user x may not write {path}, which belongs to y")
    found = {one.what: one for one in examine(config, None)}
    assert (found["models"].level, found["clock"].level) == ("OK", "WARN")
    assert (found["gallery"].level, found["gallery"].remedy) == ("FAIL", checks.ANOTHER_USER)


def test_of_a_camera_that_the_running_limen_holds_its_health_is_said(config, broker, tmp_path, monkeypatch):
    """As after every installation: nobody else can open a camera that is in use."""
    monkeypatch.setattr(camera_checks, "FRAME_SECONDS", 0.2)
    mqtt = MqttConfig(host="127.0.0.1", port=broker.port)
    config = replace(config, device="porch", mqtt=mqtt, camera=CameraConfig("video", "/dev/video99"))

    def camera(config=config):
        found = finding(config, "camera")
        return found.level, found.text

    level, failure = camera()
    assert level == "FAIL"
    with Household(broker.port) as household:

        def has(**health):
            data = json.dumps(health).encode() if health else b""
            household.client.publish("limen/porch/health", data, qos=1, retain=True)
            until(lambda: household.newest("health") == data)
            return camera()

        with running(config, Nothing):
            until(lambda: household.newest("health") and household.newest("status") == b"online")
            with closing(SqliteGallery(config.gallery.path, "a" * 64)) as store:  # as `limen run` does
                keep_name(store, config, instance_of(household.newest("info")))
            said = "the running limen has the camera"
            assert has(camera_ok=True) == ("OK", f"video /dev/video99: {said}, and its health says camera_ok")
            worse = f"{failure}; limen runs, and its health says: silent"
            assert has(camera_ok=False, camera_problem="silent") == ("FAIL", worse)
            level, text = has()  # an older ACL lets nobody but others read it
            assert (level, text.startswith(f"{failure}; limen runs and may hold it")) == ("WARN", True)
            film = replace(config, camera=CameraConfig("video", str(tmp_path / "gone.mp4")))
            assert camera(film) == ("FAIL", f"there is no video {tmp_path / 'gone.mp4'}")
            assert camera(replace(config, camera=CameraConfig("picamera")))[0] == "WARN"
            has(camera_ok=True)
            another = replace(config, gallery=GalleryConfig(tmp_path / "another" / "gallery.db"))
            assert camera(another) == ("FAIL", failure)
        until(lambda: household.newest("status") == b"offline")
        assert camera() == ("FAIL", failure)


def test_a_camera_that_can_be_opened_is_not_asked_for_at_the_broker(config, tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "1.png"), np.full((480, 640, 3), 128, dtype=np.uint8))
    monkeypatch.setattr(camera_checks, "health_of_running", None)
    config = replace(config, device="porch", camera=CameraConfig("images", str(tmp_path)))
    assert camera_checks.camera(config).startswith(f"images {tmp_path}: 640x480")
