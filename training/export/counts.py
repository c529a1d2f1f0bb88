"""The size of a network."""

import torch
from torch import Tensor, nn


def count_parameters(model: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Number of multiply-accumulates in the convolutions, for one image of (H, W, C)."""
    total = 0

    def count(layer: nn.Conv2d | nn.ConvTranspose2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        # Every place of the smaller map is multiplied with every weight once.
        places = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += places.shape[2] * places.shape[3] * layer.weight.numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    training = model.training
    model.eval()
    with torch.no_grad():
        height, width, channels = input_shape
        model(torch.zeros(1, channels, height, width, device=next(model.parameters()).device))
    model.train(training)
    for hook in hooks:
        hook.remove()
    return total
