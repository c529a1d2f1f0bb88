"""The distribution of d between different people; the device takes tau from its low quantiles.

N crops make N (N - 1) / 2 pairs. They are computed in blocks of rows, and only the smallest distances are kept, so the
memory grows with N and with the pairs below the largest FMR, not with N x N.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from edge.core.thresholds import normalized_scores
from edge.errors import DataError
from edge.inference.model_card import Impostors

FMRS = tuple(Fraction(fmr) for fmr in ("1e-2", "3e-3", "1e-3", "3e-4", "1e-4", "3e-5", "1e-5"))
BEYOND = tuple(Fraction(fmr) for fmr in ("3e-6", "1e-6"))  # extrapolated, where the lowest of FMRS is measured
TAIL = Fraction("1e-4")  # the share of the pairs from whose distances they are
SAME_PERSON_COSINE = 0.55  # of the teacher: two crops that are likely one person under two names
PAIRS_UNDER_QUANTILE_MIN = 10  # fewer pairs at or below a distance do not measure their frequency
BLOCK_ROWS = 1024


@dataclass(frozen=True)
class ImpostorTail:
    """The smallest distances between different people.

    pairs:     the number of all non-mated pairs
    distances: (K,) float32, ascending: the K smallest, where K is the number of pairs at the largest of FMRS
    """

    pairs: int
    distances: np.ndarray


def non_mated_blocks(
    embeddings: np.ndarray,
    people: np.ndarray,
    block_rows: int = BLOCK_ROWS,
    neighbourhoods: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """(N, D) of unit length, (N,) str -> arrays of d; together they have every pair of different people once.

    neighbourhoods: (N, 2), for the normalised score in place of d, negative, so that nearer is less here too
    """
    numbers = np.unique(people, return_inverse=True)[1]
    for start in range(0, len(embeddings), block_rows):
        rows = slice(start, start + block_rows)
        cosines = embeddings[rows] @ embeddings[start:].T  # (B, D) @ (D, N - start) -> (B, N - start)
        different = np.triu(numbers[rows, None] != numbers[None, start:], k=1)
        if neighbourhoods is None:
            yield np.clip(2.0 - 2.0 * cosines[different], 0.0, 4.0)
        else:
            yield -normalized_scores(cosines, neighbourhoods[rows, None], neighbourhoods[None, start:])[different]


def count_non_mated(people: np.ndarray) -> int:
    """(N,) str -> the number of pairs of crops of different people."""
    counts = np.unique(people, return_counts=True)[1].tolist()
    return (len(people) ** 2 - sum(count**2 for count in counts)) // 2


def pairs_at(fmr: Fraction, pairs: int) -> int:
    """The largest number of pairs that is at most this share of all pairs; exact, where a float product is not."""
    return pairs * fmr.numerator // fmr.denominator


def impostor_tail(
    embeddings: np.ndarray,
    people: np.ndarray,
    block_rows: int = BLOCK_ROWS,
    neighbourhoods: np.ndarray | None = None,
) -> ImpostorTail:
    """(N, D) of unit length, (N,) str -> the smallest distances between different people, as non_mated_blocks has them.

    Raises DataError where there are not two people.
    """
    pairs = count_non_mated(people)
    if not pairs:
        raise DataError("the impostor quantiles need two people held out from training (data.held_out_fraction)")
    wanted = pairs_at(max(FMRS), pairs)
    smallest = np.empty(0, dtype=np.float32)
    for distances in non_mated_blocks(embeddings, people, block_rows, neighbourhoods):
        candidates = np.concatenate([smallest, distances])
        smallest = np.partition(candidates, wanted)[:wanted] if len(candidates) > wanted else candidates
    return ImpostorTail(pairs, np.sort(smallest))


def impostors(tail: ImpostorTail, people: np.ndarray, teacher: np.ndarray | None = None) -> Impostors:
    """The FMR quantiles of d between different people, down to the lowest that the number of pairs can measure.

    people:  (N,) str, of the crops that the tail was computed from
    teacher: (N, D) of unit length, or None. Pairs that it takes for one person are counted but not dropped: some data
             sets list a person twice. To drop what a model confuses would make every model look better; to keep it
             makes tau smaller, which is the safe side for a door.
    """
    same_person_distance = 2 - 2 * SAME_PERSON_COSINE
    return Impostors(
        people=len(np.unique(people)),
        crops=len(people),
        pairs=tail.pairs,
        suspected_same_person=(
            None
            if teacher is None
            else sum(int((block < same_person_distance).sum()) for block in non_mated_blocks(teacher, people))
        ),
        distance_at_fmr=quantiles(tail),
    )


def quantiles(tail: ImpostorTail) -> dict[str, float]:
    """FMR as text -> the value at or below which this share of the pairs lies, where the pairs can measure it.

    Where they measure all of FMRS, those of BEYOND follow: the values of the nearest pairs (TAIL) are taken as
    exponential below the largest of them, as tails are whose excess has a mean that does not grow (Pickands 1975, with
    a shape of zero).
    """
    counts = {fmr: pairs_at(fmr, tail.pairs) for fmr in FMRS}
    values = {
        fmr: float(tail.distances[count - 1]) for fmr, count in counts.items() if count >= PAIRS_UNDER_QUANTILE_MIN
    }
    if len(values) == len(FMRS):
        nearest = tail.distances[: counts[TAIL]].astype(float)
        mean_excess = float((nearest[-1] - nearest).mean())
        values |= {
            fmr: min(values[FMRS[-1]], float(nearest[-1]) - mean_excess * math.log(TAIL / fmr)) for fmr in BEYOND
        }
    return {f"{float(fmr):g}": round(value, 4) for fmr, value in values.items()}
