"""A device called porch that runs, before which somebody walks by again and again."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from edge.capture import open_source
from edge.config import CameraConfig, Config, GalleryConfig, MqttConfig
from tests.household import running, until


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """Somebody walks slowly through a hall; then it is empty for three seconds: longer than a track is held."""
    folder = tmp_path_factory.mktemp("footage")
    portrait = cv2.resize(astronaut(), (360, 360), interpolation=cv2.INTER_AREA)
    for number in range(85):
        frame = np.full((480, 640, 3), (120, 110, 100), dtype=np.uint8)
        if number < 25:
            left = 20 + 8 * number
            frame[100:460, left : left + 360] = portrait
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), frame[..., ::-1])
    return folder


@pytest.fixture
def config(broker, footage, tmp_path):
    return Config(
        device="porch",
        clock="trusted",  # nothing vouches for the clock of a machine that tests run on
        camera=CameraConfig("images", str(footage), fps_max=20.0),
        gallery=GalleryConfig(tmp_path / "gallery.db"),
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port, health_every_seconds=0.5),
    )


@pytest.fixture
def porch(config, household):
    """The running device: footage again and again."""
    with running(config, lambda: open_source(config.camera, loop=True)) as service:
        until(lambda: household.on("status"))
        yield service
