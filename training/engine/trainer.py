"""The training loop, step by step; the same on a CPU, a GPU, or several machines (Lightning Fabric is the engine).

Exact resume: the batch of a step depends only on the experiment and the step, so a checkpoint is the step, the weights
and the optimizers. A run that was killed goes back to its last checkpoint and repeats the same batches.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from edge.errors import ExperimentError
from training.engine.checkpoints import Progress, load_checkpoint, save_checkpoint
from training.engine.experiment import Experiment
from training.engine.learner import Unrounded
from training.engine.optimizers import make_optimizers
from training.engine.run_log import LOG, RunLog
from training.engine.schedule import rate_factor

LOG_EVERY_STEPS = 20
Metrics = dict[str, float | None]  # None where nothing could be measured


@dataclass(frozen=True)
class RunPlan:
    """The folder of a run and its use of the machine. Nothing of it changes the result."""

    run_dir: Path
    loader_workers: int = 1
    quiet: bool = False


def fit(
    learner: nn.Module,
    steps: Dataset[Any],
    experiment: Experiment,
    plan: RunPlan,
    fabric: Fabric,
    validate: Callable[[nn.Module], Metrics],
    data_digest: str,
) -> nn.Module:
    """Train to the end of the experiment, from its checkpoint if there is one, and return the learner.

    steps:       steps[n] is the batch of step n
    learner:     learner(Unrounded(batch)) returns the losses by name; "total" is minimised
    data_digest: digest of the data that steps draws from
    Raises ExperimentError where the checkpoint belongs to another experiment, to other data, or where the processes
    found checkpoints of different steps.
    """
    module, *optimizers = fabric.setup(learner, *make_optimizers(learner, experiment.optimizer))
    done_before = load_checkpoint(plan.run_dir, experiment, module, optimizers, data_digest)
    process_started = time.process_time()

    def processor_seconds() -> float:
        return done_before.processor_seconds + time.process_time() - process_started

    start = done_before.step
    starts = torch.as_tensor(fabric.all_gather(torch.tensor(start))).reshape(-1).tolist()
    if len(set(starts)) > 1:
        raise ExperimentError(f"processes found checkpoints of different steps, {starts}: give all the same --runs")
    log = RunLog(plan.run_dir / LOG, start) if fabric.is_global_zero else None
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
        disable=True if plan.quiet or not fabric.is_global_zero else None,  # None: where no terminal is
    )
    module.train()
    validate_every = max(1, experiment.validate_every_images // experiment.batch_size)
    for step, batch in zip(range(start, experiment.steps), loader, strict=True):
        losses = module(Unrounded(fabric.to_device(batch)))
        fabric.backward(losses["total"])
        update(module, optimizers, step, experiment, fabric)

        done = step + 1
        last = done == experiment.steps
        images = done * experiment.batch_size
        progress.update(experiment.batch_size)
        if done % LOG_EVERY_STEPS == 0 or last:
            means = {name: mean_over_processes(value, fabric) for name, value in losses.items()}
            progress.set_postfix({"loss": f"{means['total']:.4f}"})
            if log:
                rate, seconds = rate_factor(step, experiment), round(processor_seconds(), 1)
                log.write(step=done, images=images, rate_factor=rate, processor_seconds=seconds, **means)
        if done % validate_every == 0 or last:
            if log:
                log.write(step=done, images=images, **validation_of(learner, validate, fabric))
            fabric.barrier()
        if done % experiment.checkpoint_every_steps == 0 or last:
            reached = Progress(done, processor_seconds(), data_digest, done_before.started_from)
            save_checkpoint(fabric, plan.run_dir, experiment, module, optimizers, reached)
    progress.close()
    return learner


def update(
    module: nn.Module, optimizers: list[torch.optim.Optimizer], step: int, experiment: Experiment, fabric: Fabric
) -> None:
    """Clip the gradients and step every optimizer, at the share of its peak rate that the step has.

    Raises ExperimentError where a gradient is not finite.
    """
    factor, config = rate_factor(step, experiment), experiment.optimizer
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = factor * group["peak"]
        try:
            fabric.clip_gradients(module, optimizer, max_norm=config.gradient_norm_max)
        except RuntimeError as error:
            if "non-finite" not in str(error):  # what torch says of the norm
                raise
            raise ExperimentError(
                f"experiment '{experiment.name}' diverges: at step {step} the gradient is not finite; lower "
                f"optimizer.peak_learning_rate ({config.peak_learning_rate:g}) or the weights of the loss"
            ) from error
        optimizer.step()
        optimizer.zero_grad()


def mean_over_processes(value: Tensor, fabric: Fabric) -> float:
    """The mean of a scalar over all processes."""
    return float(torch.as_tensor(fabric.all_reduce(value.detach(), reduce_op="mean")))


def validation_of(learner: nn.Module, validate: Callable[[nn.Module], Metrics], fabric: Fabric) -> Metrics:
    """The metrics of the learner in evaluation mode, and the seconds they took; the learner is in training mode after.

    processor_seconds includes them.
    """
    learner.eval()
    started = time.monotonic()
    with torch.no_grad(), fabric.autocast():
        metrics = validate(learner)
    learner.train()
    return metrics | {"validate_seconds": round(time.monotonic() - started, 1)}


def one_thread_in_worker(_worker: int) -> None:
    """Keep a loader process on one thread: it shares the cores with the training."""
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
