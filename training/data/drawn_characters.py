"""Drawn characters: enough to run the whole ladder without a data set."""

import cv2
import numpy as np

from training.data.drawings import Drawings, Prepare

CANVAS_PX = 105
TREMBLE_PX = 3.5  # standard deviation of the points of a stroke, from one drawer to another
PER_ALPHABET = 20


def drawn_alphabets(prefix: str, alphabets: int, drawers: int, prepare: Prepare, seed: int) -> Drawings:
    """Draw alphabets "prefix-0", "prefix-1", ... of 20 characters, each by this many drawers.

    A character is a few curves; every drawer moves their points a little.
    """
    images, characters = [], []
    for alphabet in range(alphabets):
        for number in range(PER_ALPHABET):
            rng = np.random.default_rng([seed, alphabet, number])
            strokes = [rng.uniform(18, CANVAS_PX - 18, (3, 2)) for _ in range(rng.integers(2, 4))]
            for drawer in range(drawers):
                hand = np.random.default_rng([seed, alphabet, number, drawer])
                images.append(prepare(draw(strokes, hand)))
                characters.append(f"{prefix}-{alphabet}/{number + 1:02d}")
    return Drawings(
        np.stack(images), np.array(characters), np.tile(np.arange(1, drawers + 1), alphabets * PER_ALPHABET)
    )


def draw(strokes: list[np.ndarray], hand: np.random.Generator) -> np.ndarray:
    """Strokes, each (3, 2) start, bend and end in pixels -> (105, 105) bool, True where there is ink."""
    canvas = np.zeros((CANVAS_PX, CANVAS_PX), dtype=np.uint8)
    along = np.linspace(0, 1, 24)[:, None]
    for stroke in strokes:
        start, bend, end = stroke + hand.normal(0, TREMBLE_PX, (3, 2))
        curve = (1 - along) ** 2 * start + 2 * along * (1 - along) * bend + along**2 * end  # (24, 2)
        cv2.polylines(canvas, [np.round(curve).astype(np.int32)], isClosed=False, color=1, thickness=3)
    return canvas.astype(bool)
