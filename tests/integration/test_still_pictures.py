"""Pictures as a phone takes them, of 12 megapixels; see tests.bench.stills, which has more of them."""

import numpy as np
import pytest

from edge.config import Config, GalleryConfig
from edge.runtime.assembly import Device
from tests.bench.footage import cast
from tests.bench.stills import GROUP, groups, one_person, scenes

PEAK_MB_MAX = 300


@pytest.fixture
def people_and_places(shared, tmp_path):
    rng = np.random.default_rng(1)
    with Device.open(Config(gallery=GalleryConfig(tmp_path / "gallery.db"))) as device:
        yield device.detector, cast(shared, device.recognizer, rng), scenes(shared, rng, 2), rng


def test_a_face_of_160_px_is_enrolled_and_a_group_of_twenty_is_found(people_and_places, tmp_path):
    detector, people, places, rng = people_and_places
    enrolled = one_person(tmp_path, people, places[:1], rng)
    assert enrolled.good.all()
    assert enrolled.peak_mb.max() < PEAK_MB_MAX
    group = groups(detector, people, places[1:], rng)
    assert group.found.tolist() == [GROUP]
    assert group.wrong.tolist() == [0]
