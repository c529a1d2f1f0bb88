"""Koch's Siamese network as published: network, loss and learner (Koch, Zemel, Salakhutdinov 2015)."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.embedder.steps import EmbeddingBatch
from training.engine.encoder_experiment import KochConfig
from training.engine.learner import Unrounded, channels_last, to_network


class KochNetwork(nn.Module):
    """(B, channels, px, px) float32 in [-1, 1) -> (B, units) float32 in (0, 1).

    One side of the Siamese network, figure 4: convolutions without padding or normalisation, ReLU, pooling, and one
    layer of sigmoids.
    """

    def __init__(self, config: KochConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = config.channels
        for width, kernel in zip(config.widths, config.kernels, strict=True):
            layers += [nn.Conv2d(inputs, width, kernel), nn.ReLU(), nn.MaxPool2d(2)]
            inputs = width
        layers.pop()  # no pooling after the last convolution
        self.features = nn.Sequential(*layers)
        self.project = nn.Linear(inputs * config.final_px**2, config.units)

    def forward(self, x: Tensor) -> Tensor:
        """Encode a batch; shapes as above."""
        return self.project(self.features(x).flatten(1)).sigmoid()


class PairLoss(nn.Module):
    """Cross-entropy of a sigmoid over a weighted L1 distance: same or different?"""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(dimension, 1)

    def logits(self, first: Tensor, second: Tensor) -> Tensor:
        """(..., D), (..., D) -> (...); above zero where the same is more likely."""
        logits: Tensor = self.weigh((first - second).abs()).squeeze(-1)
        return logits

    def forward(self, encodings: Tensor) -> dict[str, Tensor]:
        """(2P, D), two of each person side by side -> the loss over P mated and P non-mated pairs."""
        with torch.autocast(encodings.device.type, enabled=False):
            first, second = encodings.float()[0::2], encodings.float()[1::2]
            logits = torch.stack([self.logits(first, second), self.logits(first, second.roll(1, 0))])
            same = torch.zeros_like(logits)
            same[0] = 1.0
            return {"total": functional.binary_cross_entropy_with_logits(logits, same)}


class PairLearner(nn.Module):
    """Koch's network and its loss on pairs."""

    def __init__(self, backbone: KochNetwork, loss: PairLoss) -> None:
        super().__init__()
        self.backbone = channels_last(backbone)
        self.loss = loss

    def forward(self, unrounded: Unrounded[EmbeddingBatch]) -> dict[str, Tensor]:
        """Compute the losses by name; "total" is minimised."""
        losses: dict[str, Tensor] = self.loss(self.backbone(to_network(unrounded.batch.images)))
        return losses


@torch.no_grad()
def pair_distance(loss: PairLoss, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(..., D), (..., D) -> (...), the negative logit of being the same."""
    with torch.autocast("cpu", enabled=False):
        distance: np.ndarray = -loss.logits(torch.from_numpy(first), torch.from_numpy(second)).numpy()
        return distance
