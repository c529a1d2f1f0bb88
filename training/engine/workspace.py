"""The folders an experiment lives in, and what can be done with it there."""

import json
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ExperimentError
from training.engine.experiment import DetectorExperiment, EmbedderExperiment, Experiment, SiameseExperiment

if TYPE_CHECKING:  # imported where they are used: --help and a misspelt name need not wait for torch
    from edge.inference.model_card import Card
    from training.engine.task import Data, Evaluation, Parity, Task

SHIPPED_MODELS = Path(__file__).parent.parent.parent / "edge" / "models"


@dataclass(frozen=True)
class Machine:
    """How to use the machine. Devices and precision change what is learned a little, the rest nothing.

    Every process normalises and compares within its own share of the batch, and bfloat16 rounds.
    """

    threads: int | None = None  # of each process; all cores if not given
    workers: int | None = None  # that load and augment; one on a CPU, as many as cores with a GPU
    devices: int = 1
    nodes: int = 1
    precision: str = "auto"
    quiet: bool = False


@dataclass(frozen=True)
class Workspace:
    """The folders a command works in."""

    data_dir: Path
    cache_dir: Path
    runs_dir: Path

    def run_dir(self, experiment: Experiment) -> Path:
        """The experiment's own folder, made if it is not there."""
        folder = self.runs_dir / experiment.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def gather(self, experiment: Experiment, *, measure_only: bool = False) -> "Data":
        """What the experiment learns from and is measured on; the first may be left out."""
        from training.embedder.training_set import Places

        return task_of(experiment).gather(Places(self.data_dir, self.cache_dir), measure_only=measure_only)

    def exported(self, experiment: Experiment) -> Path:
        """The model the run made, else the one that ships under that name."""
        model = self.runs_dir / experiment.name / f"{experiment.name}.tflite"
        return model if model.is_file() else SHIPPED_MODELS / model.name

    def train(self, experiment: Experiment, machine: Machine) -> "Data | None":
        """Fit to the end; answers the data, or None in every process but the first, which alone goes on from here."""
        import torch
        from lightning_fabric import Fabric
        from tqdm import tqdm

        from training.engine.trainer import RunPlan

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it repeats the precision that was asked for
        torch.set_num_threads(machine.threads or max(1, (os.cpu_count() or 1) // machine.devices))
        processes = machine.devices * machine.nodes
        launched = int(os.environ.get("WORLD_SIZE", processes))
        if launched != processes:
            raise ExperimentError(f"{launched} processes were launched, but devices x nodes is {processes}")
        try:
            fabric = Fabric(
                accelerator="auto",
                devices=machine.devices,
                num_nodes=machine.nodes,
                strategy="ddp" if processes > 1 else "auto",
                precision=best_precision() if machine.precision == "auto" else machine.precision,
            )
        except (RuntimeError, ValueError) as error:  # more GPUs than there are, say
            raise ExperimentError(f"{machine} cannot be had here: {error}") from error
        fabric.launch()
        with fabric.rank_zero_first(local=True):  # the first decodes and asks the teacher, the others find it cached
            data = self.gather(experiment)
        run_dir = self.run_dir(experiment)
        if fabric.is_global_zero:
            (run_dir / "data.json").write_text(json.dumps(data.account, indent=2))
            tqdm.write(data.summary(), file=sys.stderr)
        workers = machine.workers
        if workers is None:
            workers = (os.cpu_count() or 1) if fabric.device.type == "cuda" else 1
        task_of(experiment).fit(data, RunPlan(run_dir, workers, machine.quiet), fabric, self.runs_dir)
        return data if fabric.is_global_zero else None

    def save_weights(self, experiment: Experiment, path: Path | None) -> tuple[Path, dict]:
        """Save the float weights of a run as they stand; answers the file and what it says of them."""
        from training.embedder.task import write_weights

        if not isinstance(experiment, EmbedderExperiment):
            raise ExperimentError(f"experiment '{experiment.name}' is no embedder: its weights are not kept apart")
        path = path or self.run_dir(experiment) / f"{experiment.name}.safetensors"
        return path, write_weights(experiment, self.runs_dir, path)

    def export(
        self, experiment: Experiment, data: "Data", models_dir: Path | None, size: tuple[int, int] | None = None
    ) -> tuple["Card", "Evaluation", "Parity"]:
        """Convert, quantize, measure, and put the model with its card into the run's folder and models_dir.

        size: (width, height) of the input, for models that can have another than they learned with.
        """
        from training.export.export import export

        return export(task_of(experiment, size), data, self.runs_dir, models_dir)

    def measure(self, experiment: Experiment, data: "Data", model: Path) -> tuple["Card", "Evaluation"]:
        """Measure an int8 model on what the experiment holds out.

        Raises ExperimentError where another experiment made it: it may have learned from what it is measured on.
        """
        from edge.inference.model_card import Card, read_card

        made_by = read_card(model, Card).learned_from
        if made_by["fingerprint"] != experiment.fingerprint():
            raise ExperimentError(
                f"model {model} was made by experiment '{made_by['experiment']}' ({made_by['fingerprint']}), not by "
                f"'{experiment.name}' ({experiment.fingerprint()}): it may have learned from what it would be "
                "measured on"
            )
        task = task_of(experiment)
        return read_card(model, task.card_kind), task.evaluate(model, data)

    def report(self, experiment: Experiment, card: "Card", evaluation: "Evaluation") -> Path:
        """Write report.html into the run's folder."""
        return task_of(experiment).write_report(card, evaluation, self.run_dir(experiment))


def task_of(experiment: Experiment, size: tuple[int, int] | None = None) -> "Task":
    """What the experiment's kind of model brings along.

    Raises ExperimentError where it cannot have an input of that (width, height).
    """
    if isinstance(experiment, DetectorExperiment):
        from training.detector.task import DetectorTask

        return DetectorTask(experiment, size)
    if size is not None:
        raise ExperimentError(f"experiment '{experiment.name}': an embedder has the input size it learned with")
    if isinstance(experiment, SiameseExperiment):
        from training.omniglot.siamese import SiameseTask

        return SiameseTask(experiment)
    from training.embedder.task import EmbedderTask

    return EmbedderTask(experiment)


def best_precision() -> str:
    """bf16-mixed where the hardware has bfloat16 products (1.6 times the images/s on a CPU with AVX-512 BF16)."""
    import torch

    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"
