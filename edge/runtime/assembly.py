"""From the configuration to a device: models, gallery and recognizer, with or without a camera and a broker."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from edge.config import Config
from edge.core.attention import AttentionRules
from edge.core.gallery import Gallery
from edge.core.rates import fpir_of
from edge.core.recognizer import Recognizer, RecognizerRules
from edge.errors import ConfigError, GalleryError
from edge.inference import detector as detectors
from edge.inference import embedder as embedders
from edge.inference.cohort import thresholds_of
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.runtime.history import History
from edge.storage.gallery import SqliteGallery
from edge.storage.strangers import SqliteStrangers
from edge.system.files import exists
from edge.system.metrics import StageTimes

MODELS = {
    "detector": {"standard": detectors.STANDARD},
    "embedder": {"standard": embedders.STANDARD, "lite": embedders.LITE},
}


def model_path(kind: str, name: str) -> Path:
    """The path of a shipped model by name, or of another by its path. Raises ConfigError where it is neither."""
    path = MODELS[kind].get(name, Path(name))
    if path.suffix != ".tflite":
        raise ConfigError(f"models.{kind} '{name}' is neither {' nor '.join(MODELS[kind])} nor a .tflite file")
    return path


@dataclass(frozen=True)
class Device:
    """Models, gallery, recognizer and history; a context manager that closes the files.

    times: how long each stage of a frame takes
    """

    detector: Detector
    embedder: Embedder
    store: SqliteGallery
    recognizer: Recognizer
    times: StageTimes
    history: History

    @classmethod
    def open(cls, config: Config, *, make: bool = True) -> Self:
        """The device as configured; make: also the gallery, where it is missing.

        Raises LimenError that names what is missing.
        """
        models, decision = config.models, config.decision
        detector = Detector(model_path("detector", models.detector), threads=models.threads)
        embedder = Embedder(model_path("embedder", models.embedder), threads=models.threads)
        card = embedder.card
        if decision.fpir < card.fmr_min:
            raise ConfigError(
                f"decision.fpir {decision.fpir:g}: {card.name} has thresholds down to {card.fmr_min:g}, not below"
            )
        with ExitStack() as opened:
            store = SqliteGallery(
                config.gallery.path,
                card.sha256,
                card.dimension,
                keep_crops=config.gallery.keep_crops,
                clock_trusted=config.clock == "trusted",
                make=make,
            )
            opened.callback(store.close)
            times = StageTimes()
            recognizer = Recognizer(
                detector,
                embedder,
                Gallery(card.sha256, thresholds_of(embedder.model, card), decision.fpir),
                store,
                RecognizerRules(
                    decision.quality,
                    decision.tracks,
                    motion_gate=decision.motion_gate,
                    attention=AttentionRules(config.camera.windows_per_frame_max),
                    learn=config.gallery.learn_templates,
                ),
                SqliteStrangers(store) if config.strangers.keep_days else None,
                times,
            )
            # Strangers are erased also where they are not kept now, but an earlier configuration kept them.
            recognizer.people.stores = [store, SqliteStrangers(store), store.answers, store.audit, store.nonces]
            history = History(config, recognizer.gallery, store, embedder)
            opened.pop_all()
        return cls(detector, embedder, store, recognizer, times, history)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the history and the gallery."""
        self.history.close()
        self.store.close()

    @property
    def model(self) -> str:
        """The embedder, for people: name@sha."""
        return self.embedder.card.short_name

    @property
    def clock_set(self) -> bool:
        """Whether the time of day is known, as far as the gallery can be read."""
        with suppress(GalleryError):
            return self.store.clock.now() is not None
        return False

    @property
    def fpir(self) -> float:
        """The false positive identification rate that holds: tau is not measured below the card's lowest rate."""
        gallery = self.recognizer.gallery
        return max(gallery.fpir, fpir_of(self.embedder.card.fmr_min, len(gallery.people)))


@contextmanager
def open_or_empty(config: Config) -> Iterator[Device]:
    """The device as configured, for who only looks: where its gallery is missing, with an empty one that is dropped."""
    with ExitStack() as stack:
        if not exists(config.gallery.path):
            folder = stack.enter_context(TemporaryDirectory())
            config = replace(config, gallery=replace(config.gallery, path=Path(folder) / "gallery.db"))
        yield stack.enter_context(Device.open(config))
