"""A detector and an embedder for pictures in which a coloured square is a face, and its colour the person."""

import cv2
import numpy as np

from edge.core.types import Encoding, Face

SQUARE_LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


class SquareDetector:
    """Every patch of one bright colour is a face."""

    score_min = 0.77

    def __init__(self):
        self.looks = 0

    def detect(self, image, score_min=None):  # noqa: ARG002 -- every square is as good as any
        self.looks += 1
        faces = []
        sparse = image[::4, ::4].reshape(-1, 3)
        for colour in np.unique(sparse[sparse.max(axis=1) > 150], axis=0).tolist():
            mask = cv2.inRange(image, np.array(colour), np.array(colour))
            left, top, width, height = cv2.boundingRect(mask)
            box = np.array([left, top, left + width, top + height], dtype=np.float32)
            if min(box[2] - box[0], box[3] - box[1]) < 8:
                continue
            points = SQUARE_LANDMARKS * (box[2:] - box[:2]) + box[:2]
            faces.append(Face(box, 0.9, points.astype(np.float32)))
        return faces


class ColourEmbedder:
    """The colour's direction: alike colours are near. clarity: of every face."""

    clarity = None

    def encode(self, crop):
        return Encoding(self.embed(crop), self.clarity)

    def embed(self, crop):
        colour = crop.reshape(-1, 3).astype(np.float32).max(axis=0) - 120
        return (colour / np.linalg.norm(colour)).astype(np.float32)


def square(image, colour, left, top, size):
    """Draw a face."""
    image[top : top + size, left : left + size] = colour
    return image
