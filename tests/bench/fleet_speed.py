"""How soon one camera knows whom another enrolled, how long a new one takes for everybody, and what a flood costs.

    python -m tests.bench.fleet_speed [--people 50] [--rounds 10]

Two cameras with 10 frames a second and a real mosquitto on one machine.
"""

import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click
import cv2
import numpy as np

from edge.capture import open_source
from edge.config import CameraConfig, Config, FleetConfig, GalleryConfig, MqttConfig
from edge.demo.scene import people, porch
from edge.runtime.assembly import Device
from edge.system.crypto import new_key
from tests.household import Broker, Household, portrait_jpeg, running, until

TEMPLATES = 5  # of each person


def config_of(folder, device, port):
    return Config(
        device=device,
        camera=CameraConfig("images", str(folder / "porch.png"), fps_max=10.0),
        gallery=GalleryConfig(folder / device / "gallery.db"),
        mqtt=MqttConfig(host="127.0.0.1", port=port, health_every_seconds=1.0),
        fleet=FleetConfig(key_file=folder / "household.key"),
    )


def known(household):
    return {person["name"] for person in json.loads(household.newest("gallery") or b'{"people": []}')["people"]}


def fill(config, count):
    """People who are as alike as noise, each with crops of somebody drawn."""
    device, rng = Device.open(config), np.random.default_rng(0)
    crops = people().reshape(-1, 112, 112, 3)
    for number in range(count):
        vectors = rng.normal(size=(TEMPLATES, 128)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        chosen = [crops[index] for index in rng.integers(0, len(crops), TEMPLATES)]
        device.store.add(f"Guest {number}", list(vectors), chosen)
    device.store.close()


@click.command()
@click.option("--people", "count", type=click.IntRange(1), default=50, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True)
def main(count: int, rounds: int) -> None:
    """Print it."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        cv2.imwrite(str(folder / "porch.png"), cv2.cvtColor(porch(), cv2.COLOR_RGB2BGR))
        (folder / "household.key").write_text(new_key())
        broker = stack.enter_context(Broker(folder))
        configs = {device: config_of(folder, device, broker.port) for device in ("porch", "back")}
        fill(configs["porch"], count)
        heard = {device: stack.enter_context(Household(broker.port, device)) for device in configs}
        start(stack, configs["porch"], heard["porch"])
        until(lambda: json.loads(heard["porch"].newest("health") or b"{}").get("fleet", {}).get("unsaid") == 0)
        kept = {m.topic: len(m.payload) for m in heard["porch"].heard if "/household/" in m.topic}
        assert len(kept) == count
        began = time.monotonic()
        start(stack, configs["back"], heard["back"])
        until(lambda: len(known(heard["back"])) == count, 300)
        took, size = time.monotonic() - began, sum(kept.values()) / 1e6
        click.echo(f"a new camera knows {count} people ({size:.1f} MB) {took:.1f} s after its start")
        click.echo(f"one camera knows whom the other enrolled after {enrolled(heard, rounds)}")
        click.echo(f"frames a second, 10 asked for: {flooded(heard['back'], next(iter(kept)))}")


def start(stack, config, household):
    stack.enter_context(running(config, lambda: open_source(config.camera, loop=True)))
    until(lambda: household.newest("status") == b"online")


def enrolled(heard, rounds):
    """Milliseconds from the answer on."""
    taken = []
    for number in range(rounds):
        request = {"name": "Eileen", "images": [portrait_jpeg()]}
        assert heard["porch"].ask("enroll/image", {"transaction": f"e{number}", **request})["status"] == "ok"
        began = time.monotonic()
        until(lambda: "Eileen" in known(heard["back"]))
        taken.append(1000 * (time.monotonic() - began))
        heard["back"].ask("person/remove", {"transaction": f"r{number}", "name": "Eileen"})
        until(lambda: "Eileen" not in known(heard["porch"]))
    return f"{statistics.median(taken):.0f} ms (median of {rounds}; at most {max(taken):.0f})"


def flooded(household, topic):
    """From second to second, while somebody says as much as the broker takes that nobody sealed."""

    def fps(seconds):
        before = len(household.on("health"))
        until(lambda: len(household.on("health")) >= before + seconds)
        return [json.loads(message.payload)["fps"] for message in household.on("health")[before + 1 :]]

    calm, until_then = fps(4), time.monotonic() + 5
    sent = 0
    while time.monotonic() < until_then:
        household.client.publish(topic, bytes(100_000), qos=0).wait_for_publish(5)
        sent += 1
    flood = [json.loads(message.payload)["fps"] for message in household.on("health")[-4:]]
    refused = json.loads(household.newest("health"))["fleet"]["refused"]
    return f"{calm} before, {flood} during a flood of {sent} messages of 100 kB ({refused} refused so far)"


if __name__ == "__main__":
    main()
