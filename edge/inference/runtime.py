"""The one place that knows which TFLite runtime is installed."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import ModelError
from edge.system.files import is_file

MODELS_DIR = Path(__file__).parent.parent / "models"


def interpreter_class() -> type[Any]:
    """Import the class Interpreter of LiteRT, or of tflite-runtime where LiteRT has no wheel.

    Raises ModelError, which says what to install, where neither is installed or this NumPy cannot be used with it.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        if find_spec("tflite_runtime") is None:
            raise ModelError(
                "no TFLite runtime: install ai-edge-litert (64-bit, Python 3.11 to 3.14) or tflite-runtime"
            ) from None
        # Checked before it is imported: it was built for NumPy 1, prints pages of warnings with 2, and then fails.
        if int(np.__version__.split(".")[0]) >= 2:
            raise ModelError(
                f"tflite-runtime cannot run with NumPy {np.__version__}: pip install 'numpy<2', or, on 64-bit, "
                "ai-edge-litert in its place"
            ) from None
        from tflite_runtime.interpreter import Interpreter
    found: type[Any] = Interpreter
    return found


class Graph:
    """A loaded int8 model with one input, a picture (1, H, W, C) int8, and any number of outputs.

    Raises ModelError where the file is missing, is not a TFLite model, or takes another kind of input.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        if not is_file(path):
            raise ModelError(f"model {path} is missing")
        try:
            self._interpreter = interpreter_class()(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"model {path} is not a TFLite model this runtime can load: {error}") from error
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1 or inputs[0]["dtype"] != np.int8 or len(inputs[0]["shape"]) != 4:
            found = ", ".join(f"{tuple(entry['shape'])} {np.dtype(entry['dtype'])}" for entry in inputs)
            raise ModelError(f"model {path} must take one (1, H, W, C) int8 image; it takes {found}")
        self._input = inputs[0]["index"]
        self._outputs = self._interpreter.get_output_details()
        _, height, width, channels = (int(size) for size in inputs[0]["shape"])
        self.input_shape = height, width, channels
        self.input_scale, self.input_zero_point = inputs[0]["quantization"]

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """The shape of every output, without the batch of one."""
        return [tuple(int(size) for size in output["shape"][1:]) for output in self._outputs]

    def require_pixel_input(self, path: Path) -> None:
        """Raise ModelError unless int8 in means pixel - 128: scale 1/128 (of (pixel - 128) / 128), zero point 0."""
        if abs(self.input_scale * 128 - 1) > 1e-3 or self.input_zero_point != 0:
            raise ModelError(
                f"model {path} must take pixel - 128 (scale 1/128, zero point 0); "
                f"it takes scale {self.input_scale:.5f}, zero point {self.input_zero_point}"
            )

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """Run the model on one picture.

        image: (H, W, C) uint8; its shape is not checked. The models take pixel - 128.
        Returns every output as float32, dequantized, in the model's own order.
        """
        self._interpreter.set_tensor(self._input, (image ^ 0x80).view(np.int8)[None])  # pixel - 128, in one operation
        self._interpreter.invoke()
        return [self._read(output) for output in self._outputs]

    def _read(self, output: dict[str, Any]) -> np.ndarray:
        values: np.ndarray = self._interpreter.get_tensor(output["index"]).astype(np.float32)
        scale, zero_point = output["quantization"]
        return (values - zero_point) * scale if scale else values
