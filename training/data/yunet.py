"""The face-detection teachers: YuNet (Wu et al. 2023) as ONNX, at a picture's own size and enlarged, tile by tile."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.core.geometry import box_iou, non_maximum_suppression
from edge.errors import DataError
from training.data.cache import file_digest
from training.data.faces import BOX, LANDMARKS, NO_FACES, SCORE, mirrored, moved, sizes
from training.data.warp import warped

STRIDES = (8, 16, 32)
NMS_IOU = 0.45
# Landmarks of one detection are 4 % of the distance between the eyes off the mean of many detections of the same face
# (2.6 % between the means of two sets): a student that is trained on single detections learns that noise.
CLOSE_PX = (60, 80, 100, 125)
UNSURE = 0.79  # just below the score of a sure face
YUNETS = {"yunet_n": (320, 640), "yunet_s": (320,)}  # the side of the square input, in pixels


@dataclass(frozen=True)
class YuNet:
    """One YuNet of the teachers folder, `<name>_<px>_<px>.onnx`; its input is a square of that size.

    Raises DataError where the name is unknown or the file is missing or broken.
    """

    name: str
    px: int
    folder: Path
    score_min: float = 0.4
    threads: int = 1

    def __post_init__(self) -> None:
        if self.name not in YUNETS:
            raise DataError(f"detection teacher '{self.name}' is unknown; known teachers: {', '.join(YUNETS)}")
        if self.px not in YUNETS[self.name]:
            raise DataError(f"detection teacher '{self.name}' takes {YUNETS[self.name]} px, not {self.px}")
        if not self.path.is_file():
            raise DataError(f"detection teacher '{self.name}' is missing: no file {self.path}")

    @property
    def path(self) -> Path:
        """Path of the ONNX file."""
        return self.folder / f"{self.name}_{self.px}_{self.px}.onnx"

    @cached_property
    def key(self) -> str:
        """Name, size and digest: another file of the same name finds other faces."""
        return f"{self.name}_{self.px}_{file_digest(self.path)}"

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        try:
            return onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen classes of its own, with no common base
            raise DataError(f"teacher '{self.name}' cannot be loaded from {self.path}: {error}") from error

    def detect_square(self, square: np.ndarray) -> np.ndarray:
        """(px, px, 3) uint8 RGB -> (F, 15) float32 faces, best first."""
        pixels = cv2.dnn.blobFromImage(square, swapRB=True)  # (1, 3, px, px) float32, BGR, raw 0..255
        names = [f"{part}_{stride}" for stride in STRIDES for part in ("cls", "obj", "bbox", "kps")]
        outputs = iter(self._session.run(names, {"input": pixels}))
        found = []
        for stride in STRIDES:
            kind, thing, box, points = (next(outputs)[0] for _ in range(4))
            scores = np.sqrt(np.clip(kind[:, 0], 0, 1) * np.clip(thing[:, 0], 0, 1))
            (cells,) = np.nonzero(scores >= self.score_min)
            row, column = np.divmod(cells, self.px // stride)
            corner = np.stack([column, row], axis=1).astype(np.float32)
            middle = (corner + box[cells, :2]) * stride
            half = np.exp(box[cells, 2:]) * stride / 2
            landmarks = (corner[:, None] + points[cells].reshape(-1, 5, 2)) * stride
            found.append(
                np.concatenate(
                    [middle - half, middle + half, scores[cells, None], landmarks.reshape(-1, 10)], axis=1
                ).astype(np.float32)
            )
        return merged(np.concatenate(found))

    def detect(self, image: np.ndarray, zoom: float = 1.0) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (F, 15) float32 faces in its pixels; a large picture is cut into overlapping tiles."""
        height, width = (max(1, round(side * zoom)) for side in image.shape[:2])
        zoomed = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR if zoom > 1 else cv2.INTER_AREA)
        scale = np.array([image.shape[1] / width, image.shape[0] / height])
        found = [NO_FACES]
        for top in tile_starts(height, self.px):
            for left in tile_starts(width, self.px):
                part = zoomed[top : top + self.px, left : left + self.px]
                square = np.zeros((self.px, self.px, 3), dtype=np.uint8)
                square[: part.shape[0], : part.shape[1]] = part
                found.append(moved(self.detect_square(square), scale, np.array([left, top]) * scale))
        return merged(np.concatenate(found))

    def detect_surely(self, image: np.ndarray, zoom: float = 1.0) -> np.ndarray:
        """Detect in the picture and in its mirror image, and take the mean of both where they agree.

        A face that is found in only one of them gets a score below 0.8: unsure.
        """
        first = self.detect(image, zoom)
        second = mirrored(self.detect(np.ascontiguousarray(image[:, ::-1]), zoom), image.shape[1])
        overlap = box_iou(first[:, BOX], second[:, BOX])
        partner = overlap.argmax(axis=1) if len(second) else np.zeros(len(first), dtype=int)
        agreed = overlap.max(axis=1, initial=0) >= 0.5
        both = (first[agreed] + second[partner[agreed]]) / 2
        alone = np.ones(len(second), dtype=bool)
        alone[partner[agreed]] = False
        unsure = np.concatenate([first[~agreed], second[alone]])
        unsure[:, SCORE] = np.minimum(unsure[:, SCORE], UNSURE)
        return merged(np.concatenate([both, unsure]))

    def refined(self, image: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """(F, 15) faces of a picture, with every sure face detected again at the sizes of CLOSE_PX.

        Box and landmarks become the mean over all detections that agree (IoU >= 0.5). A face that fewer than half of
        the detections find becomes unsure.
        """
        faces = faces.copy()
        for row in np.nonzero(faces[:, SCORE] > UNSURE)[0]:
            again = [face for px in CLOSE_PX for face in self.detect_close(image, faces[row], px)]
            if len(again) < len(CLOSE_PX):
                faces[row, SCORE] = UNSURE
            else:
                faces[row, BOX], faces[row, LANDMARKS] = np.mean(again, axis=0)[BOX], np.mean(again, axis=0)[LANDMARKS]
        return faces

    def detect_close(self, image: np.ndarray, face: np.ndarray, px: int) -> list[np.ndarray]:
        """Detect one face again, zoomed to px, as it is and mirrored; the results are in pixels of the picture."""
        zoom = px / float(sizes(face[None])[0])
        corner = (face[0:2] + face[2:4]) / 2 - self.px / 2 / zoom
        square = warped(image, np.column_stack([np.eye(2) * zoom, -corner * zoom]), (self.px, self.px))
        faces = []
        for flip in (False, True):
            found = self.detect_square(square[:, ::-1] if flip else square)
            found = moved(mirrored(found, self.px) if flip else found, 1 / zoom, corner)
            overlap = box_iou(face[None, BOX], found[:, BOX])[0]
            if overlap.max(initial=0.0) >= 0.5:
                faces.append(found[overlap.argmax()])
        return faces


def tile_starts(length: int, tile: int, overlap: int = 160) -> list[int]:
    """Starts of tiles that cover the length; a face no longer than the overlap is whole in one of them."""
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(place) for place in np.linspace(0, length - tile, count)]


def merged(faces: np.ndarray) -> np.ndarray:
    """(F, 15) -> the same without duplicates, best score first."""
    return faces[non_maximum_suppression(box_iou(faces[:, BOX], faces[:, BOX]), faces[:, SCORE], NMS_IOU)]
