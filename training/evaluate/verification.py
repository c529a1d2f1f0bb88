"""1:1 verification: same person or not, by the distance."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_curve

from training.data.lfw import Pairs


def pair_distances(embeddings: np.ndarray, pairs: Pairs) -> np.ndarray:
    """(N, D) of unit length -> (P,) float32, d of every pair, in [0, 4]."""
    return np.square(embeddings[pairs.first] - embeddings[pairs.second]).sum(axis=1)


def best_tau(distances: np.ndarray, same: np.ndarray) -> float:
    """The tau with the most correct decisions, half way between two distances; the smallest if several tie."""
    order = np.argsort(distances, kind="stable")
    ordered, mated = distances[order], same[order]
    right = np.concatenate([[0], np.cumsum(np.where(mated, 1, -1))])  # right[k]: gain of accepting the k smallest
    # There is no cut between two equal distances.
    possible = np.concatenate([[True], ordered[1:] > ordered[:-1], [True]])
    cut = int(np.argmax(np.where(possible, right, -len(right))))
    if cut == 0:
        return float(ordered[0]) - 1e-6
    if cut == len(ordered):
        return float(ordered[-1])
    return float((ordered[cut - 1] + ordered[cut]) / 2)


def ten_fold_accuracy(distances: np.ndarray, pairs: Pairs) -> tuple[float, float]:
    """Mean and standard deviation of the accuracy over the folds; tau is chosen on the other folds (LFW protocol)."""
    accuracies = []
    for fold in np.unique(pairs.fold):
        test = pairs.fold == fold
        tau = best_tau(distances[~test], pairs.same[~test])
        accuracies.append(float(((distances[test] <= tau) == pairs.same[test]).mean()))
    return float(np.mean(accuracies)), float(np.std(accuracies))


@dataclass(frozen=True)
class Verification:
    """Metrics of a set of pairs. Fractions, not percent; tau is the one with the best accuracy on all pairs."""

    pairs: int
    accuracy: float
    accuracy_std: float
    tau: float
    auc: float
    eer: float
    tar_at_far: dict[str, float]


def verify_pairs(distances: np.ndarray, pairs: Pairs, fars: tuple[float, ...] = (1e-2, 1e-3)) -> Verification:
    """Compute accuracy by folds, AUC, EER and TAR at the given FARs (ISO/IEC 19795-1: 1 - FNMR at an FMR)."""
    far, tar, _ = roc_curve(pairs.same, -distances, drop_intermediate=False)
    accuracy, accuracy_std = ten_fold_accuracy(distances, pairs)
    return Verification(
        pairs=len(pairs),
        accuracy=accuracy,
        accuracy_std=accuracy_std,
        tau=best_tau(distances, pairs.same),
        auc=float(np.trapezoid(tar, far)),
        eer=equal_error_rate(far, tar),
        tar_at_far={f"{wanted:g}": float(tar[far <= wanted].max()) for wanted in fars},
    )


def equal_error_rate(far: np.ndarray, tar: np.ndarray) -> float:
    """The rate where FAR equals 1 - TAR, on the straight line between the two ROC points around it."""
    gap = far - (1 - tar)  # rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    if after == 0 or gap[after] == gap[after - 1]:
        return float(far[after])
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(far[after - 1] + share * (far[after] - far[after - 1]))
