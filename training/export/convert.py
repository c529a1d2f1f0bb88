"""torch -> float TFLite -> int8 TFLite."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.engine.learner import to_network


def to_float_tflite(network: nn.Module, input_shape: tuple[int, int, int], path: Path) -> None:
    """Write the network as a float TFLite model of batch 1 with the input (1, H, W, C) float32.

    input_shape: (H, W, C). The image is channels-last from the camera to the last layer: the graph has no TRANSPOSE.
    """
    import litert_torch

    height, width, channels = input_shape
    network = network.eval()
    with torch.no_grad():
        outputs = network(torch.zeros(1, channels, height, width))
    maps = [index for index, output in enumerate(outputs) if output.ndim == 4] if isinstance(outputs, tuple) else []
    channels_last = litert_torch.to_channel_last_io(network, args=[0], outputs=maps or None).eval()
    litert_torch.convert(channels_last, (torch.zeros(1, height, width, channels),)).export(str(path))


def to_int8_tflite(float_path: Path, images: Iterable[np.ndarray], path: Path) -> None:
    """Quantize weights, activations, input and output to int8, with ranges measured on real images.

    images: each (H, W, C) uint8
    The ranges are absolute minima and maxima. The quantizer's default is a moving average over the images, which clips
    the range of the input: the worst cosine to the float model was 0.922 with it, 0.985 without.
    """
    from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    static_int8 = recipe.static_wi8_ai8()
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(static_int8)
    calibration = calibrator.Calibrator(
        float_path.read_bytes(), num_threads=1, qsv_update_func=qsv_utils.min_max_update
    )
    (signature,) = calibration.get_signature_list()
    calibration.calibrate({signature: [{"args_0": as_float_input(image)} for image in images]}, manager)
    quantized = quantizer.Quantizer(float_path.read_bytes(), static_int8).quantize(calibration.get_model_qsvs())
    path.write_bytes(quantized.quantized_model)


def describe(path: Path, description: str) -> None:
    """Write the description of a TFLite model into its file."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    model.description = description
    flatbuffer_utils.write_model(model, str(path))


def as_float_input(image: np.ndarray) -> np.ndarray:
    """(H, W, C) uint8 -> (1, H, W, C) float32, the input of the float model."""
    return to_network(torch.from_numpy(np.array(image))[None]).permute(0, 2, 3, 1).numpy()


def pinned(images: list[np.ndarray]) -> list[np.ndarray]:
    """The images with two plain ones of 0 and 255, so that the input's range is that of a pixel.

    The int8 input is then exactly pixel - 128.
    """
    return [np.zeros_like(images[0]), np.full_like(images[0], 255), *images]
