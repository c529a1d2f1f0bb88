"""Pairs for data sets that come without a list of them."""

import numpy as np

from edge.errors import DataError
from training.data.lfw import Pairs


def drawn_pairs(people: np.ndarray, count: int = 6000, folds: int = 10, seed: int = 0) -> Pairs:
    """As many mated as non-mated pairs of these crops, (N,) str, at most count in all.

    Every mated pair has the same chance, so people with many crops weigh more, as they do at a door.
    Raises DataError where there are not that many folds of mated pairs, or not two people.
    """
    rng = np.random.default_rng(seed)
    first, second = np.nonzero(np.triu(people[:, None] == people[None, :], k=1))
    if len(first) < folds or len(np.unique(people)) < 2:
        raise DataError(
            f"verification needs {folds} mated pairs and two people held out from training (data.held_out_fraction); "
            f"there are {len(first)} pairs of {len(np.unique(people))} people"
        )
    mated = rng.permutation(len(first))[: count // 2]
    wanted = len(mated)
    others_first, others_second = rng.integers(0, len(people), (2, 50 * wanted))
    non_mated = np.flatnonzero(people[others_first] != people[others_second])[:wanted]
    return Pairs(
        first=np.concatenate([first[mated], others_first[non_mated]]),
        second=np.concatenate([second[mated], others_second[non_mated]]),
        same=np.concatenate([np.ones(wanted, dtype=bool), np.zeros(len(non_mated), dtype=bool)]),
        fold=np.concatenate([np.arange(wanted) % folds, np.arange(len(non_mated)) % folds]),
    )
