"""The batch of a step: composed pictures, and the target of every cell of the grids."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from edge.errors import ExperimentError
from edge.inference.detector import FACE_STRIDES, STRIDES, grid
from training.data.faces import BOX, FACE_SCORE_MIN, LANDMARKS, SCORE, sizes
from training.detector.compose import Composer, Scenery
from training.engine.detector_experiment import DetectorExperiment

NO_FACE, FACE, IGNORED = 0, 1, 2

# A face belongs to the level whose usual face (four strides) is nearest to its size, and to two levels where it is
# between them: no cell gets the target "no face" for a face that it sees well.
LEVEL_REACH = 0.75  # in powers of two


class DetectionBatch(NamedTuple):
    """The pictures of one step, and the targets of the N cells of all grids.

    images: (B, H, W, 3) uint8
    state:  (B, N) int64, NO_FACE, FACE or IGNORED
    faces:  (B, N, 14) float32, box and landmarks in pixels where the state is FACE
    """

    images: Tensor
    state: Tensor
    faces: Tensor


class DetectionSteps(Dataset[DetectionBatch]):
    """Batches by step number; each rank gets its own share of the same global batch.

    Raises ExperimentError where the batch does not divide by the number of ranks.
    """

    def __init__(self, scenery: Scenery, experiment: DetectorExperiment, rank: int = 0, world: int = 1) -> None:
        shape = experiment.network.height_px, experiment.network.width_px
        if experiment.batch_size % world:
            raise ExperimentError(f"a batch of {experiment.batch_size} does not divide by {world} processes")
        self.compose = Composer(scenery, shape)
        self.centres, self.strides = grid(*shape)
        self.seed = experiment.seed
        self.share = np.split(np.arange(experiment.batch_size), world)[rank]

    def __getitem__(self, step: int) -> DetectionBatch:
        images, states, faces = [], [], []
        for place in self.share:
            image, found = self.compose(np.random.default_rng([self.seed, step, int(place)]))
            state, target = assign(found, self.centres, self.strides)
            images.append(image)
            states.append(state)
            faces.append(target)
        return DetectionBatch(*(torch.from_numpy(np.stack(part)) for part in (images, states, faces)))


def assign(faces: np.ndarray, centres: np.ndarray, strides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F, 15) faces, (N, 2) cell centres, (N,) strides -> (N,) int64 state and (N, 14) float32 box and landmarks.

    The target of a cell is a face whose centre is near: within 0.4 of the face's size, but at least half a stride (so
    that every face has a cell) and at most one and a half. Of several near faces it is the smallest.
    """
    state = np.full(len(centres), NO_FACE, dtype=np.int64)
    targets = np.zeros((len(centres), 14), dtype=np.float32)
    surely = faces[:, SCORE] >= FACE_SCORE_MIN
    for face in faces[~surely]:
        inside = ((centres >= face[0:2]) & (centres <= face[2:4])).all(axis=1)
        nearest = np.abs(centres - (face[0:2] + face[2:4]) / 2).max(axis=1) <= strides / 2
        state[inside | nearest] = IGNORED
    sure = faces[surely]
    for face in sure[np.argsort(-sizes(sure), kind="stable")]:
        size = float(sizes(face[None])[0])
        level = np.clip(np.log2(max(size, 1.0) / FACE_STRIDES), np.log2(STRIDES[0]), np.log2(STRIDES[-1]))
        of_level = np.abs(level - np.log2(strides)) <= LEVEL_REACH
        reach = np.clip(0.4 * size, 0.5 * strides, 1.5 * strides)
        near = np.abs(centres - (face[0:2] + face[2:4]) / 2).max(axis=1) <= reach
        cells = of_level & near
        state[cells] = FACE
        targets[cells] = np.concatenate([face[BOX], face[LANDMARKS]])
    return state, targets
