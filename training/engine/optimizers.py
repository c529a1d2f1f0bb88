"""AdamW for every weight, or Muon for the convolutions that batch normalisation follows and AdamW for the rest."""

import math
from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from training.engine.experiment import OptimizerConfig
from training.engine.machine import multiplies_bfloat16

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # a quintic; five iterations bring singular values near 1 (Jordan 2024)


@torch.no_grad()
def orthogonalized(matrix: Tensor, iterations: int = 5) -> Tensor:
    """(R, C) -> (R, C) float32 with the same singular vectors and all singular values near 1 (Newton-Schulz)."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16() if multiplies_bfloat16(matrix.device.type) else matrix.float()
    tall = len(x) > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T  # (R, C) @ (C, R) -> (R, R)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum on matrices of a fixed norm (Jordan 2024).

    A convolution (out, in, h, w) is the matrix (out, in * h * w). Batch normalisation follows it, so the scale of the
    matrix changes only the effective rate: after every step the matrix gets the Frobenius norm of an orthogonal one.
    The learning rate is then the share of the matrix that one step replaces.
    torch.optim.Muon takes only 2-D weights, and it decays the weights where this one fixes their norm.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, group["lr"], group["momentum"])
        return loss

    def _update(self, weight: Tensor, gradient: Tensor, lr: float, momentum: float) -> None:
        state = self.state[weight]
        velocity = state.setdefault("velocity", torch.zeros_like(weight))
        velocity.mul_(momentum).add_(gradient)
        nesterov = gradient + momentum * velocity
        matrix = nesterov.reshape(len(weight), -1)
        weight.sub_(orthogonalized(matrix).reshape(weight.shape), alpha=lr)
        weight.mul_(math.sqrt(min(matrix.shape)) / weight.norm())


def normalized_convolutions(learner: nn.Module) -> list[Tensor]:
    """Weights of the dense convolutions that batch normalisation follows, without the stem, which reads pixels."""
    return [
        convolution.weight
        for chain in learner.modules()
        if isinstance(chain, nn.Sequential)
        for convolution, norm in pairwise(chain)
        if isinstance(convolution, nn.Conv2d)
        and isinstance(norm, nn.BatchNorm2d)
        and convolution.groups == 1
        and convolution.in_channels > 4
    ]


def make_optimizers(learner: nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """The experiment's optimizers; every group has its peak rate as "peak". Scales, shifts and biases do not decay."""
    by_muon = normalized_convolutions(learner) if config.kind == "muon" else []
    taken = {id(weight) for weight in by_muon}
    rest = [parameter for parameter in learner.parameters() if id(parameter) not in taken]
    groups = [
        {"params": [weight for weight in rest if weight.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [weight for weight in rest if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([group for group in groups if group["params"]], lr=config.peak_learning_rate)
    ]
    if by_muon:
        optimizers.append(Muon(by_muon, lr=config.muon_learning_rate))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers
