import msgspec
import pytest
import torch

from training.embedder.backbone import Backbone
from training.embedder.equalize import equalized, peaks_of, streams_of
from training.embedder.task import EmbedderTask

SHAPES = {
    "as it ships": {},
    "depthwise blocks": {"block": "depthwise"},
    "no pooling": {"pool": "dense"},
    "several blocks": {"blocks": (1, 2, 0, 2)},
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def uneven(request, tiny):
    """A backbone whose channels have very different ranges, and pictures for it."""
    torch.manual_seed(1)
    backbone = Backbone(msgspec.structs.replace(tiny.backbone, **request.param)).eval()
    with torch.no_grad():
        for module in backbone.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.copy_(torch.logspace(-2, 0, module.num_features)[torch.randperm(module.num_features)])
                module.bias.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.5, 2)
    return backbone, torch.rand(8, 3, 112, 112) * 2 - 1


def unevenness(backbone, images):
    """For each tensor: by how much the channels' ranges differ, as the standard deviation of their logarithms."""
    streams = list(streams_of(backbone))
    return torch.stack([peak[peak > 0].log().std() for peak in peaks_of(backbone, streams, images)])


def test_an_equalized_backbone_computes_the_same(uneven):
    backbone, images = uneven
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with torch.no_grad():
        expected = backbone(images)
        seen = equalized(backbone, images)(images)
    assert torch.allclose(seen, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_every_tensor_has_channels_of_more_similar_ranges(uneven):
    backbone, images = uneven
    before, after = unevenness(backbone, images), unevenness(equalized(backbone, images), images)
    assert (before > 0.1).all()
    assert (after < 0.75 * before).all()


def test_every_layer_but_the_first_and_the_last_is_in_a_stream(uneven):
    backbone, _ = uneven
    streams = list(streams_of(backbone))
    written = [writer for stream in streams for writer in stream.writers]
    read = [reader for stream in streams for reader in stream.readers]
    norms = [module for module in backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    convolutions = [module for module in backbone.modules() if isinstance(module, torch.nn.Conv2d)]
    assert {id(module) for module in written} == {id(module) for module in norms}
    assert {id(module) for module in read} == {id(module) for module in convolutions[1:]}
    assert len(written) == len(norms)
    assert len(read) == len(convolutions) - 1


def test_the_export_gets_an_equalized_backbone_and_any_other_network_as_it_is(uneven, tiny):
    backbone, images = uneven
    pixels = list((images * 128 + 128).round().permute(0, 2, 3, 1).to(torch.uint8).numpy())
    ready = EmbedderTask(tiny).ready_for_int8(backbone, pixels)
    assert (unevenness(ready, images) < unevenness(backbone, images)).all()
    other = torch.nn.Linear(2, 2)
    assert EmbedderTask(tiny).ready_for_int8(other, pixels) is other
