"""The batch of a step, as a pure function of the experiment and the step, which makes a resume exact."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from edge.errors import ExperimentError
from training.data.warp import shrunk
from training.embedder.samplers import make_sampler
from training.embedder.training_set import TrainingSet
from training.engine.encoder_experiment import EmbedderExperiment, EncoderExperiment

BANK_STREAM = 2**32 - 1  # of random numbers; no place in a batch has this number


class EmbeddingBatch(NamedTuple):
    """The pictures of one step and their labels.

    images:  (B, px, px, channels) uint8
    people:  (B,) int64, -1 for an unlabelled crop
    teacher: (B, D) float32 of unit length, or None
    bank:    (M, D) float32, the teacher's embeddings of M other crops, or None
    """

    images: Tensor
    people: Tensor
    teacher: Tensor | None
    bank: Tensor | None = None


class EmbeddingSteps(Dataset[EmbeddingBatch]):
    """Batches by step number; each rank gets its own share of the same global batch.

    Raises ExperimentError where the batch does not divide by the number of ranks.
    """

    def __init__(self, training_set: TrainingSet, experiment: EncoderExperiment, rank: int = 0, world: int = 1) -> None:
        self.rows, self.people = training_set.train, training_set.person_numbers
        shares = experiment.data.augmentation_shares
        self.augment = partial(training_set.augment, shares=shares) if shares else training_set.augment
        self.px_at = experiment.px_at if isinstance(experiment, EmbedderExperiment) else None
        self.bank_size = bank_size_of(experiment)
        self.seed, self.strength = experiment.seed, experiment.data.augmentation_strength
        self.sampler = make_sampler(experiment.sampler, self.people, experiment.seed, self.rows.people)
        # Whole people to one rank: a P x K batch that is split crop by crop has fewer mated pairs on each rank.
        together = experiment.sampler.crops_per_person if experiment.sampler.kind == "people" else 1
        groups = np.arange(experiment.sampler.batch_size).reshape(-1, together)
        if len(groups) % world:
            raise ExperimentError(
                f"a batch of {groups.size} crops, {together} together, does not divide by {world} processes"
            )
        self.share = np.split(groups, world)[rank].ravel()

    def __getitem__(self, step: int) -> EmbeddingBatch:
        rows = self.sampler(step)[self.share]
        images = [self.augmented(step, place, row) for place, row in zip(self.share, rows, strict=True)]
        if self.px_at is not None:
            images = [shrunk(image, self.px_at(step)) for image in images]
        teacher = bank = None
        if self.rows.teacher is not None:
            teacher = torch.from_numpy(self.rows.teacher[rows])
            if self.bank_size:
                bank = torch.from_numpy(self.rows.teacher[self.bank_rows(step)])
        return EmbeddingBatch(torch.from_numpy(np.stack(images)), torch.from_numpy(self.people[rows]), teacher, bank)

    def augmented(self, step: int, place: Any, row: Any) -> np.ndarray:
        """The crop of a row as the network gets it at this step and place in the batch, (H, W, C) uint8."""
        return self.augment(self.rows.crop(row), np.random.default_rng([self.seed, step, place]), self.strength)

    def bank_rows(self, step: int) -> np.ndarray:
        """(M,) int64 rows whose teacher embeddings are the bank of the step; the same on every rank."""
        rng = np.random.default_rng([self.seed, step, BANK_STREAM])
        return rng.integers(len(self.rows), size=self.bank_size)


def bank_size_of(experiment: EncoderExperiment) -> int:
    """Teacher embeddings in the bank of a step; 0 where the loss has no bank term."""
    if isinstance(experiment, EmbedderExperiment) and experiment.loss.distill_bank > 0:
        return experiment.loss.bank_size
    return 0
