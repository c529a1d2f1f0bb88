"""What a device is called that nobody gave a name: on a new machine, after an upgrade, and for who asks it."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.api.topics import Topics
from edge.commands.main import main
from edge.config import Config, GalleryConfig, MqttConfig
from edge.mqtt.device_link import DeviceLink
from edge.mqtt.identity import instance_of
from edge.runtime import device_name
from edge.runtime.device_name import host_name, keep_name, named
from edge.storage.gallery import SqliteGallery
from tests.household import Household, Nothing, running, until


@pytest.fixture
def host(monkeypatch):
    """host(name): the machine is called like that from now on."""

    def called(name):
        monkeypatch.setattr(device_name.socket, "gethostname", lambda: name)

    called("Raspberry_Pi.local")
    return called


@pytest.fixture
def limen(broker, tmp_path):
    """A command with the configuration of this machine, and the broker's address."""
    (tmp_path / "limen.toml").write_text(
        f'[gallery]\npath = "{tmp_path}/gallery.db"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        f'[camera]\nkind = "images"\nlocation = "{tmp_path}"\n'
    )
    return lambda *words: CliRunner().invoke(main, ["--config", str(tmp_path / "limen.toml"), *words])


@pytest.fixture
def config(broker, tmp_path):
    return Config(gallery=GalleryConfig(tmp_path / "gallery.db"), mqtt=MqttConfig(host="127.0.0.1", port=broker.port))


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("porch", "porch"),
        ("Raspberry_Pi.local", "raspberry-pi"),
        ("-ähm-.lan", "hm"),
        ("x" * 80, "x" * 63),
        ("localhost", "door"),
        ("household", "door"),
        ("answers.lan", "door"),
        ("", "door"),
        ("домофон", "door"),
    ],
)
def test_a_device_is_called_as_its_host(host, config, name, device):
    host(name)
    assert host_name() == device
    assert named(config).device == device
    assert named(replace(config, device="back")).device == "back"


def test_a_device_keeps_the_name_under_which_it_ran_first(host, config, limen, tmp_path):
    with Household(config.mqtt.port, "raspberry-pi") as household:
        cv2.imwrite(str(tmp_path / "wall.png"), np.full((240, 320, 3), 128, np.uint8))
        for name in ("Raspberry_Pi.local", "another"):
            host(name)
            before = len(household.on("info"))
            assert limen("run").exit_code == 0
            until(lambda before=before: len(household.on("info")) > before)
    assert named(config).device == "raspberry-pi"


def test_a_device_of_an_earlier_release_goes_on_under_its_name(host, config, tmp_path):
    SqliteGallery(tmp_path / "gallery.db", "a" * 64).close()
    assert named(config).device == "raspberry-pi"  # people were enrolled, and no device ran
    (tmp_path / "outbox.db").touch()
    assert named(config).device == "door"
    host("another")
    assert named(config).device == "door"


def test_a_gallery_that_cannot_be_read_gives_no_name(host, config, tmp_path):
    host("porch")
    (tmp_path / "gallery.db").write_bytes(b"no database")
    assert named(config).device == "porch"
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE setting (other)")
    assert named(replace(config, gallery=GalleryConfig(tmp_path / "other.db"))).device == "porch"


def test_who_names_no_device_asks_the_only_one_there_is(host, config, limen, tmp_path):
    host("desk")
    address = f"127.0.0.1:{config.mqtt.port}"
    porch = replace(config, device="porch", gallery=GalleryConfig(tmp_path / "porch" / "gallery.db"))
    back = replace(config, device="back", gallery=GalleryConfig(tmp_path / "back" / "gallery.db"))
    with running(porch, Nothing) as service:
        until(lambda: service.link.connected)
        until(lambda: limen("people", "--broker", address).output.startswith("0 people"))
        with running(back, Nothing) as another:
            until(lambda: another.link.connected)
            said = until(lambda: (said := limen("people", "--broker", address).output).count("porch") and said)
            assert "device 'desk' was never seen at this broker" in said
            assert "online are back, porch" in said
    assert "device 'desk' was never seen" in limen("people", "--broker", address).output  # one of two may be away


def test_the_doctor_finds_another_device_of_its_name(host, config, limen, tmp_path):
    host("porch")
    other = replace(config, device="porch", gallery=GalleryConfig(tmp_path / "other" / "gallery.db"))
    with running(other, Nothing), Household(config.mqtt.port, "porch") as household:
        until(lambda: household.newest("info"))
        (said,) = [line for line in limen("doctor").output.splitlines() if "broker: " in line]
        assert said.startswith("WARN")
        assert "another device is online as 'porch': give each device its own `device` name" in said
        with closing(SqliteGallery(tmp_path / "gallery.db", "a" * 64)) as store:  # it is this one
            keep_name(store, named(config), instance_of(household.newest("info")))
        (said,) = [line for line in limen("doctor").output.splitlines() if "broker: " in line]
        assert said.startswith("OK")
        assert said.endswith("this device is 'porch'")
    assert "OK    broker: " in limen("doctor").output  # it is offline


def test_two_devices_of_one_name_with_two_passwords_are_named(config, caplog, tmp_path):
    """Each has a client id of its own, so the broker lets both in."""
    links = []
    for number in range(2):
        (tmp_path / f"password-{number}").write_text(f"of {number}")
        mqtt = replace(config.mqtt, username="porch", password_file=tmp_path / f"password-{number}")
        links.append(DeviceLink(mqtt, Topics("porch")))
    one, two = links
    one.publish_state("info", b'{"instance": "1"}')
    two.publish_state("info", b'{"instance": "2"}')
    with caplog.at_level("INFO", "limen"):
        for link in links:
            link.start()
            until(lambda link=link: link.pending() == [] and link.connected and link._states.had("limen/porch/info"))
        until(lambda: one.pending() == [] and "limen/porch/info: another device publishes it too" in caplog.text)
    assert (one.connections, two.connections) == (1, 1)
    for link in links:
        link.stop()
