"""Bring the channels of a backbone to similar ranges before quantization, without changing what it computes.

An int8 tensor has one scale for all of its channels, so a channel of a small range gets few of the 256 values. A
positive factor passes through ReLU: what writes a channel is divided by it, and what reads the channel is multiplied by
it (Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias Correction; here by the ranges of the
activations).
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from training.embedder.backbone import Backbone
from training.engine.layers import DenseBlock, DepthwiseBlock

POWER = 0.5  # 0: as it is; 1: all ranges alike, but then the weights that read the channels have very different ones
BATCH = 64
DEAD = 1e-3  # of the largest range: a channel below it counts as this large


@dataclass
class Stream:
    """Tensors whose channels have one factor each: what writes them, what reads them, and where they are seen."""

    writers: list[nn.BatchNorm2d] = field(default_factory=list)
    readers: list[nn.Conv2d] = field(default_factory=list)
    seen_at: list[nn.Module] = field(default_factory=list)  # the modules whose outputs are these tensors, before ReLU
    rectified: bool = True  # ReLU follows, or was before: the negative values do not count


def equalized(backbone: Backbone, images: Tensor, power: float = POWER) -> Backbone:
    """A copy of the backbone, in evaluation mode, whose channels have similar ranges within every tensor.

    images: (N, channels, px, px) float32, as the backbone takes them; the ranges are measured on them
    """
    network = copy.deepcopy(backbone).eval()
    streams = list(streams_of(network))
    peaks = peaks_of(network, streams, images)
    with torch.no_grad():
        for stream, peak in zip(streams, peaks, strict=True):
            scale_channels(stream, (peak / peak.max()).clamp(min=DEAD) ** power)
    return network


def streams_of(network: Backbone) -> Iterator[Stream]:
    """Every tensor between the first and the last convolution; a chain of residual blocks is one stream."""
    stream = Stream()
    for layer in network.features:
        if isinstance(layer, DenseBlock):
            yield Stream([norm(layer.first)], [conv(layer.second)], [layer.first])
            stream.readers.append(conv(layer.first))
            stream.writers.append(norm(layer.second))
            stream.seen_at.append(layer)
        elif isinstance(layer, DepthwiseBlock):
            yield Stream([norm(layer.expand)], [conv(layer.depthwise)], [layer.expand])
            yield Stream([norm(layer.depthwise)], [conv(layer.project)], [layer.depthwise])
            stream.readers.append(conv(layer.expand))
            stream.writers.append(norm(layer.project))
            stream.seen_at.append(layer)
            stream.rectified = False  # such a block has no ReLU at its end
        elif isinstance(layer, nn.Sequential):
            stream.readers.append(conv(layer))
            if stream.writers:
                yield stream
            stream = Stream([norm(layer)], [], [layer])
    if isinstance(network.pool, nn.Sequential):
        stream.readers.append(conv(network.pool))
        yield stream
        stream = Stream([norm(network.pool)], [], [network.pool], rectified=False)
    stream.readers.append(network.project)
    yield stream


def peaks_of(network: Backbone, streams: list[Stream], images: Tensor) -> list[Tensor]:
    """(C,) for each stream: the largest absolute value of each channel."""
    peaks: list[Tensor] = [torch.zeros(stream.writers[0].num_features) for stream in streams]

    def watch(number: int, rectified: bool) -> list[torch.utils.hooks.RemovableHandle]:
        def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            seen = output.relu() if rectified else output.abs()
            peaks[number] = torch.maximum(peaks[number], seen.amax(dim=(0, 2, 3)))

        return [module.register_forward_hook(note) for module in streams[number].seen_at]

    handles = [handle for number, stream in enumerate(streams) for handle in watch(number, stream.rectified)]
    with torch.no_grad():
        for batch in torch.split(images, BATCH):
            network(batch)
    for handle in handles:
        handle.remove()
    return peaks


def scale_channels(stream: Stream, factors: Tensor) -> None:
    """Divide the channels of a stream by factors, (C,), where they are written, and multiply where they are read."""
    for writer in stream.writers:
        writer.weight.div_(factors)
        writer.bias.div_(factors)
    for reader in stream.readers:
        of_one_channel = reader.groups > 1
        reader.weight.mul_(factors.reshape((-1, 1, 1, 1) if of_one_channel else (1, -1, 1, 1)))


def conv(layer: nn.Sequential) -> nn.Conv2d:
    """The convolution of a conv_bn."""
    return layer[0]  # type: ignore[return-value]


def norm(layer: nn.Sequential) -> nn.BatchNorm2d:
    """The batch normalisation of a conv_bn."""
    return layer[1]  # type: ignore[return-value]
