import numpy as np
import pytest
import torch

from edge.inference import detector as device
from training.detector.loss import DetectionLoss, decode, paired_iou
from training.detector.steps import FACE, IGNORED, NO_FACE
from training.engine.detector_experiment import DetectionLossConfig

RNG = np.random.default_rng(0)


def test_training_and_device_decode_alike():
    centres, strides = device.grid(64, 96)
    places = RNG.uniform(0, 6, (len(centres), 14)).astype(np.float32)
    boxes, landmarks = device.decode(places, centres, strides)
    ours = decode(*(torch.from_numpy(part) for part in (places, centres, strides)))
    assert ours[0].numpy() == pytest.approx(boxes, rel=1e-5, abs=1e-3)
    assert ours[1].numpy().reshape(-1, 5, 2) == pytest.approx(landmarks, rel=1e-5, abs=1e-3)


def test_generalized_iou_by_hand():
    first = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    second = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    iou, generalized = paired_iou(first, second)
    assert iou.tolist() == pytest.approx([1, 1 / 3, 0])
    assert generalized.tolist() == pytest.approx([1, 1 / 3, -1 / 3])  # hulls of 100, 150 and 300, the last a third bare


@pytest.fixture
def one_face():
    """A loss on a 64x64 picture, and the truth of one face over the middle cell of stride 8."""
    centres, strides = (torch.from_numpy(part) for part in device.grid(64, 64))
    loss = DetectionLoss(DetectionLossConfig(), centres, strides)
    cell = 8 * 3 + 3
    state = torch.full((1, len(centres)), NO_FACE)
    state[0, cell] = FACE
    faces = torch.zeros(1, len(centres), 14)
    faces[0, cell] = torch.tensor([16.0, 14, 44, 42, *([20, 24, 36, 24, 28, 30, 22, 36, 34, 36])])
    perfect = torch.full((1, len(centres), 14), 3.0)
    x, y = centres[cell]
    perfect[0, cell, 0:2] += (torch.tensor([30.0, 28]) - torch.tensor([x, y])) / (8 * device.CENTRE_UNIT)
    perfect[0, cell, 2:4] += torch.log(torch.tensor([28 / 32, 28 / 32])) / device.SIZE_UNIT
    points = faces[0, cell, 4:].reshape(5, 2) - torch.tensor([x, y])
    perfect[0, cell, 4:] += (points / (8 * device.LANDMARK_UNIT)).ravel()
    return loss, state, faces, perfect, cell


def test_a_perfect_prediction_has_loss_0(one_face):
    loss, state, faces, perfect, cell = one_face
    logits = torch.full(state.shape, -12.0)
    logits[0, cell] = 12.0
    terms = loss(logits, perfect, state, faces)
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {"score": 0, "box": 0, "landmarks": 0, "total": 0}, abs=1e-4
    )


def test_each_term_measures_its_own_error(one_face):
    loss, state, faces, perfect, cell = one_face
    logits = torch.full(state.shape, -12.0)
    logits[0, cell] = 12.0
    shifted = perfect.clone()
    shifted[0, cell, 0] += 1
    moved = perfect.clone()
    moved[0, cell, 4] += 1
    alarmed = logits.clone()
    alarmed[0, 0] = 3.0
    good = loss(logits, perfect, state, faces)
    for change, name in (
        (loss(logits, shifted, state, faces), "box"),
        (loss(logits, moved, state, faces), "landmarks"),
        (loss(alarmed, perfect, state, faces), "score"),
    ):
        assert change[name] > good[name] + 0.01
    assert loss(logits, moved, state, faces)["box"] == pytest.approx(float(good["box"]), abs=1e-6)


def test_an_ignored_cell_has_no_loss(one_face):
    loss, state, faces, perfect, cell = one_face
    logits = torch.full(state.shape, -12.0)
    logits[0, cell] = 12.0
    state[0, 0] = IGNORED
    before = float(loss(logits, perfect, state, faces)["total"])
    logits[0, 0] = 9.0
    assert float(loss(logits, perfect, state, faces)["total"]) == pytest.approx(before)


def test_the_score_is_trained_on_the_iou_of_the_box(one_face):
    loss, state, faces, perfect, cell = one_face
    shifted = perfect.clone()
    shifted[0, cell, 0] += 1.5
    costs = []
    for logit in np.linspace(-3, 6, 91):
        logits = torch.full(state.shape, -12.0)
        logits[0, cell] = float(logit)
        costs.append(float(loss(logits, shifted, state, faces)["score"]))
    box = decode(shifted[0, cell][None], loss.centres[cell][None], loss.strides[cell][None])[0]
    iou = float(paired_iou(box, faces[0, cell, :4][None])[0])
    assert torch.tensor(np.linspace(-3, 6, 91)[int(np.argmin(costs))]).sigmoid() == pytest.approx(iou, abs=0.03)


def test_a_batch_without_faces_still_has_a_gradient(one_face):
    loss, state, faces, perfect, _ = one_face
    logits = torch.zeros(state.shape, requires_grad=True)
    terms = loss(logits, perfect.requires_grad_(), torch.full_like(state, NO_FACE), faces)
    terms["total"].backward()
    assert torch.isfinite(terms["total"])
    assert logits.grad.abs().sum() > 0
