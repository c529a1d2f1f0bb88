"""The models, the gallery and the door, as configured: what there is with or without a camera and a broker."""

from dataclasses import dataclass
from pathlib import Path

from edge.config import Config
from edge.core.gallery import Gallery
from edge.core.recognizer import Recognizer, RecognizerRules
from edge.errors import ConfigError
from edge.inference import detector as detectors
from edge.inference import embedder as embedders
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.storage.gallery import SqliteGallery
from edge.storage.strangers import SqliteStrangers
from edge.system.metrics import StageTimes

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
    """Models, gallery and recognizer. times: how long each stage of a frame takes."""

    detector: Detector
    embedder: Embedder
    store: SqliteGallery
    recognizer: Recognizer
    times: StageTimes

    @classmethod
    def of(cls, config: Config) -> "Device":
        """As configured. Raises LimenError that names what is missing."""
        models, decision = config.models, config.decision
        detector = Detector(model_path("detector", models.detector), threads=models.threads)
        embedder = Embedder(model_path("embedder", models.embedder), threads=models.threads)
        card = embedder.card
        store = SqliteGallery(
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
        times = StageTimes()
        recognizer = Recognizer(
            detector,
            embedder,
            Gallery(card.sha256, card.tau_within, decision.fpir),
            store,
            RecognizerRules(decision.quality, decision.tracks, motion_gate=decision.motion_gate),
            SqliteStrangers(store) if config.strangers.keep_days else None,
            times,
        )
        return cls(detector, embedder, store, recognizer, times)

    @property
    def model(self) -> str:
        """The embedder, for people: name@sha."""
        return f"{self.embedder.card.name}@{self.embedder.card.sha256[:8]}"
