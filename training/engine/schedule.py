"""The learning rate over the run."""

import math

from training.engine.experiment import Experiment


def rate_factor(step: int, experiment: Experiment) -> float:
    """The share of the peak rate at a step: a linear warm-up, then the experiment's schedule."""
    config = experiment.optimizer
    warmup = max(1, config.warmup_images // experiment.batch_size)
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "inverse_sqrt":
        turn = config.inverse_sqrt_images / experiment.batch_size
        return math.sqrt(turn / (turn + step - warmup))
    progress = (step - warmup) / max(1, config.images // experiment.batch_size - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))
