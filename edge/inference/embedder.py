"""The encoding f(x): an aligned crop in, a 128-D vector of unit length out."""

from pathlib import Path

import numpy as np

from edge.core.types import Encoding
from edge.errors import ImageError, ModelError
from edge.inference.model_card import EmbedderCard, read_card
from edge.inference.runtime import MODELS_DIR, Graph

STANDARD = MODELS_DIR / "embedder.tflite"
LITE = MODELS_DIR / "embedder-lite.tflite"  # for the Pi Zero 2 W


class Embedder:
    """An embedding model with its model card; the shipped one unless another is named.

    threads: of the inference

    Raises ModelError where the model or its card is missing, or the card is of another model.
    """

    def __init__(self, model: Path = STANDARD, threads: int = 1) -> None:
        self.model = model
        self.card: EmbedderCard = read_card(model, EmbedderCard)
        self._graph = Graph(model, threads)
        self.crop_shape = self._graph.input_shape
        if self.crop_shape[:2] != (self.card.input.height, self.card.input.width):
            raise ModelError(f"model {model} takes {self.crop_shape}, its card says {self.card.input}")
        self._graph.require_pixel_input(model)
        if self._graph.output_shapes != [(self.card.dimension,)]:
            raise ModelError(
                f"model {model} has outputs of {self._graph.output_shapes}, its card says {self.card.dimension}-D"
            )

    def embed(self, crop: np.ndarray) -> np.ndarray:
        """Compute the encoding of one aligned crop, (128,) float32 of unit length. Raises as encode does."""
        return self.encode(crop).embedding

    def encode(self, crop: np.ndarray) -> Encoding:
        """Compute the encoding of one aligned crop, and how clear the face is where the card tells what is enough.

        crop: (112, 112, 3) uint8 RGB; the card says the size
        Raises ImageError where the crop has another shape or type, ModelError where the encoding has no direction.
        """
        encoding = self.raw(crop)
        length = float(np.linalg.norm(encoding))
        if length == 0.0:
            raise ModelError(f"model {self.card.name} gave the zero vector: it cannot be scaled to unit length")
        clarity = None if self.card.clarity is None else length / self.card.clarity.length_min
        return Encoding(encoding / length, clarity)

    def raw(self, crop: np.ndarray) -> np.ndarray:
        """Compute the output of the network, (128,) float32; it is the longer, the clearer the face. Raises ImageError.

        Where the card says so, it is the mean of the outputs for the crop and for its mirror image. That the length
        tells the quality of a face is known of encodings that were trained for it (MagFace: Meng et al. 2021) and,
        less, of others.
        """
        if crop.shape != self.crop_shape or crop.dtype != np.uint8:
            raise ImageError(f"expected a crop of {self.crop_shape} uint8, got {crop.shape} {crop.dtype}")
        output = self._output(crop)
        return (output + self._output(crop[:, ::-1])) / 2 if self.card.mirror else output

    def _output(self, crop: np.ndarray) -> np.ndarray:
        return self._graph.run(np.ascontiguousarray(crop))[0].reshape(-1)  # (1, D) -> (D,)
