"""Cameras of one household, and what their broker has."""

import json
import time
from contextlib import ExitStack, contextmanager

import paho.mqtt.client as paho

from edge.demo.scene import Pose, with_person
from edge.demo.scene import porch as porch_without_people
from edge.runtime.assembly import Device
from tests.edge.core.asking import handle
from tests.household import Household, Nothing, running, until

SHARED = "limen/household/home/person/+"


class Replication:
    """Cameras that are switched on and off, and a client that subscribes to each of them."""

    def __init__(self, stack):
        self.stack, self.on, self.configs, self.services, self.households = stack, {}, {}, {}, {}

    def switch_on(self, config):
        device = config.device
        if device not in self.households:
            self.households[device] = self.stack.enter_context(Household(config.mqtt.port, device))
        self.on[device], self.configs[device] = self.stack.enter_context(ExitStack()), config
        self.services[device] = self.on[device].enter_context(running(config, Nothing))
        until(lambda: self[device].newest("status") == b"online")
        return self[device]

    def switch_off(self, device):
        self.on.pop(device).close()
        until(lambda: self[device].newest("status") == b"offline")

    def __getitem__(self, device):
        return self.households[device]

    def health(self, device):
        return json.loads(until(lambda: self[device].newest("health")))["fleet"]

    def known(self, device):
        return sorted(
            person["name"] for person in json.loads(self[device].newest("gallery") or b'{"people":[]}')["people"]
        )

    def all_know(self, *names, seconds=30):
        until(lambda: all(self.known(device) == sorted(names) for device in self.on), seconds)

    def galleries(self):
        """What is on each disk, by device."""
        found = {}
        for device, config in self.configs.items():
            store = Device.open(config).store
            people, templates = store.load()
            store.close()
            found[device] = (
                sorted((person.person_id, person.name) for person in people),
                sorted((t.template_id, t.person_id, t.embedding.tobytes()) for t in templates),
            )
        return found


def on_disk(config, command):
    """As `limen enroll` and `limen forget` do it on the device."""
    device = Device.open(config)
    assert handle(device.recognizer, command).ok
    device.store.close()


def somebody(seed=0):
    """(H, W, 3) of a person who does not exist."""
    return with_person(porch_without_people(), seed, Pose(0.5, 0.4, 120.0))


@contextmanager
def listening(port, topic="limen/household/#", *, kept_alone=False):
    """What the broker keeps or says, by topic."""
    heard, ready = {}, []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)

    def hear(_client, _userdata, message):
        if message.retain or not kept_alone:
            heard.setdefault(message.topic, []).append(message.payload)

    client.on_message = hear
    client.on_subscribe = lambda *_: ready.append(1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(topic, qos=1)
    until(lambda: ready)
    try:
        yield client, heard
    finally:
        client.disconnect()
        client.loop_stop()


def kept_at(port):
    with listening(port, "#", kept_alone=True) as (_, heard):
        time.sleep(0.5)
        return heard


def settled(fleet, heard):
    """Wait until no camera publishes any more, and check that none has an unpublished revision."""

    def still():
        before = sum(map(len, heard.values()))
        time.sleep(2.5)
        return before == sum(map(len, heard.values()))

    until(still)
    assert all(fleet.health(device)["unsaid"] == 0 for device in fleet.on)
