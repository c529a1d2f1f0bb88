"""Pictures of an evaluation, each as the bytes of a PNG."""

import io

import matplotlib as mpl

mpl.use("Agg")  # no window: this runs on machines without a screen

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.metrics import det_curve, roc_curve

from training.detector.evaluation import SCORE_MINS, DetectionEvaluation
from training.embedder.evaluation import Comparisons


def png(figure: plt.Figure) -> bytes:
    """The figure's bytes; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()


def axes(title: str, x: str, y: str) -> tuple[plt.Figure, plt.Axes]:
    """One small plot with its labels."""
    figure, plot = plt.subplots(figsize=(5, 3.6))
    plot.set(title=title, xlabel=x, ylabel=y)
    plot.grid(alpha=0.3)
    return figure, plot


def roc_figure(comparisons: Comparisons, title: str) -> bytes:
    """TAR over FAR, the FAR on a logarithmic axis."""
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
    """Distances of mated and of non-mated pairs, with the tau that parts them best."""
    figure, plot = axes(f"Distances, {title}", "d", "pairs")
    bins = np.linspace(0, 3, 91)
    plot.hist(comparisons.distances[comparisons.pairs.same], bins, alpha=0.6, label="same person")
    plot.hist(comparisons.distances[~comparisons.pairs.same], bins, alpha=0.6, label="different people")
    plot.axvline(comparisons.result.tau, color="black", linestyle="--", label=f"tau {comparisons.result.tau:.2f}")
    plot.legend()
    return png(figure)


def impostor_figure(distances: np.ndarray, quantiles: dict[str, float]) -> bytes:
    """The left tail of d between strangers: how often one would pass, for every tau."""
    figure, plot = axes("Strangers that would pass", "tau", "FMR")
    ordered = np.sort(distances)
    share = np.arange(1, len(ordered) + 1) / len(ordered)
    thin = np.unique(np.geomspace(1, len(ordered), 2000).astype(int)) - 1  # 2,000 points draw what millions do
    plot.plot(ordered[thin], share[thin])
    plot.plot(list(quantiles.values()), [float(fmr) for fmr in quantiles], "o")
    plot.set(yscale="log")
    return png(figure)


def threshold_figure(evaluation: DetectionEvaluation) -> bytes:
    """Faces found over false alarms, for every threshold; the default one marked."""
    figure, plot = axes("Every threshold", "false alarms per 100 held-out pictures", "faces found")
    rows = [evaluation.matches_at(float(score_min)) for score_min in SCORE_MINS]
    plot.plot([row.false_per_100 for row in rows], [row.recall for row in rows], ".-")
    chosen = evaluation.matches()
    plot.plot(chosen.false_per_100, chosen.recall, "o", label=f"default, {evaluation.score_min:.2f}")
    plot.set_xscale("symlog", linthresh=1)
    plot.legend(loc="lower right")
    return png(figure)


def growth_figure(log: list[dict], looked_at: dict[str, str], unit: str) -> bytes:
    """Loss over images seen, and beside it what was looked at now and then: its key in the log -> its name."""
    figure, plot = axes("Learning", "images seen", "loss")
    steps = [line for line in log if "total" in line]
    plot.plot([line["images"] for line in steps], [line["total"] for line in steps], alpha=0.6, label="loss")
    right = plot.twinx()
    for number, (key, name) in enumerate(looked_at.items(), start=1):
        looks = [line for line in log if key in line]
        if looks:
            right.plot([line["images"] for line in looks], [line[key] for line in looks], f"C{number}o-", label=name)
    right.set_ylabel(unit)
    right.legend(loc="best")
    return png(figure)
