"""The detector: a small anchor-free network in the manner of YuNet (Wu et al. 2023), of dense convolutions and ReLU.

Each cell of three grids (strides 8, 16, 32) predicts whether the centre of a face is near, and its box and landmarks,
in the units of edge.inference.detector. Higher levels, which see a larger area, are added to lower ones.
"""

import torch
from torch import Tensor, nn

from edge.inference.detector import MIDDLE, STRIDES, VALUES
from training.engine.detector_experiment import DetectorConfig
from training.engine.layers import DenseBlock, conv_bn

RARE = -4.6  # initial score logit: one cell in a hundred has a face (Lin et al. 2017)


class Detector(nn.Module):
    """(B, 3, H, W) float32 in [-1, 1) -> for every stride score logits (B, 1, h, w) and places (B, 14, h, w)."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        width = config.stem
        self.stem = nn.Sequential(conv_bn(3, width, 3, stride=2), nn.ReLU())
        stages = []
        for stage_width, blocks in zip(config.widths, config.blocks, strict=True):
            down = [conv_bn(width, stage_width, 3, stride=2), nn.ReLU()]
            stages.append(nn.Sequential(*down, *(DenseBlock(stage_width) for _ in range(blocks))))
            width = stage_width
        self.first, *levels = stages
        self.levels = nn.ModuleList(levels)
        self.lateral = nn.ModuleList([conv_bn(stage_width, config.neck, 1) for stage_width in config.widths[1:]])
        # A transposed convolution, because XNNPACK runs it in int8; nearest-neighbour resizing would split the graph.
        self.raised = nn.ModuleList([nn.ConvTranspose2d(config.neck, config.neck, 2, 2) for _ in STRIDES[1:]])
        self.heads = nn.ModuleList([nn.Sequential(conv_bn(config.neck, config.head, 3), nn.ReLU()) for _ in STRIDES])
        self.scores = nn.ModuleList([nn.Conv2d(config.head, 1, 1) for _ in STRIDES])
        self.places = nn.ModuleList([nn.Conv2d(config.head, VALUES, 1) for _ in STRIDES])
        for score, place in zip(self.scores, self.places, strict=True):
            nn.init.constant_(score.get_parameter("bias"), RARE)
            nn.init.normal_(place.get_parameter("weight"), std=0.01)
            nn.init.constant_(place.get_parameter("bias"), MIDDLE)

    def load_trunk(self, weights: dict[str, Tensor]) -> None:
        """Load all weights but the heads of another detector, whose heads may have another width.

        Raises ValueError where the trunk is another.
        """
        heads = ("heads.", "scores.", "places.")
        trunk = {name: value for name, value in weights.items() if not name.startswith(heads)}
        missing, unexpected = self.load_state_dict(trunk, strict=False)
        if unexpected or any(not name.startswith(heads) for name in missing):
            raise ValueError(f"another trunk: {unexpected} are unexpected, {missing} are missing")

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute scores and places of stride 8, 16 and 32."""
        x = self.first(self.stem(x))
        features = []
        for level, lateral in zip(self.levels, self.lateral, strict=True):
            x = level(x)
            features.append(lateral(x))
        above = torch.relu(features.pop())
        levels = [above]
        for feature, raised in zip(reversed(features), reversed(self.raised), strict=True):
            height, width = feature.shape[2:]
            above = torch.relu(feature + raised(above)[:, :, :height, :width])  # 15 rows under 8: one is too many
            levels.insert(0, above)
        outputs = []
        for feature, head, score, place in zip(levels, self.heads, self.scores, self.places, strict=True):
            hidden = head(feature)
            places = place(hidden)
            # Targets are in [0, 6]. In evaluation mode the graph ends in ReLU6, so that int8 has its 256 steps in that
            # range only. In training mode nothing is clamped: a cell beyond the range would have no gradient.
            outputs += [score(hidden), places if self.training else torch.clamp(places, 0.0, 6.0)]
        return tuple(outputs)


def flattened(outputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Join the levels to N cells, stride 8 first: (B, N) score logits, (B, N, 14) places."""
    scores = torch.cat([score.flatten(1) for score in outputs[0::2]], dim=1)
    places = torch.cat([place.flatten(2).transpose(1, 2) for place in outputs[1::2]], dim=1)
    return scores.float(), places.float()
