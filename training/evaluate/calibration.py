"""How far apart strangers are: the quantiles of d from which the device sets tau."""

import numpy as np

from edge.errors import DataError
from edge.inference.model_card import Impostors

FMRS = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
SAME_PERSON_COSINE = 0.55  # the teacher's, of two crops that are likely one person under two names
PAIRS_UNDER_QUANTILE = 10  # fewer pairs at or below a distance do not measure how often it happens


def cross_person_distances(embeddings: np.ndarray, people: np.ndarray) -> np.ndarray:
    """(N, D) of unit length, (N,) str -> (P,) float32, d of every pair of crops of two different people."""
    cosines = embeddings @ embeddings.T  # (N, D) @ (D, N) -> (N, N)
    different = np.triu(people[:, None] != people[None, :], k=1)
    return np.clip(2.0 - 2.0 * cosines[different], 0.0, 4.0)


def impostors(distances: np.ndarray, people: np.ndarray, teacher: np.ndarray | None = None) -> Impostors:
    """The FMR quantiles of d between different people, as far down as the number of pairs can tell.

    distances: all cross-person distances of the crops whose people, (N,) str, are given.
    teacher:   (N, D) of unit length; pairs that it takes for one person are counted, not dropped. Data sets list some
               people twice; dropping whom a model confuses would flatter every model, and keeping them errs to a
               smaller tau, so to the safe side of a door.
    Raises DataError where there are not two people.
    """
    distances = np.sort(distances)
    if not len(distances):
        raise DataError("the impostor quantiles need two people held out from training (data.held_out_fraction)")
    return Impostors(
        people=len(np.unique(people)),
        crops=len(people),
        pairs=len(distances),
        suspected_same_person=(
            None
            if teacher is None
            else int((cross_person_distances(teacher, people) < 2 - 2 * SAME_PERSON_COSINE).sum())
        ),
        distance_at_fmr={
            f"{fmr:g}": round(float(distances[int(fmr * len(distances)) - 1]), 4)
            for fmr in FMRS
            if fmr * len(distances) >= PAIRS_UNDER_QUANTILE
        },
    )
