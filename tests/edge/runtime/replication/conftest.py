"""Cameras of one household, on one broker or two."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from edge.config import (
    Config,
    FleetConfig,
    GalleryConfig,
    HomeAssistantConfig,
    MqttConfig,
)
from edge.runtime import peer_clocks
from edge.system.crypto import new_key
from tests.edge.runtime.replication.cameras import Replication
from tests.household import Broker


@pytest.fixture(autouse=True)
def silent(monkeypatch):
    """No camera says what time it has, but where a test is about that: where a machine knows it, all would."""
    monkeypatch.setattr(peer_clocks, "FIRST_GREETING_SECONDS", 1e6)


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "household.key"
    path.write_text(new_key())
    return path


@pytest.fixture
def camera(tmp_path, key):
    """camera(device, port) -> its configuration."""

    def of(device, port, **changes):
        return replace(
            Config(
                device=device,
                gallery=GalleryConfig(tmp_path / device / "gallery.db"),
                mqtt=MqttConfig(host="127.0.0.1", port=port, health_every_seconds=0.2),
                home_assistant=HomeAssistantConfig(discovery=False),
                fleet=FleetConfig(key_file=key),
            ),
            **changes,
        )

    return of


@pytest.fixture
def bridged(tmp_path):
    """Two brokers; the first takes everything to and from the second."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = Broker(tmp_path / "one"), Broker(tmp_path / "two")
    with one.config.open("a") as config:
        config.write(
            f"connection two\naddress 127.0.0.1:{two.port}\ntopic limen/# both 2\nrestart_timeout 1\n"
            "cleansession false\nremote_clientid bridge-of-one\n"
        )
    with two, one:
        yield one, two


@pytest.fixture
def fleet():
    with ExitStack() as stack:
        yield Replication(stack)
