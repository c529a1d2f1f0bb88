"""N-way k-shot trials."""

from typing import NamedTuple

import numpy as np

from edge.errors import DataError
from training.data.crops import groups_of
from training.data.drawings import Drawings


class Trials(NamedTuple):
    """T trials: k drawings of each of N characters, and another drawing of the first of them.

    support: (T, N, k) int64, rows of the drawings; support[:, 0] is of the query's character
    query:   (T,) int64, rows
    """

    support: np.ndarray
    query: np.ndarray


def drawn_trials(
    drawings: Drawings, count: int, *, ways: int, shots: int = 1, within_alphabet: bool = True, seed: int = 0
) -> Trials:
    """Draw trials of random characters, of one random alphabet each or of all alphabets.

    As in Lake's runs one person drew the whole support (k people for k shots), and another person the query.
    Raises DataError where an alphabet has fewer characters than ways, or a character fewer drawings than shots + 1.
    """
    table = rows_by_character_and_drawer(drawings)  # (C, drawers)
    if table.shape[1] <= shots:
        raise DataError(f"{shots}-shot trials need {shots + 1} drawings of each character; there are {table.shape[1]}")
    alphabets = groups_of(np.unique(drawings.characters))
    pools = [np.flatnonzero(alphabets == name) for name in np.unique(alphabets)]
    pools = pools if within_alphabet else [np.arange(len(table))]
    if min(len(pool) for pool in pools) < ways:
        raise DataError(f"{ways}-way trials need {ways} characters; there are {min(len(pool) for pool in pools)}")
    rng = np.random.default_rng(seed)
    support, query = np.empty((count, ways, shots), dtype=np.int64), np.empty(count, dtype=np.int64)
    for trial in range(count):
        characters = rng.choice(pools[rng.integers(len(pools))], ways, replace=False)
        *hands, other = rng.permutation(table.shape[1])[: shots + 1]
        support[trial] = table[characters][:, hands]
        query[trial] = table[characters[0], other]
    return Trials(support, query)


def rows_by_character_and_drawer(drawings: Drawings) -> np.ndarray:
    """(C, drawers) int64, rows of the drawings; characters are in the order of their names.

    Raises DataError unless every drawer drew every character once.
    """
    names, character = np.unique(drawings.characters, return_inverse=True)
    people, drawer = np.unique(drawings.drawers, return_inverse=True)
    table = np.full((len(names), len(people)), -1, dtype=np.int64)
    table[character, drawer] = np.arange(len(drawings))
    if len(drawings) != table.size or (table < 0).any():
        raise DataError(
            f"{len(drawings)} drawings of {len(names)} characters by {len(people)} people: each person must "
            "have drawn each character once"
        )
    return table
