"""The models, the gallery and the door, as configured: what there is with or without a camera and a broker."""

from dataclasses import dataclass
from pathlib import Path

from edge.config import Config
from edge.core.door import Door, DoorRules
from edge.core.gallery import Gallery
from edge.errors import ConfigError
from edge.inference import detector as detectors
from edge.inference import embedder as embedders
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.meters import Stopwatch, TimedDetector, TimedEmbedder
from edge.storage.gallery_db import GalleryDb
from edge.storage.strangers_db import StrangersDb

MODELS = {
    "detector": {"standard": detectors.STANDARD},
    "embedder": {"standard": embedders.STANDARD, "lite": embedders.LITE},
}


def model_path(kind: str, name: str) -> Path:
    """Of a shipped model by name, or of one's own. Raises ConfigError where there is neither."""
    path = MODELS[kind].get(name, Path(name))
    if path.suffix != ".tflite":
        raise ConfigError(f"models.{kind} '{name}' is neither {' nor '.join(MODELS[kind])} nor a .tflite file")
    return path


@dataclass(frozen=True)
class Device:
    """What the door is made of. watches: how long the door's looks and encodings take, "detect" and "embed"."""

    detector: Detector
    embedder: Embedder
    store: GalleryDb
    door: Door
    watches: dict[str, Stopwatch]

    @classmethod
    def of(cls, config: Config) -> "Device":
        """As configured. Raises LimenError that names what is missing."""
        models, decision = config.models, config.decision
        detector = Detector(model_path("detector", models.detector), threads=models.threads)
        embedder = Embedder(model_path("embedder", models.embedder), threads=models.threads)
        card = embedder.card
        store = GalleryDb(
            config.gallery.path,
            card.sha256,
            card.dimension,
            keep_crops=config.gallery.keep_crops,
            clock_trusted=config.clock == "trusted",
        )
        if decision.fpir < card.fmr_min:
            raise ConfigError(
                f"decision.fpir {decision.fpir:g}: {card.name} is measured down to {card.fmr_min:g}, not below"
            )
        watches = {"detect": Stopwatch(), "embed": Stopwatch()}
        door = Door(
            TimedDetector(detector, watches["detect"]),
            TimedEmbedder(embedder, watches["embed"]),
            Gallery(card.sha256, card.tau_within, decision.fpir),
            store,
            DoorRules(decision.quality, decision.tracks, motion_gate=decision.motion_gate),
            StrangersDb(store) if config.strangers.keep_days else None,
        )
        return cls(detector, embedder, store, door, watches)

    @property
    def model(self) -> str:
        """The embedder, for people: name@sha."""
        return f"{self.embedder.card.name}@{self.embedder.card.sha256[:8]}"
