"""The checkpoint of a run: weights, optimizers, the step, and which experiment and data they belong to."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from edge.errors import ExperimentError
from training.engine.experiment import Experiment
from training.engine.weights import digest_of_weights

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    step:              optimizer steps done
    processor_seconds: of the training process, over all resumes; loader processes do not count
    data_digest:       of the training data
    started_from:      sha256 of the file of weights that the run started from; None where it did not
    """

    step: int
    processor_seconds: float
    data_digest: str
    started_from: str | None


def save_checkpoint(
    fabric: Fabric,
    run_dir: Path,
    experiment: Experiment,
    module: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    progress: Progress,
) -> None:
    """Write a new file, then rename it: a kill in between leaves the last checkpoint whole."""
    partial = run_dir / f"{CHECKPOINT}.partial"
    fabric.save(
        partial,
        {
            "experiment": experiment.name,
            "fingerprint": experiment.fingerprint(),
            "data": progress.data_digest,
            "started_from": progress.started_from,
            "step": progress.step,
            "processor_seconds": progress.processor_seconds,
            "module": module,
            **{f"optimizer_{number}": optimizer for number, optimizer in enumerate(optimizers)},
        },
    )
    if fabric.is_global_zero:
        with partial.open("rb") as file:  # a power cut must not leave the new name without the content
            os.fsync(file.fileno())
        partial.replace(run_dir / CHECKPOINT)
    fabric.barrier()


def load_checkpoint(
    run_dir: Path,
    experiment: Experiment,
    module: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    data_digest: str,
) -> Progress:
    """Load weights and optimizers, and return the progress; without a checkpoint it is step 0.

    Raises ExperimentError where the checkpoint is broken, or belongs to another experiment or to other data.
    """
    path = run_dir / CHECKPOINT
    if not path.is_file():
        return Progress(0, 0.0, data_digest, digest_of_weights(experiment))
    checkpoint = read_checkpoint(path, experiment)
    if checkpoint["data"] != data_digest:
        raise ExperimentError(
            f"checkpoint {path} was trained on other data ({checkpoint['data']}) than the present ({data_digest}): "
            "restore the data, or remove the checkpoint to start again"
        )
    module.load_state_dict(checkpoint["module"])
    for number, optimizer in enumerate(optimizers):
        optimizer.load_state_dict(checkpoint[f"optimizer_{number}"])
    return Progress(
        int(checkpoint["step"]), float(checkpoint["processor_seconds"]), data_digest, checkpoint.get("started_from")
    )


def read_checkpoint(path: Path, experiment: Experiment) -> dict[str, Any]:
    """The checkpoint as saved. Raises ExperimentError where it is missing, broken, or of another experiment."""
    if not path.is_file():
        raise ExperimentError(f"experiment '{experiment.name}' has no checkpoint {path}: run fit first")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        name, fingerprint = checkpoint["experiment"], checkpoint["fingerprint"]
    except Exception as error:  # torch.load passes on whatever pickle, zip or tensor code raises
        if isinstance(error, OSError) and error.filename is not None:  # of the system: the file may be whole
            raise
        reason = f"{type(error).__name__} {error}".splitlines()[0]
        raise ExperimentError(
            f"checkpoint {path} cannot be read ({reason}): where it is damaged, restore it, or remove it to start again"
        ) from error
    if fingerprint != experiment.fingerprint():
        raise ExperimentError(
            f"checkpoint {path} belongs to experiment '{name}' ({fingerprint}), not to '{experiment.name}' "
            f"({experiment.fingerprint()}): give the same file and --from as before, or another --runs, or remove the "
            "checkpoint to start again"
        )
    started_from = checkpoint.get("started_from")
    if started_from is not None and started_from != digest_of_weights(experiment):
        raise ExperimentError(
            f"checkpoint {path} was started from other weights than the present: restore them, or remove the "
            "checkpoint to start again"
        )
    return checkpoint


def trained_weights(run_dir: Path, experiment: Experiment, prefix: str) -> dict[str, Tensor]:
    """The weights of one part of the learner of a finished run, by name without the prefix.

    Raises ExperimentError where the run is not finished.
    """
    checkpoint = read_checkpoint(run_dir / CHECKPOINT, experiment)
    if checkpoint["step"] < experiment.steps:
        raise ExperimentError(
            f"run '{experiment.name}' is at step {checkpoint['step']} of {experiment.steps}: finish it with fit first"
        )
    return weights_of(checkpoint, prefix)


def weights_of(checkpoint: dict[str, Any], prefix: str) -> dict[str, Tensor]:
    """The weights of one part of the learner, by name without the prefix."""
    module: dict[str, Tensor] = checkpoint["module"]
    return {name.removeprefix(prefix): value for name, value in module.items() if name.startswith(prefix)}
