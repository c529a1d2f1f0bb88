"""The detector with its loss over the cells of a batch."""

from torch import Tensor, nn

from training.detector.loss import DetectionLoss
from training.detector.network import Detector, flattened
from training.detector.steps import DetectionBatch
from training.engine.learner import Unrounded, channels_last, to_network


class DetectionLearner(nn.Module):
    """The network and its loss."""

    def __init__(self, detector: Detector, loss: DetectionLoss) -> None:
        super().__init__()
        self.detector = channels_last(detector)
        self.loss = loss

    def forward(self, unrounded: Unrounded[DetectionBatch]) -> dict[str, Tensor]:
        """Compute the losses by name; "total" is minimised."""
        batch = unrounded.batch
        logits, places = flattened(self.detector(to_network(batch.images)))
        losses: dict[str, Tensor] = self.loss(logits, places, batch.state, batch.faces)
        return losses
