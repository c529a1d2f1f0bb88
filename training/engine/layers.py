"""Building blocks of the networks, of operations that XNNPACK runs in int8."""

import torch
from torch import Tensor, nn


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution and batch normalisation; the export folds them into one operation."""
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
        residual: Tensor = self.project(torch.relu(self.depthwise(torch.relu(self.expand(x)))))
        return x + residual
