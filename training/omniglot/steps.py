"""The batch of a step, of handwritten characters."""

from typing import Any

import numpy as np

from training.data.crops import groups_of
from training.embedder.steps import EmbeddingSteps
from training.embedder.training_set import TrainingSet
from training.engine.encoder_experiment import EncoderExperiment


class CharacterSteps(EmbeddingSteps):
    """Batches by step number; with data.recast all characters of an alphabet are distorted alike within a batch."""

    def __init__(self, training_set: TrainingSet, experiment: EncoderExperiment, rank: int = 0, world: int = 1) -> None:
        super().__init__(training_set, experiment, rank, world)
        self.alphabets: np.ndarray | None = None
        if experiment.data.recast:
            self.alphabets = np.unique(groups_of(self.rows.people), return_inverse=True)[1]

    def augmented(self, step: int, place: Any, row: Any) -> np.ndarray:
        """The drawing of a row as the network gets it at this step and place in the batch, (H, W, 1) uint8."""
        if self.alphabets is None:
            return super().augmented(step, place, row)
        rng = np.random.default_rng([self.seed, step, place])
        alphabet = np.random.default_rng([self.seed, step, self.alphabets[row]])  # the same for all of its characters
        return self.augment(self.rows.crop(row), rng, self.strength, alphabet)
