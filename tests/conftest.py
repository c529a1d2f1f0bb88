"""Fixtures of all tests: small packs made on the spot, and the shared material where there is any."""

import gc
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings

from tests.collection import no_collection as without_collection
from tests.household import Broker, Household
from training.data.generated import draw_face
from training.engine.encoder_experiment import BackboneConfig, DataConfig, EmbedderExperiment, LossConfig, SamplerConfig
from training.engine.experiment import OptimizerConfig

settings.register_profile("limen", deadline=None)  # machines here are shared: no test is a clock
settings.load_profile("limen")

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

# Files and folders of tests that take longer than a second or two each: a device with a broker, a training, a process.
SLOW = (
    "deploy/test_models.py",
    "edge/commands/test_bench.py",
    "edge/demo",
    "edge/mqtt",
    "edge/runtime",
    "faults",
    "integration",
    "story",
    "test_release_1.py",
    "training/data/test_scenes.py",
    "training/detector/test_overlap.py",
    "training/engine/test_trainer.py",
    "training/test_cli.py",
)


# What takes longest, which begins first: the end of a run is not one process at work beside idle ones.
FIRST = (
    "integration/test_shipped_detector.py",
    "test_readme.py",
    "faults/test_faults.py",
    "integration/test_smoke_detector.py",
    "training/engine/test_trainer.py",
    "integration",
    "story/test_household.py",
    "edge/console/test_browser.py",
    "edge/runtime",
    "edge/demo",
    "test_release_1.py",
)


def pytest_collection_modifyitems(items):
    """Mark the slow ones (single tests elsewhere carry the marker themselves), and put the longest files first."""
    for item in items:
        path = item.path.relative_to(Path(__file__).parent)
        if any(path.is_relative_to(slow) for slow in SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: rank(item.path.relative_to(Path(__file__).parent)))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """Leave what is imported out of every later garbage collection: about 5 % less processor time where torch is."""
    gc.collect()
    gc.freeze()


def rank(path: Path) -> int:
    return next((place for place, first in enumerate(FIRST) if path.is_relative_to(first)), len(FIRST))


@pytest.fixture(scope="session")
def shared() -> Path:
    if not (SHARED / "data" / "faces" / "lfw_crops.zip").is_file():
        pytest.skip("../shared is not here: this test measures on its LFW crops")
    return SHARED


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """The project's own cache, so that packs are decoded once and not once a test run."""
    return ROOT / ".cache"


@pytest.fixture
def no_collection():
    """For inputs that are nested until the stack is used up."""
    with without_collection():
        yield


@pytest.fixture
def broker(tmp_path):
    """A real mosquitto."""
    with Broker(tmp_path) as broker:
        yield broker


@pytest.fixture
def household(broker):
    """Somebody at the broker."""
    with Household(broker.port) as household:
        yield household


def webp(image: np.ndarray) -> bytes:
    return cv2.imencode(".webp", image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()


@pytest.fixture
def make_pack(tmp_path):
    """make_pack(name, {member: bytes}) -> the path of a zip pack."""

    def make(name: str, members: dict[str, bytes]) -> Path:
        path = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        return path

    return make


@pytest.fixture
def face() -> np.ndarray:
    return draw_face(np.random.default_rng(7))


@pytest.fixture(scope="session")
def tiny() -> EmbedderExperiment:
    """A few seconds of training on drawn faces."""
    return EmbedderExperiment(
        name="tiny",
        data=DataConfig(source="generated", held_out_fraction=0.25, generated_people=48, generated_looks=6),
        backbone=BackboneConfig(stem=8, widths=(8, 8, 16, 32), blocks=(0, 0, 1, 0), head=32),
        loss=LossConfig(margin_softmax=1.0, softmax_margin=0.1, softmax_scale=8.0),
        sampler=SamplerConfig(kind="people", batch_size=32, crops_per_person=2),
        optimizer=OptimizerConfig(images=32 * 60, warmup_images=320),
        checkpoint_every_steps=5,
        validate_every_images=32 * 1000,
    )
