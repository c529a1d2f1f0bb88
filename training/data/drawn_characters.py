"""Drawn characters: enough to run the whole ladder without a data set."""

from functools import lru_cache

import cv2
import numpy as np

from training.data.drawings import Drawings, Prepare

CANVAS_PX = 105
TREMBLE_PX = 3.5  # standard deviation of the points of a stroke, from one drawer to another
PER_ALPHABET = 20
NUMBERS = range(1, PER_ALPHABET + 1)


def drawn_alphabets(prefix: str, alphabets: int, drawers: int, prepare: Prepare, seed: int) -> Drawings:
    """Draw alphabets "prefix-0", "prefix-1", ... of 20 characters, each by this many drawers.

    A character is a few curves; every drawer moves their points a little.
    """
    canvases = drawn_canvases(alphabets, drawers, seed)
    return Drawings(
        np.stack([prepare(canvas) for canvas in canvases]),
        np.repeat(
            [f"{prefix}-{alphabet}/{number:02d}" for alphabet in range(alphabets) for number in NUMBERS], drawers
        ),
        np.tile(np.arange(1, drawers + 1), alphabets * PER_ALPHABET),
    )


@lru_cache(maxsize=4)  # a ladder draws the same for every row; one value of a smoke test has 21 MB
def drawn_canvases(alphabets: int, drawers: int, seed: int) -> tuple[np.ndarray, ...]:
    """(105, 105) bool, read-only, for every drawer of every character of every alphabet, in this order of loops."""
    canvases = []
    for alphabet in range(alphabets):
        for number in range(PER_ALPHABET):
            rng = np.random.default_rng([seed, alphabet, number])
            strokes = [rng.uniform(18, CANVAS_PX - 18, (3, 2)) for _ in range(rng.integers(2, 4))]
            canvases += [
                draw(strokes, np.random.default_rng([seed, alphabet, number, drawer])) for drawer in range(drawers)
            ]
    for canvas in canvases:
        canvas.flags.writeable = False
    return tuple(canvases)


def draw(strokes: list[np.ndarray], hand: np.random.Generator) -> np.ndarray:
    """Strokes, each (3, 2) start, bend and end in pixels -> (105, 105) bool, True where there is ink."""
    canvas = np.zeros((CANVAS_PX, CANVAS_PX), dtype=np.uint8)
    along = np.linspace(0, 1, 24)[:, None]
    for stroke in strokes:
        start, bend, end = stroke + hand.normal(0, TREMBLE_PX, (3, 2))
        curve = (1 - along) ** 2 * start + 2 * along * (1 - along) * bend + along**2 * end  # (24, 2)
        cv2.polylines(canvas, [np.round(curve).astype(np.int32)], isClosed=False, color=1, thickness=3)
    return canvas.astype(bool)
