"""A network together with what it is asked to do: a batch in, named losses out."""

import torch
from torch import Tensor, nn

from training.data.detection_steps import DetectionBatch
from training.data.steps import EmbeddingBatch
from training.detection_loss import DetectionLoss
from training.losses import EmbeddingLoss, PairLoss
from training.models.backbones import Backbone
from training.models.detector import Detector, flattened
from training.models.koch import KochNetwork


def to_network(images: Tensor) -> Tensor:
    """(B, H, W, C) uint8 -> (B, C, H, W) float32 in [-1, 1): (pixel - 128) / 128, what int8 sees as pixel - 128."""
    return images.float().sub_(128.0).mul_(1 / 128).permute(0, 3, 1, 2)  # a view: the memory stays channels-last


class EmbeddingLearner(nn.Module):
    """The Siamese network: one encoder for every side of a comparison, and the loss over the batch."""

    def __init__(self, backbone: Backbone, loss: EmbeddingLoss) -> None:
        super().__init__()
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.loss = loss

    def forward(self, batch: EmbeddingBatch) -> dict[str, Tensor]:
        """Losses by name; "total" is what is minimised."""
        return self.loss(self.backbone(to_network(batch.images)), batch.people, batch.teacher)


class PairLearner(nn.Module):
    """Koch's network and its verdict on pairs."""

    def __init__(self, backbone: KochNetwork, loss: PairLoss) -> None:
        super().__init__()
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.loss = loss

    def forward(self, batch: EmbeddingBatch) -> dict[str, Tensor]:
        """Losses by name; "total" is what is minimised."""
        return self.loss(self.backbone(to_network(batch.images)))


class DetectionLearner(nn.Module):
    """The detector and its loss over the cells of a batch."""

    def __init__(self, detector: Detector, loss: DetectionLoss) -> None:
        super().__init__()
        self.detector = detector.to(memory_format=torch.channels_last)
        self.loss = loss

    def forward(self, batch: DetectionBatch) -> dict[str, Tensor]:
        """Losses by name; "total" is what is minimised."""
        logits, places = flattened(self.detector(to_network(batch.images)))
        return self.loss(logits, places, batch.state, batch.faces)
