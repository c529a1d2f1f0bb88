import pytest
import torch

from training.embedder.backbone import Backbone, resized_kernel
from training.engine.experiment_files import load_experiment


@pytest.fixture
def kernel():
    return torch.randn(5, 1, 7, 7, generator=torch.Generator().manual_seed(0))


def test_a_kernel_of_the_same_size_is_itself(kernel):
    assert torch.allclose(resized_kernel(kernel, 7), kernel, atol=1e-6)


@pytest.mark.parametrize("px", [2, 4, 5, 6])
def test_a_flat_kernel_keeps_its_sum_and_stays_flat(px):
    resized = resized_kernel(torch.full((3, 1, 7, 7), 0.25), px)
    assert resized.shape == (3, 1, px, px)
    assert resized.sum(dim=(1, 2, 3)).tolist() == pytest.approx([0.25 * 49] * 3, rel=1e-5)
    assert resized.std() < 1e-5


def test_the_weights_stay_at_their_places():
    left = torch.zeros(1, 1, 7, 7)
    left[..., :3] = 1.0
    resized = resized_kernel(left, 4)
    assert resized[..., 0].min() > 2.5
    assert resized[..., 3].abs().max() < 1e-6
    assert resized.sum().item() == pytest.approx(21, rel=0.1)


@pytest.mark.parametrize("px", [48, 64, 80, 96, 112])
def test_smaller_pictures_give_encodings_of_the_same_size_and_train_the_same_weights(px):
    torch.manual_seed(0)
    backbone = Backbone(load_experiment("embedder").backbone)
    encodings = backbone(torch.randn(3, 3, px, px))
    assert encodings.shape == (3, 128)
    encodings.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in backbone.parameters())


def test_a_flat_picture_has_nearly_the_same_encoding_at_every_size():
    torch.manual_seed(0)
    backbone = Backbone(load_experiment("embedder").backbone).eval()
    with torch.no_grad():
        encodings = torch.cat([backbone(torch.full((1, 3, px, px), 0.3)) for px in (64, 80, 112)])
    unit = torch.nn.functional.normalize(encodings)
    assert (unit @ unit.T).min() > 0.9
