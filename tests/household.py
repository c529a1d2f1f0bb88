"""What the tests of the door share: a real mosquitto, somebody at it who asks and listens, and a running device."""

import base64
import json
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from itertools import count, takewhile
from pathlib import Path

import cv2
import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from skimage.data import astronaut

from edge.demo.film import FRAMES_PER_SECOND, pose_at
from edge.runtime.assembly import Device
from edge.runtime.loop import DeviceLoop

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def until(condition, seconds=30.0):
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


def visit(first_look):
    """The poses of one visit to the demo's porch, ten a second."""
    times = (number / FRAMES_PER_SECOND for number in count())
    return list(takewhile(lambda pose: pose is not None, (pose_at(seconds, first_look) for seconds in times)))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Broker:
    """A real mosquitto on a free loopback port, as often stopped and started as a test wants."""

    def __init__(self, folder: Path) -> None:
        if MOSQUITTO is None:
            pytest.skip("mosquitto is not here: apt install mosquitto")
        self.port = free_port()
        self.config = folder / "mosquitto.conf"
        self.config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            f"persistence true\npersistence_location {folder}/\nuser root\n"
            "max_packet_size 20000000\n"  # mosquitto 2.1 has 2,000,000; our requests may have 4,000,000
        )
        self.process = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        pytest.fail("mosquitto did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=10)
            self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


class Household:
    """Somebody at the broker, who asks and hears everything below limen/; the broker keeps what they miss."""

    def __init__(self, port, device="porch"):
        self.base = f"limen/{device}"
        self.heard = []
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=f"household-{id(self)}", protocol=paho.MQTTv5
        )
        self.client.on_message = lambda _client, _userdata, message: self.heard.append(message)
        self.client.on_connect = lambda client, *_: client.subscribe("limen/#", qos=1)
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.reconnect_delay_set(1, 1)
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 600
        self.client.connect("127.0.0.1", port, clean_start=False, properties=session)
        self.client.loop_start()
        assert ready.wait(10)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, verb, payload, **options):
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.client.publish(f"{self.base}/request/{verb}", data, qos=1, **options)

    def ask(self, verb, payload, answered_on=None, **options):
        """The first answer on the twin topic after asking."""
        twin = f"response/{answered_on or verb}"
        before = len(self.on(twin))
        self.send(verb, payload, **options)
        until(lambda: len(self.on(twin)) > before)
        return json.loads(self.on(twin)[before].payload)

    def on(self, name):
        return [message for message in list(self.heard) if message.topic == f"{self.base}/{name}"]

    def newest(self, name):
        """The newest payload on a topic, empty where there is none."""
        return next(
            (message.payload for message in reversed(self.heard) if message.topic == f"{self.base}/{name}"), b""
        )

    def events(self):
        return [json.loads(message.payload) for message in self.on("event")]

    def next_event(self, after, **wanted):
        """The first event from there on in which these fields have these values."""

        def found():
            return [
                event for event in self.events()[after:] if all(event[key] == value for key, value in wanted.items())
            ]

        return until(found)[0]


class Nothing:
    """A camera before which nothing happens."""

    ended, dropped = False, 0

    def read(self, timeout_seconds):
        time.sleep(min(timeout_seconds, 0.01))

    def close(self):
        """Nothing is held open."""


@contextmanager
def running(config, source):
    """The device at work in a thread of its own until the block ends; whatever fails in it fails here."""
    stop, started, services, failures = threading.Event(), threading.Event(), [], []

    def live():
        try:
            services.append(DeviceLoop(config, Device.open(config)))
            frames = source()
            started.set()
            services[0].run(frames, stop)
        except BaseException as error:  # noqa: BLE001 -- whatever it is, it belongs to the test
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=live)
    thread.start()
    assert started.wait(30)
    try:
        if failures:
            raise failures[0]
        yield services[0]
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def base64_of(image, suffix=".jpg"):
    """(H, W, 3) uint8 RGB -> an encoded picture in base64, as requests hold it."""
    return base64.b64encode(cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]))[1].tobytes()).decode()


def portrait_jpeg():
    """Somebody whose portrait is in the public domain, in base64."""
    return base64_of(astronaut()[:300, 80:380])
