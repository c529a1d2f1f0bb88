"""The Siamese network: one encoder for every side of a comparison, and the loss over the batch."""

from torch import Tensor, nn

from training.embedder.backbone import Backbone
from training.embedder.losses import EmbeddingLoss
from training.embedder.steps import EmbeddingBatch
from training.engine.learner import Unrounded, channels_last, to_network


class EmbeddingLearner(nn.Module):
    """The backbone and its loss; learner.px is the side of the last batch's pictures."""

    def __init__(self, backbone: Backbone, loss: EmbeddingLoss) -> None:
        super().__init__()
        self.backbone = channels_last(backbone)
        self.loss = loss
        self.px: int | None = None

    def forward(self, unrounded: Unrounded[EmbeddingBatch]) -> dict[str, Tensor]:
        """Compute the losses by name; "total" is minimised."""
        batch = unrounded.batch
        self.px = batch.images.shape[1]
        losses: dict[str, Tensor] = self.loss(
            self.backbone(to_network(batch.images)), batch.people, batch.teacher, batch.bank
        )
        return losses
