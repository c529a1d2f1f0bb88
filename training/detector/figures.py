"""Figures of a detector's evaluation, each as the bytes of a PNG."""

from training.detector.evaluation import SCORE_MINS, DetectionEvaluation
from training.evaluate.figures import axes, png


def threshold_figure(evaluation: DetectionEvaluation) -> bytes:
    """Recall over false alarms for every threshold; the default threshold is marked."""
    figure, plot = axes("Every threshold", "false alarms per 100 held-out pictures", "faces found")
    rows = [evaluation.matches_at(float(score_min)) for score_min in SCORE_MINS]
    plot.plot([row.false_per_100 for row in rows], [row.recall for row in rows], ".-")
    chosen = evaluation.matches()
    plot.plot(chosen.false_per_100, chosen.recall, "o", label=f"default, {evaluation.score_min:.2f}")
    plot.set_xscale("symlog", linthresh=1)
    plot.legend(loc="lower right")
    return png(figure)
