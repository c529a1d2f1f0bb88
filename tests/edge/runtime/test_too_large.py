"""An answer that the broker does not take is answered by a smaller one, and ends no connection."""

from dataclasses import replace

import numpy as np
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.core.types import Frame
from tests.edge.mqtt.brokers import mosquitto
from tests.household import Household, running, until


class Noise:
    """A camera whose every snapshot is a large picture."""

    ended, dropped = False, 0

    def __init__(self):
        self._rng, self._at = np.random.default_rng(0), 0.0

    def read(self, timeout_seconds):  # noqa: ARG002 -- as a camera
        self._at += 0.1
        return Frame(self._rng.integers(0, 256, (480, 640, 3), dtype=np.uint8), self._at)

    def close(self):
        """Nothing is held open."""


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_an_answer_larger_than_the_broker_takes_is_answered_too_large(config, tmp_path, version):
    with mosquitto(tmp_path, "max_packet_size 20000") as broker, Household(broker.port) as household:
        limit = None if version == "5" else 20_000  # MQTT 3.1.1 cannot say it
        mqtt = replace(config.mqtt, port=broker.port, version=version, snapshot=True, packet_bytes_max=limit)
        with running(replace(config, mqtt=mqtt), Noise) as porch:
            until(lambda: household.newest("status") == b"online")
            until(lambda: porch.running.newest is not None)
            answer = household.ask("snapshot/get", {"transaction": "1"})
            assert (answer["code"], answer["transaction"]) == ("answer_too_large", "1")
            assert "20000 bytes" in answer["error"]
            assert household.ask("config/get", {"transaction": "2"})["status"] == "ok"
            assert porch.link.connections == 1


def test_a_response_topic_of_too_many_levels_is_not_used(porch, household):
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = "limen/answers" + "/x" * 249
    answer = household.ask("config/get", {"transaction": "1"}, properties=properties)
    assert answer["status"] == "ok"
    assert porch.link.connections == 1
