"""The batch of a step, as a pure function of the experiment and the step: that is what makes a resume exact."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from edge.errors import DataError, ExperimentError
from training.data.drawings import alphabets_of
from training.embedder.training_set import TrainingSet
from training.engine.experiment import EmbedderExperiment, EncoderExperiment, SamplerConfig


class EmbeddingBatch(NamedTuple):
    """One step's pictures and what is known of them.

    images:  (B, px, px, channels) uint8
    people:  (B,) int64, -1 where nobody says who it is
    teacher: (B, D) float32 of unit length, or None
    bank:    (M, D) float32, the teacher's embeddings of M other crops, or None
    """

    images: Tensor
    people: Tensor
    teacher: Tensor | None
    bank: Tensor | None = None


class UniformSampler:
    """Every crop once per epoch, in an order drawn anew for each."""

    def __init__(self, crops: int, batch_size: int, seed: int) -> None:
        self.crops, self.batch_size, self.seed = crops, batch_size, seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __call__(self, step: int) -> np.ndarray:
        """(batch_size,) int64 rows."""
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        return np.array([self._row(int(place)) for place in places])

    def _row(self, place: int) -> int:
        epoch, within = divmod(place, self.crops)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.crops)
        return int(self._order[within])


class PeopleSampler:
    """P people with K crops each (P x K, Hermans et al. 2017): every batch holds mated pairs.

    groups: (N,) of any kind, which group each crop is of; and from how many groups a batch takes its people (more,
            where these hold too few). Who is of one group is harder to tell apart.
    """

    def __init__(
        self,
        people: np.ndarray,
        batch_size: int,
        crops_per_person: int,
        seed: int,
        groups: tuple[np.ndarray, int] | None = None,
    ) -> None:
        numbers, counts = np.unique(people[people >= 0], return_counts=True)
        usable = numbers[counts >= 2]  # one crop alone makes no mated pair
        self.wanted, self.each, self.seed = batch_size // crops_per_person, crops_per_person, seed
        if len(usable) < self.wanted:
            raise DataError(f"a batch wants {self.wanted} people with two crops or more; the data has {len(usable)}")
        order = np.argsort(people, kind="stable")
        starts = np.searchsorted(people[order], usable)
        ends = np.searchsorted(people[order], usable, side="right")
        self.crops_of = [order[start:end] for start, end in zip(starts, ends, strict=True)]
        self.groups, self.groups_per_batch = None, 1
        if groups is not None:
            group_of = groups[0][[crops[0] for crops in self.crops_of]]
            self.groups = [np.flatnonzero(group_of == group) for group in np.unique(group_of)]
            self.groups_per_batch = groups[1]

    def __call__(self, step: int) -> np.ndarray:
        """(P * K,) int64 rows, the K of a person side by side."""
        rng = np.random.default_rng([self.seed, step])
        chosen = self._people(rng)
        return np.concatenate(
            [
                rng.choice(self.crops_of[person], self.each, replace=len(self.crops_of[person]) < self.each)
                for person in chosen
            ]
        )

    def _people(self, rng: np.random.Generator) -> np.ndarray:
        if self.groups is None:
            return rng.choice(len(self.crops_of), self.wanted, replace=False)
        each = -(-self.wanted // self.groups_per_batch)
        chosen = [rng.permutation(self.groups[group])[:each] for group in rng.permutation(len(self.groups))]
        return np.concatenate(chosen)[: self.wanted]


def make_sampler(
    config: SamplerConfig, people: np.ndarray, seed: int, names: np.ndarray
) -> UniformSampler | PeopleSampler:
    """The sampler the experiment asks for, over rows with these person numbers, (N,) int64, and names, (N,) str."""
    if config.kind == "people":
        groups = (alphabets_of(names), config.groups) if config.groups else None
        return PeopleSampler(people, config.batch_size, config.crops_per_person, seed, groups)
    return UniformSampler(len(people), config.batch_size, seed)


def wants_bank(experiment: EncoderExperiment) -> bool:
    """Whether its loss compares with a bank of teacher embeddings."""
    return isinstance(experiment, EmbedderExperiment) and experiment.loss.distill_bank > 0


def shrunk(image: np.ndarray, px: int) -> np.ndarray:
    """(H, W, C) -> (px, px, C) uint8, each pixel the mean of those that it covers; itself if it has that size."""
    if image.shape[0] == px:
        return image
    return cv2.resize(image, (px, px), interpolation=cv2.INTER_AREA).reshape(px, px, image.shape[2])


class EmbeddingSteps(Dataset):
    """Batches by step number; of several ranks, each gets its own share of the same global batch."""

    def __init__(self, training_set: TrainingSet, experiment: EncoderExperiment, rank: int = 0, world: int = 1) -> None:
        self.rows, self.people, self.seen = training_set.train, training_set.person_numbers, training_set.seen
        self.sampler = make_sampler(experiment.sampler, self.people, experiment.seed, self.rows.people)
        self.seed, self.strength = experiment.seed, experiment.data.augmentation_strength
        self.px_at = experiment.px_at if isinstance(experiment, EmbedderExperiment) else None
        self.bank_size = experiment.loss.bank_size if wants_bank(experiment) else 0
        self.alphabets = None
        if experiment.data.recast:
            self.alphabets = np.unique(alphabets_of(self.rows.people), return_inverse=True)[1]
        # Whole people to one rank: a P x K batch that is dealt out crop by crop has fewer mated pairs on each.
        together = experiment.sampler.crops_per_person if experiment.sampler.kind == "people" else 1
        groups = np.arange(experiment.sampler.batch_size).reshape(-1, together)
        if len(groups) % world:
            raise ExperimentError(
                f"a batch of {groups.size} crops, {together} together, does not divide by {world} processes"
            )
        self.share = np.split(groups, world)[rank].ravel()

    def __getitem__(self, step: int) -> EmbeddingBatch:
        rows = self.sampler(step)[self.share]
        images = [self._seen(step, place, row) for place, row in zip(self.share, rows, strict=True)]
        if self.px_at is not None:
            images = [shrunk(image, self.px_at(step)) for image in images]
        teacher = bank = None
        if self.rows.teacher is not None:
            teacher = torch.from_numpy(self.rows.teacher[rows])
            if self.bank_size:
                bank = torch.from_numpy(self.rows.teacher[self._bank_rows(step)])
        return EmbeddingBatch(torch.from_numpy(np.stack(images)), torch.from_numpy(self.people[rows]), teacher, bank)

    def _bank_rows(self, step: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, step, 2**32 - 1])  # no place of a batch has this number
        return rng.integers(len(self.rows), size=self.bank_size)

    def _seen(self, step: int, place: int, row: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, step, place])
        if self.alphabets is None:
            return self.seen(self.rows.crop(row), rng, self.strength)
        alphabet = np.random.default_rng([self.seed, step, self.alphabets[row]])  # one for all of its characters
        return self.seen(self.rows.crop(row), rng, self.strength, alphabet)
