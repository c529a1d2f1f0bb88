"""The encoder f(x): a plain residual network of dense 3x3 convolutions and ReLU.

Chosen by measurement (`python -m tests.bench.backbones`; one x86-64 thread, weights random):

    dense 3x3, 225 MMAC           training 117 images/s   int8 on LiteRT 1.35 ms
    depthwise blocks, 229 MMAC    training  51 images/s   int8 on LiteRT 2.21 ms
    dense 3x3, 76 MMAC (lite)     training 324 images/s   int8 on LiteRT 0.55 ms

Rejected:
- MobileFaceNet-like depthwise blocks: fewer weights for the same work, but nearly all of the time goes into moving
  activations between small operations, in training and on the runtime alike. At a fixed time for training, the dense
  network sees more than twice the pictures.
- PReLU and HardSwish: in int8 they fall off XNNPACK (32 to 40 and 14 to 18 ms for a network that takes 3 with ReLU).
- Average pooling at the end, and unit length made inside the graph: see the comments below.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.engine.experiment import BackboneConfig


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution and batch normalisation, which export folds into one operation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)
    )


class DenseBlock(nn.Module):
    """x + conv3x3(relu(conv3x3(x))), then ReLU (He et al. 2015, basic block)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_bn(width, width, 3)
        self.second = conv_bn(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class DepthwiseBlock(nn.Module):
    """x + project(depthwise3x3(expand(x))), expansion 2, linear at the end (Sandler et al. 2018; Chen et al. 2018)."""

    def __init__(self, width: int, expansion: int = 2) -> None:
        super().__init__()
        wide = width * expansion
        self.expand = conv_bn(width, wide, 1)
        self.depthwise = conv_bn(wide, wide, 3, groups=wide)
        self.project = conv_bn(wide, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        return x + self.project(torch.relu(self.depthwise(torch.relu(self.expand(x)))))


BLOCKS = {"dense": DenseBlock, "depthwise": DepthwiseBlock}


class Backbone(nn.Module):
    """(B, channels, px, px) float32 in [-1, 1) -> (B, dimension) float32, not yet of unit length.

    Unit length is made after dequantization, in NumPy: an int8 normalisation would cost accuracy and an operation.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        width = config.stem
        layers: list[nn.Module] = [conv_bn(config.channels, width, 3, stride=2), nn.ReLU()]
        for stage, (stage_width, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
            if stage > 0:  # the first stage works at the stem's size and width
                layers += [conv_bn(width, stage_width, 3, stride=2), nn.ReLU()]
                width = stage_width
            layers += [BLOCKS[config.block](width) for _ in range(blocks)]
        self.features = nn.Sequential(*layers, conv_bn(width, config.head, 1), nn.ReLU())
        # A learned weight for every place in place of average pooling: an aligned face has its eyes where eyes are.
        final_px = config.input_px
        for _ in config.widths:
            final_px = (final_px + 1) // 2
        self.final_px = final_px
        if config.pool == "depthwise":
            self.pool = nn.Sequential(
                nn.Conv2d(config.head, config.head, final_px, groups=config.head, bias=False),
                nn.BatchNorm2d(config.head),
            )
            self.project = nn.Conv2d(config.head, config.dimension, 1)
        else:
            # Dear where the map is large. Characters at 4x4 learn faster by it, with half the head's channels: 83.4 in
            # place of 81.6 % 20-way one-shot on held-out alphabets after 40,000 drawings.
            self.pool = nn.Identity()
            self.project = nn.Conv2d(config.head, config.dimension, final_px)

    def forward(self, x: Tensor) -> Tensor:
        """Encode a batch; shapes as above. A smaller picture is taken too, where the pool is depthwise."""
        features = self.features(x)
        if features.shape[-1] == self.final_px:
            return self.project(self.pool(features)).flatten(1)
        convolution, norm = self.pool
        kernel = resized_kernel(convolution.weight, features.shape[-1])
        pooled = functional.conv2d(features, kernel, groups=convolution.groups)
        return self.project(norm(pooled)).flatten(1)


def resized_kernel(kernel: Tensor, px: int) -> Tensor:
    """(C, 1, K, K) -> (C, 1, px, px): the same weight for the same place of the face, the same sum."""
    resized = functional.interpolate(kernel, size=(px, px), mode="bilinear", antialias=True)
    return resized * (kernel.shape[-1] / px) ** 2
