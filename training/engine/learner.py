"""A network together with what it is asked to do: a batch in, named losses out."""

from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from training.detector.loss import DetectionLoss
from training.detector.network import Detector, flattened
from training.detector.steps import DetectionBatch
from training.embedder.backbone import Backbone
from training.embedder.losses import EmbeddingLoss, PairLoss
from training.embedder.steps import EmbeddingBatch
from training.omniglot.koch import KochNetwork


def to_network(images: Tensor) -> Tensor:
    """(B, H, W, C) uint8 -> (B, C, H, W) float32 in [-1, 1): (pixel - 128) / 128, what int8 sees as pixel - 128."""
    return images.float().sub_(128.0).mul_(1 / 128).permute(0, 3, 1, 2)  # a view: the memory stays channels-last


Batch = TypeVar("Batch")


class Unrounded(Generic[Batch]):
    """A batch that Fabric passes on unchanged: it rounds every float of a tuple to bfloat16, the teacher's too."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch


class EmbeddingLearner(nn.Module):
    """The Siamese network: one encoder for every side of a comparison, and the loss over the batch."""

    def __init__(self, backbone: Backbone, loss: EmbeddingLoss) -> None:
        super().__init__()
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.loss = loss
        self.px: int | None = None  # of the last batch

    def forward(self, unrounded: Unrounded[EmbeddingBatch]) -> dict[str, Tensor]:
        """Losses by name; "total" is what is minimised."""
        batch = unrounded.batch
        self.px = batch.images.shape[1]
        return self.loss(self.backbone(to_network(batch.images)), batch.people, batch.teacher, batch.bank)


class PairLearner(nn.Module):
    """Koch's network and its verdict on pairs."""

    def __init__(self, backbone: KochNetwork, loss: PairLoss) -> None:
        super().__init__()
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.loss = loss

    def forward(self, unrounded: Unrounded[EmbeddingBatch]) -> dict[str, Tensor]:
        """Losses by name; "total" is what is minimised."""
        batch = unrounded.batch
        return self.loss(self.backbone(to_network(batch.images)))


class DetectionLearner(nn.Module):
    """The detector and its loss over the cells of a batch."""

    def __init__(self, detector: Detector, loss: DetectionLoss) -> None:
        super().__init__()
        self.detector = detector.to(memory_format=torch.channels_last)
        self.loss = loss

    def forward(self, unrounded: Unrounded[DetectionBatch]) -> dict[str, Tensor]:
        """Losses by name; "total" is what is minimised."""
        batch = unrounded.batch
        logits, places = flattened(self.detector(to_network(batch.images)))
        return self.loss(logits, places, batch.state, batch.faces)
