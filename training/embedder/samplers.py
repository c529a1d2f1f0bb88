"""Which rows are in the batch of a step: a pure function of the step, which makes a resume exact."""

import numpy as np

from edge.errors import DataError
from training.data.crops import groups_of
from training.engine.encoder_experiment import SamplerConfig


class UniformSampler:
    """Every crop once per epoch, in a new order in each epoch."""

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
    """P people with K crops each (P x K, Hermans et al. 2017), so that every batch has mated pairs.

    people: (N,) int64, -1 for unlabelled crops
    groups: the group of each crop, (N,) of any type, and the number of groups that a batch takes its people from. It
            takes more where these have too few people. People of one group are harder to tell apart.
    Raises DataError where too few people have two crops.
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
        usable = numbers[counts >= 2]  # a single crop makes no mated pair
        self.wanted, self.each, self.seed = batch_size // crops_per_person, crops_per_person, seed
        if len(usable) < self.wanted:
            raise DataError(
                f"a batch needs {self.wanted} people with two crops or more; the data has {len(usable)}: "
                "make sampler.batch_size smaller"
            )
        order = np.argsort(people, kind="stable")
        starts = np.searchsorted(people[order], usable)
        ends = np.searchsorted(people[order], usable, side="right")
        self.crops_of = [order[start:end] for start, end in zip(starts, ends, strict=True)]
        self.groups: list[np.ndarray] | None = None
        self.groups_per_batch = 1
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
    """The experiment's sampler over rows with these person numbers, (N,) int64, and names, (N,) str "group/name"."""
    if config.kind == "people":
        groups = (groups_of(names), config.groups) if config.groups else None
        return PeopleSampler(people, config.batch_size, config.crops_per_person, seed, groups)
    return UniformSampler(len(people), config.batch_size, seed)
