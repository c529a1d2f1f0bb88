"""Figures as the bytes of a PNG: the parts that every report shares."""

import io

import matplotlib as mpl

mpl.use("Agg")  # no window: this runs on machines without a screen

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.engine.run_log import Line


def png(figure: Figure) -> bytes:
    """The bytes of the figure; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()


def axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    """One small plot with its labels."""
    figure, plot = plt.subplots(figsize=(5, 3.6))
    plot.set(title=title, xlabel=x, ylabel=y)
    plot.grid(alpha=0.3)
    return figure, plot


def learning_figure(log: list[Line], metrics: dict[str, str], unit: str) -> bytes:
    """The loss over images seen, and the metrics of the validations; metrics: key in the log -> label."""
    figure, plot = axes("Learning", "images seen", "loss")
    steps = [line for line in log if "total" in line]
    plot.plot([line["images"] for line in steps], [line["total"] for line in steps], alpha=0.6, label="loss")
    right = plot.twinx()
    for number, (key, label) in enumerate(metrics.items(), start=1):
        lines = [line for line in log if key in line]
        if lines:
            right.plot([line["images"] for line in lines], [line[key] for line in lines], f"C{number}o-", label=label)
    right.set_ylabel(unit)
    right.legend(loc="best")
    return png(figure)
