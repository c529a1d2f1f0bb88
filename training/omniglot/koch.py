"""Koch's network as published: convolutions without padding or normalisation, ReLU, pooling, one layer of sigmoids."""

from torch import Tensor, nn

from training.engine.experiment import KochConfig


class KochNetwork(nn.Module):
    """(B, channels, px, px) float32 in [-1, 1) -> (B, units) float32 in (0, 1).

    One side of the Siamese network of Koch, Zemel, Salakhutdinov 2015, figure 4; training.losses.PairLoss compares two.
    """

    def __init__(self, config: KochConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = config.channels
        for width, kernel in zip(config.widths, config.kernels, strict=True):
            layers += [nn.Conv2d(inputs, width, kernel), nn.ReLU(), nn.MaxPool2d(2)]
            inputs = width
        layers.pop()  # the last convolution is not pooled
        self.features = nn.Sequential(*layers)
        self.project = nn.Linear(inputs * config.final_px**2, config.units)

    def forward(self, x: Tensor) -> Tensor:
        """Encode a batch; shapes as above."""
        return self.project(self.features(x).flatten(1)).sigmoid()
