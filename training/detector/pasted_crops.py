"""The aligned crops that are pasted, and the face in each."""

import numpy as np

from edge.errors import DataError
from training.data.faces import FACE_SCORE_MIN, NO_FACES, SCORE
from training.data.near_lfw import near_lfw
from training.data.places import Places
from training.data.scenes import read_crop_faces
from training.data.teacher import Teacher
from training.data.yunet import YuNet
from training.detector.lineage import pasted_counts
from training.engine.detector_experiment import DetectorExperiment

CROPS_SEED = 2015  # the same for every experiment: one that takes fewer crops takes a subset


def read_crops(experiment: DetectorExperiment, places: Places, teacher: YuNet) -> tuple[list[np.ndarray], np.ndarray]:
    """Read the crops in which the teacher is sure of one face, without those that are near a person of LFW."""
    images, faces = [], [NO_FACES]
    for name in experiment.data.crops:
        pack = places.pack(name)
        stored = pack.read()
        rows = np.sort(clean_rows(experiment, places, name)[: experiment.data.crops_per_pack])
        for row, found in zip(rows, read_crop_faces(pack, rows, teacher, places.cache_dir), strict=True):
            if len(found) == 1 and found[0, SCORE] >= FACE_SCORE_MIN:
                images.append(stored.images[row])
                faces.append(found)
    return images, np.concatenate(faces)


def pasted_embeddings(experiment: DetectorExperiment, places: Places) -> tuple[Teacher, np.ndarray] | None:
    """The leak teacher, with its (N, D) embeddings of all crops that this experiment and those before it paste."""
    pasted = pasted_counts(experiment)
    if not pasted:
        return None
    teacher = _leak_teacher(experiment, places)
    rows = [
        teacher.embed_pack(places.pack(name))[clean_rows(experiment, places, name)[:count]]
        for name, count in pasted.items()
    ]
    return teacher, np.concatenate(rows)


def clean_rows(experiment: DetectorExperiment, places: Places, name: str) -> np.ndarray:
    """The rows of a pack of crops that are not near a person of LFW, in random order."""
    teacher, lfw = _leak_teacher(experiment, places), places.pack("lfw_crops")
    near = near_lfw(teacher, places.pack(name), lfw, experiment.data.leak_cosine_max)
    return np.random.default_rng(CROPS_SEED).permutation(np.nonzero(~near)[0])


def _leak_teacher(experiment: DetectorExperiment, places: Places) -> Teacher:
    name = experiment.data.leak_teacher
    if name is None:
        raise DataError(f"experiment '{experiment.name}': packs of crops need data.leak_teacher, which keeps LFW out")
    return places.teacher(name)
