"""Figures of an embedder's evaluation, each as the bytes of a PNG."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.metrics import det_curve, roc_curve

from training.embedder.clarity import ErrorAfterDiscard
from training.embedder.conditions import UnderCondition
from training.embedder.evaluation import Comparisons
from training.embedder.nearest import NearPair
from training.embedder.visits import TrackLeads
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


def tracks_figure(households: list[TrackLeads]) -> bytes:
    """FNIR over FPIR of whole tracks at every tau, on normal-deviate axes (ISO/IEC 19795-1), by people enrolled."""
    figure, plot = axes("DET of tracks, LFW", "FPIR", "FNIR")
    for one in households:
        same = np.repeat([True, False], [len(one.members), len(one.strangers)])
        fpir, fnir, _ = det_curve(same, np.concatenate([one.members, one.strangers]))
        inside = (fpir > 0) & (fnir > 0) & (fpir < 1) & (fnir < 1)
        plot.plot(norm.ppf(fpir[inside]), norm.ppf(fnir[inside]), label=f"{one.people} enrolled")
    for place, ticks in (
        (plot.set_xticks, [0.0002, 0.001, 0.01, 0.05, 0.2]),
        (plot.set_yticks, [0.01, 0.05, 0.2, 0.5]),
    ):
        place(norm.ppf(ticks), [f"{tick:.2%}" for tick in ticks])
    plot.set(xlim=norm.ppf([0.0001, 0.3]), ylim=norm.ppf([0.005, 0.6]))
    plot.legend()
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


def discard_figure(errors: list[ErrorAfterDiscard]) -> bytes:
    """FNMR over the share of pairs that are left out, the least clear first (ISO/IEC 29794-1)."""
    figure, plot = axes("LFW under all conditions, without the least clear pairs", "pairs left out", "FNMR")
    shares = [error.discarded for error in errors]
    plot.plot(shares, [error.fnmr for error in errors], "o-", label="by the length of the output")
    plot.plot(shares, [error.fnmr_best for error in errors], "--", label="the best possible")
    plot.plot(shares, [errors[0].fnmr] * len(errors), ":", label="at random")
    plot.set(ylim=(0, None))
    plot.legend()
    return png(figure)


def conditions_figure(conditions: list[UnderCondition]) -> bytes:
    """The share of mated pairs that pass, by condition: as the model ships, and at an FMR of 1e-3."""
    figure, plot = plt.subplots(figsize=(6.4, 0.36 * len(conditions) + 1.2))
    names, places = [result.condition for result in conditions], np.arange(len(conditions))
    plot.barh(places + 0.2, [result.tar_at_fmr for result in conditions], 0.4, label="at FMR 1e-3")
    plot.barh(places - 0.2, [result.tar_shipped for result in conditions], 0.4, label="as it ships")
    plot.set(title="LFW, the first picture under a condition", xlabel="mated pairs that pass", xlim=(0, 1))
    plot.set_yticks(places, names)
    plot.invert_yaxis()
    plot.grid(alpha=0.3, axis="x")
    plot.legend(loc="lower left")
    return png(figure)


def nearest_figure(pairs: list[NearPair], columns: int = 8) -> bytes:
    """A contact sheet of the nearest pairs of two people, each with its d and the teacher's cosine."""
    rows = -(-len(pairs) // columns)
    figure, plots = plt.subplots(rows, columns, figsize=(1.9 * columns, 1.2 * rows), squeeze=False)
    for plot in plots.ravel():
        plot.axis("off")
    for plot, pair in zip(plots.ravel(), pairs, strict=False):
        plot.imshow(np.hstack(pair.crops))
        teacher = "" if pair.cosine is None else f", teacher {pair.cosine:.2f}"
        plot.set_title(f"d {pair.distance:.2f}{teacher}", fontsize=7)
    return png(figure)
