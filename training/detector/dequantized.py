"""The float network of an int8 detector, to train on from a model whose float weights are lost."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge.errors import ExperimentError
from training.detector.network import Detector
from training.engine.detector_experiment import DetectorConfig
from training.engine.learner import to_network

WITH_WEIGHTS = {"CONV_2D": (1, 2), "TRANSPOSE_CONV": (1, 3)}  # operation -> its inputs that are weight and bias


def dequantized(model: Path, config: DetectorConfig, pictures: np.ndarray) -> Detector:
    """The detector of this shape with the weights of an int8 model, in evaluation mode.

    pictures: (N, H, W, 3) uint8 RGB as in training. The export folds batch normalisation into the convolutions. Here
    each normalisation gets the mean and variance of its input over the pictures, and the scale and shift that undo
    them, so that the outputs are the model's also in training mode.
    Raises ExperimentError where the model has another shape.
    """
    detector = Detector(config)
    folded = _convolutions(detector, pictures[:1])
    stored = _stored(model)
    normed = _normed(detector)
    for convolution in folded:  # neighbours may run in another order, but only where their shapes differ
        fitting = [pair for pair in stored if pair[0].shape == convolution.weight.shape]
        if not fitting:
            raise ExperimentError(f"{model} has no weights for {convolution}: it has another shape")
        stored = [pair for pair in stored if pair is not fitting[0]]
        with torch.no_grad():
            convolution.weight.copy_(fitting[0][0])
            normed.get(convolution, convolution).bias.copy_(fitting[0][1])
    if stored:
        raise ExperimentError(f"{model} has {len(stored)} convolutions more than the network")
    _normalize(detector.eval(), list(normed.values()), pictures)
    return detector


def _stored(model: Path) -> list[tuple[Tensor, Tensor]]:
    """Weight, (out, in, h, w) or for a transposed convolution (in, out, h, w), and bias, (out,), in running order."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    graph = Interpreter(str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    graph.allocate_tensors()
    details = {detail["index"]: detail for detail in graph.get_tensor_details()}

    def real(index: int) -> np.ndarray:
        values, found = graph.get_tensor(index).astype(np.float32), details[index]["quantization_parameters"]
        shape = [1] * values.ndim
        if len(found["scales"]) > 1:
            shape[found["quantized_dimension"]] = -1
        real_values: np.ndarray = (values - found["zero_points"].reshape(shape)) * found["scales"].reshape(shape)
        return real_values

    pairs = []
    for operation in graph._get_ops_details():  # noqa: SLF001 -- the interpreter tells its operations nowhere else
        if operation["op_name"] in WITH_WEIGHTS:
            weight, bias = (real(int(operation["inputs"][place])) for place in WITH_WEIGHTS[operation["op_name"]])
            order = (0, 3, 1, 2) if operation["op_name"] == "CONV_2D" else (3, 0, 1, 2)
            pairs.append((torch.from_numpy(weight.transpose(order).copy()), torch.from_numpy(bias)))
    return pairs


def _convolutions(detector: Detector, picture: np.ndarray) -> list[Any]:
    """The convolutions in the order in which they run."""
    found: list[Any] = []
    convolutions = [part for part in detector.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [part.register_forward_hook(lambda part, _given, _made: found.append(part)) for part in convolutions]
    with torch.no_grad():
        detector.eval()(to_network(torch.from_numpy(picture)))
    for hook in hooks:
        hook.remove()
    return found


def _normed(detector: Detector) -> dict[nn.Module, nn.BatchNorm2d]:
    """Each convolution that a batch normalisation follows, with it."""
    return {
        part[0]: part[1]
        for part in detector.modules()
        if isinstance(part, nn.Sequential) and isinstance(part[1], nn.BatchNorm2d)
    }


@torch.no_grad()
def _normalize(detector: Detector, norms: list[nn.BatchNorm2d], pictures: np.ndarray, batch_size: int = 32) -> None:
    """Give each normalisation, so far the identity, the mean and variance of its input; its output stays."""
    sums = {norm: torch.zeros(2, norm.num_features, dtype=torch.float64) for norm in norms}
    counts = dict.fromkeys(norms, 0)

    def add(norm: Any, given: tuple[Tensor], _made: Tensor) -> None:
        values = given[0].double()
        sums[norm] += torch.stack([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])
        counts[norm] += values[:, 0].numel()

    hooks = [norm.register_forward_hook(add) for norm in norms]
    for start in range(0, len(pictures), batch_size):
        detector(to_network(torch.from_numpy(pictures[start : start + batch_size])))
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, square = sums[norm] / counts[norm]
        variance = (square - mean.square()).clamp(min=0)
        norm.load_state_dict(
            {
                "running_mean": mean,
                "running_var": variance,
                "weight": (variance + norm.eps).sqrt(),
                "bias": norm.bias + mean,
                "num_batches_tracked": norm.num_batches_tracked,
            }
        )
