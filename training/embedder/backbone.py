"""The encoder f(x): a plain residual network of dense 3x3 convolutions and ReLU.

Chosen by measurement (`python -m tests.bench.backbones`; one x86-64 thread, random weights):

    dense 3x3, 225 MMAC           training 117 images/s   int8 on LiteRT 1.35 ms
    depthwise blocks, 229 MMAC    training  51 images/s   int8 on LiteRT 2.21 ms
    dense 3x3, 76 MMAC (lite)     training 324 images/s   int8 on LiteRT 0.55 ms

Rejected:
- Depthwise blocks as in MobileFaceNet: fewer weights for the same work, but nearly all of the time moves activations
  between small operations, in training and on the device. In a fixed time the dense network trains on more than twice
  the pictures.
- PReLU and HardSwish: XNNPACK does not run them in int8 (32 to 40 and 14 to 18 ms in place of 3 with ReLU).
- Average pooling at the end, and unit length inside the graph: see the comments below.
"""

from torch import Tensor, nn
from torch.nn import functional

from training.engine.encoder_experiment import BackboneConfig
from training.engine.layers import DenseBlock, DepthwiseBlock, conv_bn

BLOCKS: dict[str, type[DenseBlock] | type[DepthwiseBlock]] = {"dense": DenseBlock, "depthwise": DepthwiseBlock}


class Backbone(nn.Module):
    """(B, channels, px, px) float32 in [-1, 1) -> (B, dimension) float32, not of unit length.

    NumPy normalises after dequantization: an int8 normalisation would cost accuracy and an operation.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        width = config.stem
        layers: list[nn.Module] = [conv_bn(config.channels, width, 3, stride=2), nn.ReLU()]
        for stage, (stage_width, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
            if stage > 0:  # the first stage has the stem's size and width
                layers += [conv_bn(width, stage_width, 3, stride=2), nn.ReLU()]
                width = stage_width
            layers += [BLOCKS[config.block](width) for _ in range(blocks)]
        self.features = nn.Sequential(*layers, conv_bn(width, config.head, 1), nn.ReLU())
        # One weight for every place, not average pooling: in an aligned face the eyes are always at the same place.
        final_px = config.input_px
        for _ in config.widths:
            final_px = (final_px + 1) // 2
        self.final_px = final_px
        self.pool: nn.Module
        if config.pool == "depthwise":
            self.pool = nn.Sequential(
                nn.Conv2d(config.head, config.head, final_px, groups=config.head, bias=False),
                nn.BatchNorm2d(config.head),
            )
            self.project = nn.Conv2d(config.head, config.dimension, 1)
        else:
            # Too many weights for a large map. For characters at 4x4 it learns faster, with half the head's channels:
            # 83.4 against 81.6 % 20-way one-shot on held-out alphabets after 40,000 drawings.
            self.pool = nn.Identity()
            self.project = nn.Conv2d(config.head, config.dimension, final_px)

    def forward(self, x: Tensor) -> Tensor:
        """Encode a batch; a smaller picture than input_px is possible where the pool is depthwise."""
        features = self.features(x)
        pooled: Tensor
        if isinstance(self.pool, nn.Sequential) and features.shape[-1] != self.final_px:
            kernel = resized_kernel(self.pool.get_parameter("0.weight"), features.shape[-1])
            pooled = self.pool[1](functional.conv2d(features, kernel, groups=len(kernel)))
        else:
            pooled = self.pool(features)
        return self.project(pooled).flatten(1)


def resized_kernel(kernel: Tensor, px: int) -> Tensor:
    """(C, 1, K, K) -> (C, 1, px, px): the weights interpolated at the same places of the face, with the same sum."""
    resized = functional.interpolate(kernel, size=(px, px), mode="bilinear", antialias=True)
    return resized * (kernel.shape[-1] / px) ** 2
