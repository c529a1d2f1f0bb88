"""The loss of the detector: score, box and landmarks. A new term is a line in forward and a weight in its config."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge.inference.detector import CENTRE_UNIT, FACE_STRIDES, LANDMARK_UNIT, MIDDLE, SIZE_UNIT
from training.detector.steps import FACE, IGNORED
from training.engine.detector_experiment import DetectionLossConfig


def decode(places: Tensor, centres: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
    """(P, 14), (P, 2), (P,) -> boxes (P, 4), landmarks (P, 10): edge.inference.detector.decode in torch."""
    unit = (places - MIDDLE) * strides[:, None]
    middle = centres + unit[:, 0:2] * CENTRE_UNIT
    half = torch.exp((places[:, 2:4] - MIDDLE).clamp(-4, 4) * SIZE_UNIT) * (FACE_STRIDES / 2 * strides[:, None])
    landmarks = centres.repeat(1, 5) + unit[:, 4:] * LANDMARK_UNIT
    return torch.cat([middle - half, middle + half], dim=1), landmarks


def paired_iou(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """(P, 4), (P, 4) -> (P,) intersection over union of each pair, and its generalized form (Rezatofighi et al. 2019).

    The generalized one is in [-1, 1]: the plain one minus the share of the common hull that neither box covers.
    """
    low, high = torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    union = (first[:, 2:] - first[:, :2]).prod(dim=1) + (second[:, 2:] - second[:, :2]).prod(dim=1) - shared
    hull_low, hull_high = torch.minimum(first[:, :2], second[:, :2]), torch.maximum(first[:, 2:], second[:, 2:])
    hull = (hull_high - hull_low).prod(dim=1).clamp(min=1e-6)
    iou = shared / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull


class DetectionLoss(nn.Module):
    """The weighted sum of the three terms, each the mean over the cells with a face."""

    def __init__(self, config: DetectionLossConfig, centres: Tensor, strides: Tensor) -> None:
        super().__init__()
        self.config = config
        self.centres: Tensor
        self.strides: Tensor
        self.register_buffer("centres", centres, persistent=False)  # (N, 2)
        self.register_buffer("strides", strides, persistent=False)  # (N,)

    def forward(self, logits: Tensor, places: Tensor, state: Tensor, faces: Tensor) -> dict[str, Tensor]:
        """(B, N), (B, N, 14), (B, N), (B, N, 14) -> the terms by name, and "total"."""
        with torch.autocast(logits.device.type, enabled=False):
            picture, cell = torch.nonzero(state == FACE, as_tuple=True)
            truth = faces[picture, cell]
            boxes, landmarks = decode(places[picture, cell], self.centres[cell], self.strides[cell])
            iou, generalized = paired_iou(boxes, truth[:, :4])
            size = (truth[:, 2:4] - truth[:, :2]).prod(dim=1).sqrt()
            count = max(1, len(picture))
            off = (landmarks - truth[:, 4:]).abs().mean(dim=1) / size.clamp(min=1)
            terms = {
                "score": quality_focal(logits, state, picture, cell, iou.detach()) / count,
                "box": (1 - generalized).sum() / count,
                "landmarks": off.sum() / count,
            }
        weights = self.config
        total = weights.score * terms["score"] + weights.box * terms["box"] + weights.landmarks * terms["landmarks"]
        return terms | {"total": total}


def quality_focal(logits: Tensor, state: Tensor, picture: Tensor, cell: Tensor, iou: Tensor) -> Tensor:
    """Sum of |q - p|^2 BCE(p, q) over all cells that are not ignored; q is the IoU of the box on faces, 0 elsewhere.

    Quality focal loss (Li et al. 2020): the score predicts how well the box fits, so NMS keeps the best box.
    """
    quality = torch.zeros_like(logits)
    quality[picture, cell] = iou
    entropy = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    weight = (quality - logits.sigmoid()).abs().square() * (state != IGNORED)
    return (weight * entropy).sum()
