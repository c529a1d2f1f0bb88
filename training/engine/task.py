"""What one kind of model brings along; the trainer, the export, the card and the commands are the same for all."""

from pathlib import Path
from typing import Protocol

import numpy as np
from lightning_fabric import Fabric
from torch import nn

from edge.inference.model_card import Card
from training.embedder.training_set import Places
from training.engine.experiment import Experiment
from training.engine.trainer import RunPlan


class Data(Protocol):
    """What is learned from and measured on."""

    account: dict[str, object]
    digest: str

    def summary(self) -> str:
        """One line for people."""


class Evaluation(Protocol):
    """One measurement of an int8 model."""

    def numbers(self) -> dict[str, object]:
        """For JSON; fractions, not percent."""


class Parity(Protocol):
    """What quantization cost; a dataclass of numbers."""

    def summary(self) -> str:
        """Half a sentence for people."""


class Task(Protocol):
    """An experiment together with everything that only its kind of model knows."""

    experiment: Experiment
    card_kind: type[Card]
    input_shape: tuple[int, int, int]  # (H, W, C) of the exported model
    model_name: str  # of the exported file, without its ending

    def gather(self, places: Places, *, measure_only: bool) -> Data:
        """What the experiment learns from and is measured on; the first may be left out."""

    def fit(self, data: Data, plan: RunPlan, fabric: Fabric, runs_dir: Path) -> nn.Module:
        """Train to the end and return the learner."""

    def trained(self, runs_dir: Path) -> nn.Module:
        """The network of a finished run, at rest, on the CPU."""

    def calibration_images(self, data: Data) -> list[np.ndarray]:
        """Pictures of input_shape, uint8, that the int8 ranges are read from."""

    def lineage(self) -> dict[str, object]:
        """What it learned from, for the card."""

    def stages(self) -> list[str]:
        """The experiments to be fitted one after the other, the last is this one."""

    def export_command(self) -> str:
        """What makes the model of the finished run."""

    def terms(self) -> str:
        """What the card says of use."""

    def card(self, basics: dict[str, object], model: Path, data: Data) -> Card:
        """The card of a model just quantized, not yet measured, with what is chosen by looking at it."""

    def evaluate(self, model: Path, data: Data) -> Evaluation:
        """Measure the int8 model on everything that it did not learn from."""

    def parity(self, network: nn.Module, evaluation: Evaluation, data: Data) -> Parity:
        """Float against int8."""

    def measured(self, card: Card, evaluation: Evaluation) -> Card:
        """The card with what else the evaluation says than numbers()."""

    def write_report(self, card: Card, evaluation: Evaluation, run_dir: Path) -> Path:
        """One HTML file for people; answers its path."""
