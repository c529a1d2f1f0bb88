"""The whole pipeline on real photographs: our detector, alignment and shipped embedder, without ready-made crops."""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from edge.core.align import align
from edge.core.closer import look_closer
from edge.core.geometry import box_iou
from edge.core.types import Face
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from training.data.faces import BOX
from training.data.photographs import Photographs, most_central
from training.evaluate.verification import pair_distances, ten_fold_accuracy

RIGHT_FACE_IOU_MIN = 0.5


@dataclass(frozen=True)
class Pipeline:
    """Results on LFW photographs of 250 px; rates are fractions.

    embedder:          sha256 of the embedder
    right_face:        photographs whose most central detection is the teacher's most central face, IoU >= 0.5
    no_face:           photographs without a detection
    accuracy:          of the pairs, with our detections; a photograph without one matches nobody
    accuracy_on_crops: of the same pairs, on the ready-made crops
    """

    embedder: str
    photographs: int
    teacher_sure_of: int
    right_face: float
    no_face: int
    pairs: int
    accuracy: float
    accuracy_on_crops: float


def central_face(detector: Detector, image: np.ndarray) -> Face | None:
    """The detection nearest to the middle of a photograph, (H, W, 3) uint8 RGB."""
    faces = detector.detect(image)
    boxes = np.array([face.box for face in faces])
    return faces[most_central(boxes, image.shape[:2])] if faces else None


def is_right(face: Face | None, truth: np.ndarray) -> bool:
    """Whether the detection is the teacher's, (15,) float32."""
    return face is not None and bool(box_iou(face.box[None], truth[None, BOX])[0, 0] >= RIGHT_FACE_IOU_MIN)


def measure_pipeline(detector: Detector, photographs: Photographs) -> Pipeline:
    """Detect, look closer, align, embed and compare, with the shipped embedder."""
    embedder = Embedder()
    right, crops = list[bool](), []
    for image, truth in zip(
        tqdm(photographs.images, desc="whole pipeline", unit="photo", disable=None), photographs.faces, strict=True
    ):
        face = central_face(detector, image)
        crops.append(None if face is None else align(image, look_closer(image, face, detector).landmarks))
        if truth is not None:
            right.append(is_right(face, truth))
    no_embedding = np.zeros(embedder.card.dimension, dtype=np.float32)
    own = np.stack([no_embedding if crop is None else embedder.embed(crop) for crop in crops])
    ready = np.stack([embedder.embed(crop) for crop in photographs.crops])
    pairs = photographs.pairs
    distances = pair_distances(own, pairs)
    missing = np.array([crop is None for crop in crops])
    distances[missing[pairs.first] | missing[pairs.second]] = 4.0
    return Pipeline(
        embedder=embedder.card.sha256,
        photographs=len(crops),
        teacher_sure_of=len(right),
        right_face=float(np.mean(right)),
        no_face=int(missing.sum()),
        pairs=len(pairs),
        accuracy=ten_fold_accuracy(distances, pairs)[0],
        accuracy_on_crops=ten_fold_accuracy(pair_distances(ready, pairs), pairs)[0],
    )
