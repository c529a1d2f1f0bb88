"""Figures of an embedder's evaluation, each as the bytes of a PNG."""

import numpy as np
from scipy.stats import norm
from sklearn.metrics import det_curve, roc_curve

from training.embedder.evaluation import Comparisons
from training.evaluate.calibration import ImpostorTail
from training.evaluate.figures import axes, png

CURVE_POINTS = 2000  # of a curve over millions of pairs


def roc_figure(comparisons: Comparisons, title: str) -> bytes:
    """TAR over FAR, with FAR on a logarithmic axis."""
    far, tar, _ = roc_curve(comparisons.pairs.same, -comparisons.distances, drop_intermediate=False)
    figure, plot = axes(f"ROC, {title}", "FAR", "TAR")
    least = 1 / max(1, int((~comparisons.pairs.same).sum()))
    plot.plot(np.maximum(far, least), tar, drawstyle="steps-post")
    plot.set(xscale="log", xlim=(least, 1), ylim=(0, 1.01))
    return png(figure)


def det_figure(comparisons: Comparisons, title: str) -> bytes:
    """FNMR over FMR, both on normal-deviate axes (ISO/IEC 19795-1)."""
    fmr, fnmr, _ = det_curve(comparisons.pairs.same, -comparisons.distances)
    figure, plot = axes(f"DET, {title}", "FMR", "FNMR")
    inside = (fmr > 0) & (fnmr > 0) & (fmr < 1) & (fnmr < 1)
    plot.plot(norm.ppf(fmr[inside]), norm.ppf(fnmr[inside]))
    ticks = np.array([0.001, 0.01, 0.05, 0.2, 0.5])
    plot.set_xticks(norm.ppf(ticks), [f"{tick:.1%}" for tick in ticks])
    plot.set_yticks(norm.ppf(ticks), [f"{tick:.1%}" for tick in ticks])
    plot.set(xlim=norm.ppf([0.0005, 0.6]), ylim=norm.ppf([0.0005, 0.6]))
    return png(figure)


def histogram_figure(comparisons: Comparisons, title: str) -> bytes:
    """Distances of mated and of non-mated pairs, with the tau of the best accuracy."""
    figure, plot = axes(f"Distances, {title}", "d", "pairs")
    bins = np.linspace(0, 3, 91).tolist()
    plot.hist(comparisons.distances[comparisons.pairs.same], bins, alpha=0.6, label="same person")
    plot.hist(comparisons.distances[~comparisons.pairs.same], bins, alpha=0.6, label="different people")
    plot.axvline(comparisons.result.tau, color="black", linestyle="--", label=f"tau {comparisons.result.tau:.2f}")
    plot.legend()
    return png(figure)


def impostor_figure(tail: ImpostorTail, quantiles: dict[str, float]) -> bytes:
    """The FMR for every tau, up to the largest that is of use; quantiles: FMR as text -> tau."""
    figure, plot = axes("Non-mated pairs that match", "tau", "FMR")
    count = len(tail.distances)
    if count:
        drawn = np.unique(np.geomspace(1, count, CURVE_POINTS).astype(int)) - 1
        plot.plot(tail.distances[drawn], (drawn + 1) / tail.pairs)
    plot.plot(list(quantiles.values()), [float(fmr) for fmr in quantiles], "o")
    plot.set(yscale="log")
    return png(figure)
