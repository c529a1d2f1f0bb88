"""The oracle of the orthogonalisation is a singular value decomposition."""

import math

import pytest
import torch
from torch import nn

from training.embedder.backbone import Backbone
from training.engine import optimizers
from training.engine.encoder_experiment import BackboneConfig
from training.engine.experiment import OptimizerConfig
from training.engine.layers import conv_bn
from training.engine.optimizers import Muon, make_optimizers, normalized_convolutions, orthogonalized


@pytest.mark.parametrize("fast_bfloat16", [True, False])
@pytest.mark.parametrize("shape", [(8, 72), (72, 8), (24, 48), (1, 9)])
def test_an_orthogonalized_matrix_has_the_singular_vectors_of_the_matrix_and_values_near_1(
    shape, fast_bfloat16, monkeypatch
):
    monkeypatch.setattr(optimizers, "multiplies_bfloat16", lambda _device_type: fast_bfloat16)
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    assert values.max() / values.min() > 1.3 or min(shape) == 1  # there is something to orthogonalise
    result = orthogonalized(matrix)
    assert result.dtype == torch.float32
    in_its_axes = left.T @ result @ right.T  # (K, R) @ (R, C) @ (C, K) -> (K, K)
    assert torch.diag(in_its_axes).min() > 0.6
    assert torch.diag(in_its_axes).max() < 1.3
    assert (in_its_axes - torch.diag(torch.diag(in_its_axes))).abs().max() < 0.1


def test_a_step_of_muon_keeps_the_frobenius_norm_of_an_orthogonal_matrix():
    weights = [nn.Parameter(torch.randn(shape)) for shape in ((16, 8, 3, 3), (8, 32, 1, 1), (64, 4, 3, 3))]
    optimizer = Muon(weights, lr=0.1)
    for _ in range(3):
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        optimizer.step()
    for weight in weights:
        rows, columns = len(weight), weight[0].numel()
        assert weight.norm().item() == pytest.approx(math.sqrt(min(rows, columns)), rel=1e-4)


def test_muon_moves_against_the_gradient_by_its_momentum():
    weight = nn.Parameter(torch.eye(4))
    optimizer = Muon([weight], lr=0.1, momentum=0.0)
    weight.grad = torch.diag(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    optimizer.step()
    assert weight[0, 0] < weight[1, 1]
    before = weight.detach().clone()
    weight.grad = None
    assert optimizer.step(lambda: 1.5) == 1.5
    assert torch.equal(weight, before)  # without a gradient nothing moves


def test_muon_gets_the_dense_convolutions_but_not_the_stem_the_depthwise_ones_and_the_projection():
    config = BackboneConfig(stem=8, widths=(8, 16), blocks=(1, 1), head=32, block="depthwise")
    backbone = Backbone(config)
    taken = {id(weight) for weight in normalized_convolutions(backbone)}
    shapes = {name: tuple(p.shape) for name, p in backbone.named_parameters() if id(p) in taken}
    assert shapes
    for name, shape in shapes.items():
        assert shape[1] > 4, name  # neither the stem (3 channels) nor a depthwise convolution (1)
    every_dense = {
        name
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups == 1 and module.in_channels > 4
    }
    assert {name.removesuffix(".weight") for name in shapes} == every_dense - {"project"}


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_every_weight_has_one_optimizer_and_its_peak_rate(kind):
    learner = nn.Sequential(conv_bn(3, 8, 3), conv_bn(8, 8, 3), nn.Conv2d(8, 4, 1))
    config = OptimizerConfig(images=1, kind=kind, peak_learning_rate=0.005, muon_learning_rate=0.04)
    optimizers = make_optimizers(learner, config)
    assert [type(optimizer) for optimizer in optimizers] == [torch.optim.AdamW, Muon][: 1 + (kind == "muon")]
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    weights = [id(weight) for group in groups for weight in group["params"]]
    assert sorted(weights) == sorted(id(weight) for weight in learner.parameters())
    for group in optimizers[0].param_groups:
        assert group["peak"] == 0.005
        assert (group["weight_decay"] > 0) == (group["params"][0].ndim > 1)  # scales, shifts and biases do not decay
    for optimizer in optimizers[1:]:
        assert [group["peak"] for group in optimizer.param_groups] == [0.04]
        assert [len(group["params"]) for group in optimizer.param_groups] == [1]


def test_a_processor_without_bfloat16_orthogonalizes_in_float32(monkeypatch):
    matrix = torch.randn((24, 48), generator=torch.Generator().manual_seed(3))
    exact = orthogonalized_as_double(matrix)
    error = {}
    for fast in (True, False):
        monkeypatch.setattr(optimizers, "multiplies_bfloat16", lambda _device_type, fast=fast: fast)
        error[fast] = (orthogonalized(matrix) - exact).abs().max().item()
    assert error[False] < 1e-4 < error[True]


def orthogonalized_as_double(matrix):
    """The same iteration on singular values alone."""
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = values / values.norm()
    a, b, c = optimizers.NEWTON_SCHULZ
    for _ in range(5):
        values = a * values + b * values**3 + c * values**5
    return left @ torch.diag(values) @ right
