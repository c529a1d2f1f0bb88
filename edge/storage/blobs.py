"""Embeddings and crops as bytes."""

import struct

import cv2
import numpy as np

from edge.core.align import CROP_PX
from edge.core.replication import CROP_BYTES_MAX

ERASE_WITHIN = 1.27  # d; tau of the shipped model where a thousandth of non-mated comparisons pass
CROP_HEADER = b"\x89PNG\r\n\x1a\n", struct.pack(">II", CROP_PX, CROP_PX)  # signature; width and height


def blob_of(embedding: np.ndarray) -> bytes:
    """(D,) float32 as little-endian bytes."""
    return np.ascontiguousarray(embedding, dtype="<f4").tobytes()


def is_embedding(blob: bytes) -> bool:
    """Whether these are the bytes of a vector of unit length."""
    if not blob or len(blob) % 4:
        return False
    with np.errstate(all="ignore"):
        return bool(np.isclose(np.linalg.norm(np.frombuffer(blob, dtype="<f4")), 1.0, atol=0.01))


def are_embeddings(blobs: list[bytes], length: int) -> list[bool]:
    """For each, whether is_embedding holds; all have so many bytes."""
    with np.errstate(all="ignore"):
        rows = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(-1, length // 4)  # (N, D)
        return list(np.isclose(np.linalg.norm(rows, axis=1), 1.0, atol=0.01))


def is_crop(blob: bytes) -> bool:
    """Whether this begins as a PNG of 112x112, and is no larger than one: a decoder allocates what the header says."""
    signature, size = CROP_HEADER
    return blob.startswith(signature) and blob[16:24] == size and len(blob) <= CROP_BYTES_MAX


def encoded(crop: np.ndarray) -> bytes:
    """(112, 112, 3) uint8 RGB as PNG: without loss, so that the same model makes the same embedding again."""
    return cv2.imencode(".png", crop[..., ::-1])[1].tobytes()


def decoded(blob: bytes) -> np.ndarray | None:
    """PNG as (112, 112, 3) uint8 RGB; None where it cannot be read."""
    return cv2.imdecode(np.frombuffer(blob, dtype=np.uint8), cv2.IMREAD_COLOR_RGB) if is_crop(blob) else None


def near_enough(embeddings: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, D), (L, D) float32 of unit length -> (N,) bool: at most ERASE_WITHIN from one of the others."""
    near: np.ndarray = (2 - 2 * embeddings @ others.T).min(axis=1) <= ERASE_WITHIN  # (N, D) @ (D, L) -> (N, L) -> (N,)
    return near
