"""Encoding pictures: with the network as trained, or with the int8 model through the code of the device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from edge.inference.embedder import Embedder
from training.data.teacher import unit_length
from training.data.warp import shrunk
from training.engine.learner import to_network


@dataclass(frozen=True)
class Encoder:
    """A similarity function in two parts: the encoding of a picture, and the comparison of two encodings.

    encode:   (N, px, px, channels) uint8 -> (N, D) float32
    distance: (..., D), (..., D) -> (...), smaller where more alike
    """

    encode: Callable[[np.ndarray], np.ndarray]
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray]


def squared_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The distance d: (..., D), (..., D) -> (...)."""
    distance: np.ndarray = np.square(first - second).sum(axis=-1)
    return distance


@torch.no_grad()
def outputs_of(
    network: nn.Module, images: Sequence[np.ndarray] | np.ndarray, batch_size: int = 128, px: int | None = None
) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D) float32, the outputs of the network as trained; px: shrink the pictures first."""
    device = next(network.parameters()).device
    rows = []
    for start in range(0, len(images), batch_size):
        pictures = [shrunk(image, px or image.shape[0]) for image in images[start : start + batch_size]]
        batch = torch.from_numpy(np.stack(pictures)).to(device)
        rows.append(network(to_network(batch)).float().cpu().numpy())
    return np.concatenate(rows)


def encode_float(
    backbone: nn.Module, images: Sequence[np.ndarray] | np.ndarray, px: int | None = None, *, mirror: bool = False
) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D) float32 of unit length, with the network as trained; px: shrink the pictures.

    mirror: take the mean of the outputs for each picture and for its mirror image
    """
    outputs = outputs_of(backbone, images, px=px)
    if mirror:
        outputs += outputs_of(backbone, [image[:, ::-1] for image in images], px=px)
    return unit_length(outputs)


def outputs_on_device(embedder: Embedder, images: np.ndarray, what: str) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D) float32, the outputs of the int8 model, one at a time."""
    return np.stack(
        [embedder.raw(np.asarray(image)) for image in tqdm(images, desc=f"embed {what}", unit="crop", disable=None)]
    )


def encode_on_device(embedder: Embedder, images: np.ndarray, what: str) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D) float32 of unit length, one at a time, with the code of the device."""
    return np.stack(
        [embedder.embed(np.asarray(image)) for image in tqdm(images, desc=f"embed {what}", unit="crop", disable=None)]
    )
