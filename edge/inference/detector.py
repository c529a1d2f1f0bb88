"""The face detector: a picture of any size in; boxes, scores and five landmarks in the picture's own pixels out."""

import math
from pathlib import Path

import cv2
import numpy as np

from edge.core.geometry import blend_weights, box_iou, letterbox_scale, non_maximum_suppression
from edge.core.types import Face
from edge.core.views import HALVED_BELOW, halved
from edge.errors import ImageError, ModelError
from edge.inference.model_card import DetectorCard, read_card
from edge.inference.runtime import MODELS_DIR, Graph

STANDARD = MODELS_DIR / "detector.tflite"

# The output of one cell of a grid. Every value v lies in [0, 6], where int8 is sharpest; (v - 3) times a unit is
#   0, 1    centre of the box, from the centre of the cell                       unit 0.6 strides
#   2, 3    logarithm of width and height, from a square of four strides         unit 0.5
#   4..13   five landmarks, x and y, from the centre of the cell                 unit 2 strides
STRIDES = (8, 16, 32)
VALUES = 14
MIDDLE = 3.0
CENTRE_UNIT = 0.6
SIZE_UNIT = 0.5
LANDMARK_UNIT = 2.0
FACE_STRIDES = 4.0

BLEND_IOU = 0.6  # with the best cell of a face, from which the box of another cell counts in the weighted mean


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute centre x, y, (N, 2), and stride, (N,), of every cell of a (height, width) input; stride 8 first."""
    centres, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[0 : -(-height // stride), 0 : -(-width // stride)]
        centres.append((np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5) * stride)
        strides.append(np.full(rows.size, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decode(places: np.ndarray, centres: np.ndarray, strides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decode the output of cells: (N, 14) values, (N, 2) centres, (N,) strides -> (N, 4) boxes, (N, 5, 2) landmarks."""
    unit = (places - MIDDLE) * strides[:, None]
    middle = centres + unit[:, 0:2] * CENTRE_UNIT
    half = np.exp((places[:, 2:4] - MIDDLE) * SIZE_UNIT) * (FACE_STRIDES / 2 * strides[:, None])
    landmarks = centres[:, None] + unit[:, 4:].reshape(-1, 5, 2) * LANDMARK_UNIT
    return np.concatenate([middle - half, middle + half], axis=1), landmarks


def one_each(
    boxes: np.ndarray, scores: np.ndarray, landmarks: np.ndarray, nms_iou: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge the cells that found the same face.

    boxes: (N, 4); scores: (N,); landmarks: (N, 5, 2), of every cell that found a face. Returns the same, (K, 4), (K,)
    and (K, 5, 2), of each face once, best score first.
    """
    overlap = box_iou(boxes, boxes)
    kept = non_maximum_suppression(overlap, scores, nms_iou)
    weights = blend_weights(overlap, scores, kept, BLEND_IOU)
    points = weights @ landmarks.reshape(-1, 10)  # (K, N) @ (N, 10) -> (K, 10)
    return weights @ boxes, scores[kept], points.reshape(-1, 5, 2)


def letterboxed(image: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Zoom a picture without distortion into the upper left of a black canvas.

    image: (H, W, 3) uint8; shape: height and width of the canvas. Returns (height, width, 3) uint8 and the zoom of x
    and of y, (2,) float32, which differ by the rounding to whole pixels alone.
    """
    zoom = letterbox_scale(image.shape[:2], shape)
    height, width = (max(1, round(side * zoom)) for side in image.shape[:2])
    ratio = np.array([width / image.shape[1], height / image.shape[0]], dtype=np.float32)
    while zoom < HALVED_BELOW and not (image.shape[0] % 2 or image.shape[1] % 2):
        image, zoom = halved(image), 2 * zoom  # the same mean in less time
    if (height, width) != image.shape[:2]:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    if (height, width) == shape:
        return image, ratio
    canvas = np.zeros((*shape, 3), dtype=np.uint8)
    canvas[:height, :width] = image
    return canvas, ratio


class Detector:
    """A face detector with its model card; the shipped one unless another is named.

    score_min: faces with a lower score are not returned; the card's default where it is None
    threads:   of the inference

    Raises ModelError where the model or its card is missing, or the card is of another model.
    """

    def __init__(self, model: Path = STANDARD, score_min: float | None = None, threads: int = 1) -> None:
        self.card = read_card(model, DetectorCard)
        self._graph = Graph(model, threads)
        height, width, _ = self._graph.input_shape
        if (height, width) != (self.card.input.height, self.card.input.width):
            raise ModelError(f"model {model} takes {self._graph.input_shape}, its card says {self.card.input}")
        self._graph.require_pixel_input(model)
        self.score_min = self.card.score_min if score_min is None else score_min
        if not 0 < self.score_min < 1:
            raise ModelError(f"model {model}: a score lies in (0, 1), so score_min {self.score_min:g} cannot be met")
        self.shape = height, width
        self._centres, self._strides = grid(height, width)
        grids = [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
        self._scores = [self._output(model, (*cells, 1)) for cells in grids]
        self._places = [self._output(model, (*cells, VALUES)) for cells in grids]

    def _output(self, model: Path, wanted: tuple[int, int, int]) -> int:
        """The index of the output of that shape (rows, columns, values): converters do not keep the order."""
        shapes = self._graph.output_shapes
        if shapes.count(wanted) != 1:
            raise ModelError(f"model {model} is no detector: expected one output of {wanted}, got {shapes}")
        return shapes.index(wanted)

    def detect(self, image: np.ndarray, score_min: float | None = None) -> list[Face]:
        """Find every face in a picture.

        image: (H, W, 3) uint8 RGB of any size; it is zoomed without distortion to the input of the model
        score_min: in place of the detector's own
        Returns faces in pixels of the image, best score first. Raises ImageError where the image has another shape or
        type.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ImageError(f"expected a picture (H, W, 3) uint8, got {image.shape} {image.dtype}")
        canvas, zoom = letterboxed(image, self.shape)
        outputs = self._graph.run(canvas)
        logits = np.concatenate([outputs[index].reshape(-1) for index in self._scores])
        least = self.score_min if score_min is None else score_min
        (cells,) = np.nonzero(logits >= math.log(least / (1 - least)))  # so that no cell needs a sigmoid
        if not cells.size:
            return []
        places = np.concatenate([outputs[index].reshape(-1, VALUES) for index in self._places])[cells]
        scores = 1 / (1 + np.exp(-logits[cells]))
        boxes, landmarks = decode(places, self._centres[cells], self._strides[cells])
        boxes, scores, landmarks = one_each(boxes, scores, landmarks, self.card.nms_iou)
        boxes, landmarks = boxes / np.tile(zoom, 2), landmarks / zoom
        return [Face(*face) for face in zip(boxes, scores.tolist(), landmarks, strict=True)]
