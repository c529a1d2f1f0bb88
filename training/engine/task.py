"""What one kind of model must provide; the trainer, the export, the card and the commands are the same for all."""

from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from lightning_fabric import Fabric
from torch import nn

from edge.inference.model_card import Card
from training.data.places import Places
from training.engine.experiment import Experiment
from training.engine.trainer import RunPlan


class Data(Protocol):
    """The training data and the held-out data."""

    @property
    def split_stats(self) -> dict[str, object]:
        """Numbers of the split: what is used, what is held out, what is left out and why."""

    @property
    def digest(self) -> str:
        """Changes with the training data."""

    def summary(self) -> str:
        """One line for the terminal."""


class Evaluation(Protocol):
    """One measurement of an int8 model."""

    def numbers(self) -> dict[str, object]:
        """Values for JSON; fractions, not percent."""


class Parity(Protocol):
    """The cost of quantization: a dataclass of numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def summary(self) -> str:
        """Half a sentence for the terminal."""


class Task(Protocol):
    """An experiment with everything that only its kind of model knows."""

    @property
    def experiment(self) -> Experiment:
        """What is to be trained."""

    @property
    def card_kind(self) -> type[Card]:
        """The class of its model card."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the exported model."""

    @property
    def model_name(self) -> str:
        """Name of the exported file, without its suffix."""

    def gather(self, places: Places, *, measure_only: bool) -> Any:
        """Read the data; measure_only allows the task to leave out the training data."""

    def fit(self, data: Any, plan: RunPlan, fabric: Fabric, runs_dir: Path) -> nn.Module:
        """Train to the end and return the learner."""

    def trained(self, runs_dir: Path) -> nn.Module:
        """The network of a finished run, in evaluation mode, on the CPU."""

    def calibration_images(self, data: Any) -> list[np.ndarray]:
        """Pictures of input_shape, uint8, to measure the int8 ranges on."""

    def ready_for_int8(self, network: nn.Module, images: list[np.ndarray]) -> nn.Module:
        """A network that computes the same and loses less when it is quantized; images: the calibration images."""

    def lineage(self) -> dict[str, object]:
        """The training data and the experiments before this one, for the card."""

    def stages(self) -> list[str]:
        """The names of the experiments to fit, in order; the last is this one."""

    def export_command(self) -> str:
        """The command that makes the model of the finished run."""

    def terms(self) -> str:
        """The terms of use, for the card."""

    def description(self, data: Any) -> str:
        """What the file of the model says of itself, or ""; another description makes another sha256."""

    def card(self, basics: dict[str, Any], model: Path, data: Any) -> Any:
        """The card of a model that is quantized but not yet measured; a task may choose a threshold here."""

    def evaluate(self, model: Path, data: Any) -> Any:
        """Measure the int8 model on the held-out data."""

    def parity(self, network: nn.Module, evaluation: Any, data: Any) -> Parity:
        """Compare float with int8."""

    def complete_card(self, card: Any, evaluation: Any) -> Any:
        """The card with what the evaluation found beside its numbers()."""

    def write_report(self, card: Any, evaluation: Any, run_dir: Path) -> Path:
        """Write report.html and return its path."""
