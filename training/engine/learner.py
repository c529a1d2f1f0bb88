"""The contract between the trainer and a learner: a module that takes a batch and returns its losses by name."""

from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Batch = TypeVar("Batch")
Network = TypeVar("Network", bound=nn.Module)


class Unrounded(Generic[Batch]):
    """A batch that Fabric leaves in float32.

    With bf16-mixed Fabric rounds every float tensor of a tuple to bfloat16, and that includes the teacher's embeddings.
    It does not look into an object of a class it does not know.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch


def to_network(images: Tensor) -> Tensor:
    """(B, H, W, C) uint8 -> (B, C, H, W) float32 in [-1, 1): (pixel - 128) / 128; int8 takes pixel - 128."""
    return images.float().sub_(128.0).mul_(1 / 128).permute(0, 3, 1, 2)  # a view: the memory stays channels-last


def channels_last(network: Network) -> Network:
    """The network with its weights in the memory order of to_network's pictures: convolutions are faster so."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
