"""Embeddings and crops as bytes."""

import cv2
import numpy as np

from edge.errors import GalleryError


def blob_of(embedding: np.ndarray) -> bytes:
    """(D,) float32 as little-endian bytes."""
    return np.ascontiguousarray(embedding, dtype="<f4").tobytes()


def is_embedding(blob: bytes) -> bool:
    """Numbers, and of unit length."""
    if not blob or len(blob) % 4:
        return False
    return bool(np.isclose(np.linalg.norm(np.frombuffer(blob, dtype="<f4")), 1.0, atol=0.01))


def encoded(crop: np.ndarray) -> bytes:
    """(112, 112, 3) uint8 RGB as PNG: the very pixels, so that the same model answers the same again."""
    return cv2.imencode(".png", crop[..., ::-1])[1].tobytes()


def decoded(blob: bytes, what: str) -> np.ndarray:
    """The crop again. Raises GalleryError where it cannot be read."""
    crop = cv2.imdecode(np.frombuffer(blob, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    if crop is None:
        raise GalleryError(f"{what} is not a readable image")
    return crop
