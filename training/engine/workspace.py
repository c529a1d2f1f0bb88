"""The folders that a command works in, and what it does there with a task."""

import fcntl
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from errno import EACCES, EAGAIN
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import ExperimentError
from training.engine.experiment import Experiment
from training.engine.machine import Machine

if TYPE_CHECKING:  # these import torch and OpenCV, which take seconds; --help and a misspelt name do not need them
    from training.data.places import Places
    from training.engine.task import Task

SHIPPED_MODELS = Path(__file__).parents[2] / "edge" / "models"


@dataclass(frozen=True)
class Workspace:
    """The folders of the data, of the cache and of the runs."""

    data_dir: Path
    cache_dir: Path
    runs_dir: Path

    @property
    def places(self) -> "Places":
        """Where the packs and teachers are, and where their decoded form is cached."""
        from training.data.places import Places

        return Places(self.data_dir, self.cache_dir)

    def run_dir(self, experiment: Experiment) -> Path:
        """The folder of the experiment's run; it is created if it does not exist."""
        folder = self.runs_dir / experiment.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def exported_model(self, experiment: Experiment) -> Path:
        """The model that the run exported, or else the one that ships under that name."""
        model = self.runs_dir / experiment.name / f"{experiment.name}.tflite"
        return model if model.is_file() else SHIPPED_MODELS / model.name

    def gather(self, task: "Task", *, measure_only: bool = False) -> Any:
        """Read the experiment's data; measure_only allows the task to leave out the training data."""
        return task.gather(self.places, measure_only=measure_only)

    def train(self, task: "Task", machine: Machine) -> Any | None:
        """Fit to the end and return the data; every process but the first returns None, and is to stop there."""
        from tqdm import tqdm

        from training.engine.trainer import RunPlan

        fabric = machine.launch()
        run_dir = self.run_dir(task.experiment)
        with alone_in(run_dir) if fabric.is_global_zero else nullcontext():
            with fabric.rank_zero_first(local=True):  # the first fills the cache, the others read it
                data = self.gather(task)
            if fabric.is_global_zero:
                (run_dir / "data.json").write_text(json.dumps(data.split_stats, indent=2))
                tqdm.write(data.summary(), file=sys.stderr)
            plan = RunPlan(run_dir, machine.loader_workers(fabric.device.type), machine.quiet)
            task.fit(data, plan, fabric, self.runs_dir)
        return data if fabric.is_global_zero else None

    def measure(self, task: "Task", data: Any, model: Path) -> tuple[Any, Any]:
        """Measure an int8 model on the experiment's held-out data; returns its card and the evaluation.

        Raises ExperimentError where another experiment made the model: it may have trained on the held-out data.
        """
        from edge.inference.model_card import Card, read_card

        made_by, experiment = read_card(model, Card).learned_from, task.experiment
        if made_by["fingerprint"] != experiment.fingerprint():
            raise ExperimentError(
                f"model {model} was made by experiment '{made_by['experiment']}' ({made_by['fingerprint']}), not by "
                f"'{experiment.name}' ({experiment.fingerprint()}): it may have trained on the held-out data"
            )
        return read_card(model, task.card_kind), task.evaluate(model, data)


@contextmanager
def alone_in(run_dir: Path) -> Iterator[None]:
    """Keep other processes from training in a folder. Raises ExperimentError where one does.

    The lock is this process's own: it ends with it, also where a loader process lives on.
    """
    with (run_dir / ".lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {EACCES, EAGAIN}:
                raise ExperimentError(
                    f"another process trains in {run_dir}: wait for it, or give another --runs or another name"
                ) from error
            sys.stderr.write(f"{run_dir} cannot be locked ({error.strerror}): train there in one process at a time\n")
        yield
