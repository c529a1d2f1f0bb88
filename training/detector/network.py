"""The detector: a small anchor-free network in the manner of YuNet (Wu et al. 2023), of dense convolutions and ReLU.

A cell of each of three grids (strides 8, 16, 32) says whether a face is centred near it, and where box and landmarks
lie; edge.inference.detector says in which units. Higher levels, which see more, are added to lower ones.
"""

import torch
from torch import Tensor, nn

from edge.inference.detector import MIDDLE, STRIDES, VALUES
from training.embedder.backbone import DenseBlock, conv_bn
from training.engine.experiment import DetectorConfig

RARE = -4.6  # score logit at the start: one cell in a hundred holds a face (Lin et al. 2017)


class Detector(nn.Module):
    """(B, 3, H, W) float32 in [-1, 1) -> of every stride the score logits (B, 1, h, w) and the places (B, 14, h, w)."""

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
        # Learned, because XNNPACK runs it in int8; nearest-neighbour resizing would cut the graph in pieces.
        self.raised = nn.ModuleList([nn.ConvTranspose2d(config.neck, config.neck, 2, 2) for _ in STRIDES[1:]])
        self.heads = nn.ModuleList([nn.Sequential(conv_bn(config.neck, config.head, 3), nn.ReLU()) for _ in STRIDES])
        self.scores = nn.ModuleList([nn.Conv2d(config.head, 1, 1) for _ in STRIDES])
        self.places = nn.ModuleList([nn.Conv2d(config.head, VALUES, 1) for _ in STRIDES])
        for score, place in zip(self.scores, self.places, strict=True):
            nn.init.constant_(score.bias, RARE)
            nn.init.normal_(place.weight, std=0.01)
            nn.init.constant_(place.bias, MIDDLE)

    def load_trunk(self, weights: dict[str, Tensor]) -> None:
        """Take everything but the heads from another detector's weights, which may have heads of another width."""
        heads = ("heads.", "scores.", "places.")
        trunk = {name: value for name, value in weights.items() if not name.startswith(heads)}
        missing, unexpected = self.load_state_dict(trunk, strict=False)
        if unexpected or any(not name.startswith(heads) for name in missing):
            raise ValueError(f"not the same trunk: {unexpected} are too many, {missing} are missing")

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Scores and places of stride 8, of 16, of 32."""
        x = self.first(self.stem(x))
        features = []
        for level, lateral in zip(self.levels, self.lateral, strict=True):
            x = level(x)
            features.append(lateral(x))
        above = torch.relu(features.pop())
        seen = [above]
        for feature, raised in zip(reversed(features), reversed(self.raised), strict=True):
            height, width = feature.shape[2:]
            above = torch.relu(feature + raised(above)[:, :, :height, :width])  # 15 rows under 8: one is too many
            seen.insert(0, above)
        outputs = []
        for feature, head, score, place in zip(seen, self.heads, self.scores, self.places, strict=True):
            hidden = head(feature)
            places = place(hidden)
            # Targets lie in [0, 6]. At rest the graph ends in ReLU6, so that int8 spends its 256 steps on that range
            # alone; while learning nothing is cut off, or a cell beyond it would never come back.
            outputs += [score(hidden), places if self.training else torch.clamp(places, 0.0, 6.0)]
        return tuple(outputs)


def flattened(outputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """The answers of all levels in one row of N cells, stride 8 first: (B, N) score logits, (B, N, 14) places."""
    scores = torch.cat([score.flatten(1) for score in outputs[0::2]], dim=1)
    places = torch.cat([place.flatten(2).transpose(1, 2) for place in outputs[1::2]], dim=1)
    return scores.float(), places.float()
