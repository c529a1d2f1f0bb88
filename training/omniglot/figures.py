"""Figures of a ladder, each as the bytes of a small PNG."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.manifold import TSNE

from training.data.drawings import Drawings
from training.embedder.encoder import Encoder
from training.engine.run_log import Line
from training.evaluate.figures import axes, png
from training.omniglot.one_shot import distances_in
from training.omniglot.protocols import SHOTS, Protocol, shot_key
from training.omniglot.trials import Trials

Score = dict[str, Any]  # mean, standard deviation and interval over seeds; see training.omniglot.protocols.over_seeds

CONFUSIONS = 12
MAPPED_DRAWERS = 6


def rows_figure(names: list[str], scores: list[Score], lines: dict[str, float], title: str) -> bytes:
    """One bar for each row with its 95 % interval; lines: published results."""
    figure, plot = plt.subplots(figsize=(7, 0.5 * len(names) + 1.2))
    means = [100 * score["mean"] for score in scores]
    plot.barh(names, means, color="C0", alpha=0.8)
    for place, score in enumerate(scores):
        if score["interval_95"] is not None:
            plot.plot([100 * end for end in score["interval_95"]], [place, place], color="black")
    for colour, (who, accuracy) in enumerate(lines.items(), start=1):
        plot.axvline(100 * accuracy, color=f"C{colour}", linestyle="--", label=f"{who}, {100 * accuracy:.1f} %")
    plot.set(title=title, xlabel="%", xlim=(max(0, min(means) - 15), 100))
    if lines:
        plot.legend(loc="lower left", fontsize="x-small")
    plot.invert_yaxis()
    return png(figure)


def validations_figure(logs: dict[str, list[list[Line]]]) -> bytes:
    """One-shot accuracy on the held-out alphabets over drawings seen, two to a pair; a thin line for each seed."""
    figure, plot = axes("Learning", "training pairs seen (two drawings each)", "20-way one-shot, held-out alphabets")
    for number, (label, seeds) in enumerate(logs.items()):
        for seed, log in enumerate(seeds):
            lines = [line for line in log if "held_out_one_shot" in line]
            pairs, shares = [line["images"] / 2 for line in lines], [line["held_out_one_shot"] for line in lines]
            plot.plot(pairs, shares, f"C{number}.-", alpha=0.6, label=label if seed == 0 else None)
    plot.set(xscale="log")
    plot.legend(fontsize="x-small")
    return png(figure)


def shots_figure(scores: dict[str, dict[str, Score]], protocol: Protocol) -> bytes:
    """Accuracy over the number of drawings of each character; scores: row -> key -> score."""
    figure, plot = axes(protocol.name, "drawings of each character", "accuracy")
    for label, row in scores.items():
        plot.plot(SHOTS, [row[shot_key(protocol, shots)]["mean"] for shots in SHOTS], "o-", label=label)
    plot.set_xticks(SHOTS)
    plot.legend(fontsize="x-small")
    return png(figure)


def confusions_figure(encoder: Encoder, drawings: Drawings, trials: Trials) -> bytes:
    """The errors with the largest margin: the query, the drawing of its character, and the drawing it was taken for."""
    distances = distances_in(encoder.encode(drawings.images), trials, encoder.distance)  # (T, N)
    nearest = distances.argmin(axis=1)
    order = np.argsort(distances.min(axis=1) - distances[:, 0])  # the largest margin first
    shown: list[tuple[int, int, int]] = []
    seen: set[frozenset[str]] = set()
    for trial in order[distances[order].min(axis=1) < distances[order, 0]]:
        right, wrong = trials.support[trial, 0, 0], trials.support[trial, nearest[trial], 0]
        pair = frozenset((drawings.characters[right], drawings.characters[wrong]))
        if pair not in seen:
            seen.add(pair)
            shown.append((trials.query[trial], right, wrong))
    figure, plots = plt.subplots(4, CONFUSIONS // 4 * 3, figsize=(7, 4))
    for place, plot in enumerate(plots.ravel()):
        plot.axis("off")
        number, column = divmod(place, 3)
        if number < len(shown):
            plot.imshow(255 - drawings.images[shown[number][column], :, :, 0], cmap="gray", vmin=0, vmax=255)
            plot.set_title(("query", "its character", "taken for")[column], fontsize=7, pad=2)
    return png(figure)


def map_figure(encoder: Encoder, drawings: Drawings, alphabet: str) -> bytes:
    """Drawings of one alphabet at their t-SNE positions (van der Maaten & Hinton 2008), a colour for each character."""
    rows = np.flatnonzero((drawings.alphabets == alphabet) & (drawings.drawers <= MAPPED_DRAWERS))
    encodings = encoder.encode(drawings.images[rows])
    places = TSNE(perplexity=min(12, len(rows) // 4), init="pca", random_state=0).fit_transform(encodings)
    characters = np.unique(drawings.characters[rows], return_inverse=True)[1]
    colours = plt.get_cmap("hsv")(characters / (characters.max() + 1))[:, :3]
    figure, plot = plt.subplots(figsize=(6, 6))
    spread = np.ptp(places, axis=0).max() * 0.018
    for row, (x, y), colour in zip(rows, places, colours * 0.8, strict=True):
        ink = drawings.images[row].astype(np.float32) / 255  # (px, px, 1)
        picture = np.concatenate([np.broadcast_to(colour, (*ink.shape[:2], 3)), ink], axis=2)
        plot.imshow(picture, extent=(x - spread, x + spread, y - spread, y + spread))
    low, high = places.min(axis=0) - 2 * spread, places.max(axis=0) + 2 * spread
    plot.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), title=f"{alphabet}, not in the training data")
    plot.set_aspect("equal")
    plot.axis("off")
    return png(figure)
