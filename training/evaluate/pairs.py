"""Pairs for data sets that have no list of them."""

import numpy as np

from edge.errors import DataError
from training.data.lfw import Pairs


def drawn_pairs(people: np.ndarray, count: int = 6000, folds: int = 10, seed: int = 0) -> Pairs:
    """Draw as many mated as non-mated pairs of these crops, (N,) str or int, at most count in all.

    Every mated pair has the same chance, so people with many crops weigh more, as they do at a door.
    Raises DataError where there are fewer mated pairs than folds, or fewer than two people.
    """
    rng = np.random.default_rng(seed)
    all_mated = mated_pairs(people)
    if len(all_mated) < folds or len(np.unique(people)) < 2:
        raise DataError(
            f"verification needs {folds} mated pairs and two people held out from training (data.held_out_fraction); "
            f"there are {len(all_mated)} pairs of {len(np.unique(people))} people"
        )
    first, second = all_mated[rng.permutation(len(all_mated))[: count // 2]].T
    wanted = len(first)
    others_first, others_second = rng.integers(0, len(people), (2, 50 * wanted))
    non_mated = np.flatnonzero(people[others_first] != people[others_second])[:wanted]
    return Pairs(
        first=np.concatenate([first, others_first[non_mated]]),
        second=np.concatenate([second, others_second[non_mated]]),
        same=np.concatenate([np.ones(wanted, dtype=bool), np.zeros(len(non_mated), dtype=bool)]),
        fold=np.concatenate([np.arange(wanted) % folds, np.arange(len(non_mated)) % folds]),
    )


def mated_pairs(people: np.ndarray) -> np.ndarray:
    """(N,) -> (P, 2) int64, every pair of crops of one person, the smaller row first, in ascending order."""
    order = np.argsort(people, kind="stable")
    starts = np.flatnonzero(np.r_[True, people[order][1:] != people[order][:-1]])[1:]
    pairs = np.concatenate([rows[np.column_stack(np.triu_indices(len(rows), k=1))] for rows in np.split(order, starts)])
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
