from typing import NamedTuple

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from training.engine.learner import Unrounded, to_network


class Batch(NamedTuple):
    teacher: Tensor


class Seen(nn.Module):
    """Keeps the type that a tensor has when it arrives."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, batch):
        teacher = batch.batch.teacher if isinstance(batch, Unrounded) else batch.teacher
        self.dtype, self.value = teacher.dtype, float(teacher[0])
        return self.weight.sum()


@pytest.mark.parametrize(("wrap", "dtype"), [(Unrounded, torch.float32), (lambda batch: batch, torch.bfloat16)])
def test_fabric_rounds_the_floats_of_a_batch_and_not_those_of_an_unrounded_one(wrap, dtype):
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    seen = Seen()
    module = fabric.setup(seen)
    module(wrap(Batch(torch.tensor([0.123456789]))))
    assert seen.dtype == dtype
    assert (seen.value == pytest.approx(0.123456789, rel=1e-6)) == (dtype == torch.float32)


def test_a_network_gets_what_int8_gets():
    images = torch.tensor([0, 128, 255], dtype=torch.uint8).reshape(1, 1, 3, 1).expand(1, 1, 3, 3)
    pixels = to_network(images)
    assert pixels.shape == (1, 3, 1, 3)
    assert pixels[0, 0, 0].tolist() == [-1.0, 0.0, 127 / 128]
