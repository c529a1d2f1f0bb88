"""What systemd hears, at a socket like its own."""

import socket
import time
from dataclasses import replace

import pytest

from edge.config import Config, GalleryConfig, MqttConfig
from edge.core.types import Frame
from edge.demo.scene import porch
from edge.runtime.assembly import Device
from edge.system.systemd import Watchdog, notify
from tests.household import free_port, running, until


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """Everything that was said to it since this was last called."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        def heard():
            said = []
            while True:
                try:
                    said += channel.recv(1000).decode().splitlines()
                except BlockingIOError:
                    return said

        yield heard


def test_without_systemd_nothing_is_said(systemd, monkeypatch):
    """Nor is it tried: a socket that is opened would be one too many."""
    monkeypatch.delenv("NOTIFY_SOCKET")
    monkeypatch.setattr("edge.system.systemd.socket.socket", lambda *_: pytest.fail("a socket was opened"))
    notify("READY=1")
    assert systemd() == []


def test_an_abstract_address_is_understood(monkeypatch):
    name = f"limen-test-{free_port()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify("READY=1")
        assert channel.recv(100) == b"READY=1"


def test_it_is_ready_with_the_first_inference_and_fed_while_there_are_more(systemd):
    watchdog = Watchdog(inference_seconds=30, every_seconds=5)
    watchdog.frame(1, 0.0)
    assert systemd() == ["READY=1", "WATCHDOG=1"]
    for second in range(1, 20):
        watchdog.frame(1 + second // 10, float(second))
    assert systemd() == ["WATCHDOG=1"] * 3  # every five seconds


def test_frames_without_an_inference_do_not_feed_it(systemd):
    watchdog = Watchdog(inference_seconds=30, every_seconds=5)
    watchdog.frame(1, 0.0)
    systemd()
    for second in range(1, 90):
        watchdog.frame(1, float(second))
    assert len(systemd()) == 30 // 5
    assert watchdog.wants_inference(90.0)
    watchdog.frame(2, 90.0)
    assert systemd() == ["WATCHDOG=1"]


class Frames:
    """A porch with nobody there, until the camera stalls."""

    ended, dropped, stalled, at = False, 0, False, 0.0

    def read(self, timeout_seconds):
        time.sleep(min(timeout_seconds, 0.02))
        self.at += 1.0
        return None if self.stalled else Frame(porch(), self.at)

    def close(self):
        """Nothing is held open."""


@pytest.mark.parametrize("recognition", [True, False])
def test_the_service_feeds_it_until_the_camera_stalls(systemd, tmp_path, monkeypatch, recognition):
    """Also when nothing moves, when recognition is switched off, and when there is no broker."""
    monkeypatch.setattr("edge.runtime.loop.Watchdog", lambda: Watchdog(inference_seconds=1.0, every_seconds=0.1))
    config = Config(
        gallery=GalleryConfig(tmp_path / "gallery.db"), mqtt=replace(MqttConfig(host="127.0.0.1"), port=free_port())
    )
    device = Device.open(config)
    device.store.set("recognition", "yes" if recognition else "no")
    device.store.close()
    source, said = Frames(), []
    with running(config, lambda: source):
        until(lambda: said.extend(systemd()) or said.count("WATCHDOG=1") > 10)
        assert said[0] == "READY=1"
        source.stalled = True
        time.sleep(0.3)
        systemd()
        time.sleep(0.5)
        assert systemd() == []
    assert systemd() == ["STOPPING=1"]
