"""The training loop, step in order; the same on a CPU, a GPU, or several machines (Lightning Fabric does the engine).

Exact resume: the batch of a step depends on the experiment and the step alone, so a checkpoint is the step, the
weights and the optimizer. A run that was killed goes back to its last checkpoint and sees the same batches again.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from edge.errors import ExperimentError
from training.engine.experiment import Experiment
from training.engine.learner import Unrounded
from training.engine.optimizers import make_optimizers, rate_factor

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


@dataclass(frozen=True)
class RunPlan:
    """Where a run keeps itself, and how it uses the machine. None of it changes what is learned."""

    run_dir: Path
    loader_workers: int = 1
    quiet: bool = False


@dataclass(frozen=True)
class Progress:
    """How far a run has come: optimizer steps done, processor seconds of the training process, the data it saw."""

    step: int
    processor_seconds: float
    data_digest: str


def fit(
    learner: nn.Module,
    steps: Dataset,
    experiment: Experiment,
    plan: RunPlan,
    fabric: Fabric,
    validate: Callable[[nn.Module], dict[str, float]],
    data_digest: str,
) -> nn.Module:
    """Train to the end of the experiment, from its checkpoint if there is one, and return the learner.

    steps answers the batch of a step; learner(batch) answers its losses by name, of which "total" is minimised;
    data_digest says which data steps draws from.
    Raises ExperimentError where the checkpoint belongs to another experiment, other data, or another machine's step.
    """
    module, *optimizers = fabric.setup(learner, *make_optimizers(learner, experiment.optimizer))
    start, spent = load_checkpoint(plan.run_dir, experiment, module, optimizers, data_digest)
    spent -= time.process_time()
    starts = fabric.all_gather(torch.tensor(start)).reshape(-1).tolist()
    if len(set(starts)) > 1:
        raise ExperimentError(f"processes found different checkpoints, of steps {starts}: give all the same --runs")
    log = Log(plan.run_dir / LOG, start) if fabric.is_global_zero else None
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=range(start, experiment.steps),
        num_workers=plan.loader_workers,
        worker_init_fn=one_thread_in_worker,
        prefetch_factor=4 if plan.loader_workers else None,
    )
    progress = tqdm(
        total=experiment.steps * experiment.batch_size,
        initial=start * experiment.batch_size,
        desc=experiment.name,
        unit="image",
        unit_scale=True,
        disable=plan.quiet or not fabric.is_global_zero,
    )
    module.train()
    validate_every = max(1, experiment.validate_every_images // experiment.batch_size)
    for step, batch in zip(range(start, experiment.steps), loader, strict=True):
        factor = rate_factor(step, experiment)
        losses = module(Unrounded(fabric.to_device(batch)))
        fabric.backward(losses["total"])
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = factor * group["peak"]
            fabric.clip_gradients(module, optimizer, max_norm=experiment.optimizer.gradient_norm_max)
            optimizer.step()
            optimizer.zero_grad()

        done = step + 1
        last = done == experiment.steps
        images = done * experiment.batch_size
        progress.update(experiment.batch_size)
        if done % 20 == 0 or last:
            means = {name: float(fabric.all_reduce(value.detach(), reduce_op="mean")) for name, value in losses.items()}
            progress.set_postfix({"loss": f"{means['total']:.4f}"})
            if log:
                seconds = round(spent + time.process_time(), 1)
                log.write(step=done, images=images, rate_factor=factor, processor_seconds=seconds, **means)
        if done % validate_every == 0 or last:
            if log:
                log.write(step=done, images=images, **validated(learner, validate, fabric))
            fabric.barrier()
        if done % experiment.checkpoint_every_steps == 0 or last:
            progress_made = Progress(done, spent + time.process_time(), data_digest)
            save_checkpoint(fabric, plan.run_dir, experiment, module, optimizers, progress_made)
    progress.close()
    return learner


def validated(
    learner: nn.Module, validate: Callable[[nn.Module], dict[str, float]], fabric: Fabric
) -> dict[str, float]:
    """What validate says of the learner at rest; the learner goes on training after."""
    learner.eval()
    started = time.monotonic()
    with torch.no_grad(), fabric.autocast():
        metrics = validate(learner)
    learner.train()
    return metrics | {"validate_seconds": round(time.monotonic() - started, 1)}


def one_thread_in_worker(_worker: int) -> None:
    """Loader workers share the cores with the training: nothing in them may start a thread per core."""
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def save_checkpoint(
    fabric: Fabric,
    run_dir: Path,
    experiment: Experiment,
    module: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    progress: Progress,
) -> None:
    """Write beside, then rename: a kill in the middle of it leaves the last checkpoint whole."""
    partial = run_dir / f"{CHECKPOINT}.partial"
    fabric.save(
        partial,
        {
            "experiment": experiment.name,
            "fingerprint": experiment.fingerprint(),
            "data": progress.data_digest,
            "step": progress.step,
            "processor_seconds": progress.processor_seconds,
            "module": module,
            **{f"optimizer_{number}": optimizer for number, optimizer in enumerate(optimizers)},
        },
    )
    if fabric.is_global_zero:
        partial.replace(run_dir / CHECKPOINT)
    fabric.barrier()


def load_checkpoint(
    run_dir: Path,
    experiment: Experiment,
    module: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    data_digest: str,
) -> tuple[int, float]:
    """The step to go on from and the processor seconds spent: 0, or the checkpoint's, whose weights it loads."""
    path = run_dir / CHECKPOINT
    if not path.is_file():
        return 0, 0.0
    checkpoint = read_checkpoint(path, experiment)
    if checkpoint["data"] != data_digest:
        raise ExperimentError(
            f"checkpoint {path} saw other pictures or names ({checkpoint['data']}) than there are now ({data_digest}): "
            "put them back, or remove it to start anew"
        )
    module.load_state_dict(checkpoint["module"])
    for number, optimizer in enumerate(optimizers):
        optimizer.load_state_dict(checkpoint[f"optimizer_{number}"])
    return int(checkpoint["step"]), float(checkpoint["processor_seconds"])


def read_checkpoint(path: Path, experiment: Experiment) -> dict:
    """The checkpoint as saved. Raises ExperimentError where it is missing, broken, or another experiment's."""
    if not path.is_file():
        raise ExperimentError(f"experiment '{experiment.name}' has no checkpoint {path}: fit it first")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        found = checkpoint["experiment"], checkpoint["fingerprint"]
    except Exception as error:  # torch.load raises whatever pickle, zip or tensor code met
        raise ExperimentError(f"checkpoint {path} cannot be read: {str(error).splitlines()[0]}") from error
    if found[1] != experiment.fingerprint():
        raise ExperimentError(
            f"checkpoint {path} belongs to experiment '{found[0]}' ({found[1]}), not to '{experiment.name}' "
            f"({experiment.fingerprint()}): remove it to start anew, or give another --runs"
        )
    return checkpoint


def trained_weights(run_dir: Path, experiment: Experiment, prefix: str) -> dict[str, torch.Tensor]:
    """The weights of one part of the learner of a finished run, by name without the prefix.

    Raises ExperimentError where the run is not finished.
    """
    checkpoint = read_checkpoint(run_dir / CHECKPOINT, experiment)
    if checkpoint["step"] < experiment.steps:
        raise ExperimentError(
            f"run '{experiment.name}' is at step {checkpoint['step']} of {experiment.steps}: let fit finish it first"
        )
    module = checkpoint["module"]
    return {name.removeprefix(prefix): value for name, value in module.items() if name.startswith(prefix)}


class Log:
    """One JSON object a line; a resumed run first drops the lines it is about to live again."""

    def __init__(self, path: Path, start_step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_log(path) if line["step"] <= start_step]
        partial = path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
        partial.replace(path)
        self._file = path.open("a", buffering=1)

    def write(self, **values: float) -> None:
        """Append one line."""
        self._file.write(json.dumps(values) + "\n")


def looks_of(log: list[dict]) -> list[dict]:
    """The lines that say how good the learner was, not how well a batch went."""
    return [line for line in log if "total" not in line]


def read_log(path: Path) -> list[dict]:
    """All whole lines of a log; a last line that a kill cut off is dropped."""
    lines = []
    if path.is_file():
        for line in path.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return lines
