"""The scenes of an experiment, read and split by source picture into training, threshold choice and evaluation."""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass

import numpy as np

from edge.errors import DataError
from training.data.cores import cores
from training.data.faces import FACE_SCORE_MIN, NO_FACES, SCORE, moved
from training.data.generated_scenes import drawn_scenery
from training.data.packs import Pack
from training.data.photographs import Photographs, read_photographs
from training.data.places import Places
from training.data.scenes import (
    Scene,
    face_free_windows,
    picture_names,
    read_negatives,
    read_pictures,
    read_scenes,
)
from training.data.splits import held_out
from training.data.yunet import YuNet, tile_starts
from training.detector.compose import Scenery, settled
from training.detector.overlap import THUMBNAIL_PX, same_photograph, same_picture, thumbnails
from training.detector.pasted_crops import pasted_embeddings, read_crops
from training.engine.detector_experiment import DetectorExperiment, ScenesConfig

SCENE_TEACHER_PX = 640
CROP_TEACHER_PX = 320
NO_THUMBNAILS = np.zeros((0, THUMBNAIL_PX[0] * THUMBNAIL_PX[1]), dtype=np.float32)
CALIBRATION_FRACTION = 0.05  # of the pictures, for the choice of the score threshold
PARTS = TRAIN, CHOOSE, EVALUATE = "train", "choose", "evaluate"
PANORAMA_PX = 800  # a wider picture is evaluated in tiles: at 320 px its faces would be too small
TILE_PX = (180, 240)


@dataclass(frozen=True)
class SceneSet:
    """The training sources, the scenes to choose the threshold on, the evaluation scenes, and the split's numbers.

    calibration, held_out: with and without faces, panoramas as tiles
    photographs: for the evaluation of the whole pipeline, or None
    teacher:     of the smaller input, for comparison, or None
    digest:      changes with any training picture, or any face in one
    """

    train: Scenery
    calibration: list[Scene]
    held_out: list[Scene]
    photographs: Photographs | None
    teacher: YuNet | None
    split_stats: dict[str, object]
    digest: str

    def summary(self) -> str:
        """One line for the terminal."""
        stats = self.split_stats
        return (
            f"{stats['scenes_to_learn_from']:,} scenes with {stats['faces_to_learn_from']:,} faces, "
            f"{stats['face_free_to_learn_from']:,} face-free pictures and cuttings, "
            f"{stats['crops_to_paste']:,} crops to paste; "
            f"{stats['calibration_pictures']} pictures to choose the threshold on, "
            f"{stats['held_out_pictures']} held out"
        )


def gather_scenes(experiment: DetectorExperiment, places: Places, *, measure_only: bool = False) -> SceneSet:
    """Read every source of the experiment and split it.

    measure_only: read the evaluation scenes only, so that the teacher has fewer pictures to label
    Raises DataError that names a missing pack, a corrupt picture, or a part without pictures.
    """
    config = experiment.data
    parts: dict[str, list[Scene]] = {part: [] for part in PARTS}
    if config.source == "generated":
        drawn, (crops, crop_faces) = drawn_scenery(config.generated_scenes, experiment.seed)
        for part, rows in split([scene.name for scene in drawn], config):
            parts[part] = [drawn[row] for row in rows]
        left_out: dict[str, int] = {}
        photographs, close = None, None
    else:
        yunet, close = _teachers(experiment, places)
        small = {part: [NO_THUMBNAILS] for part in PARTS}
        for pack, read in _packs(experiment, places, yunet, close):
            names = picture_names(pack)
            for part, rows in split(names, config):
                chosen = [names[row] for row in rows]
                if part == EVALUATE or not measure_only:
                    parts[part] += read(pack, chosen)
                if part != EVALUATE:
                    small[part].append(thumbnails(read_pictures(pack, chosen)))
        left_out = _leave_out_overlap(parts, small, experiment, places)
        crops, crop_faces = ([], NO_FACES) if measure_only else read_crops(experiment, places, close)
        photographs = read_photographs(places, close)
    scenery = _scenery(parts[TRAIN], crops, crop_faces, experiment)
    choosing, measured = ([tile for scene in parts[part] for tile in tiles(scene)] for part in (CHOOSE, EVALUATE))
    _refuse_too_little(experiment, scenery, choosing, measured, measure_only=measure_only)
    stats = _split_stats(parts, scenery, choosing, measured) | left_out
    return SceneSet(scenery, choosing, measured, photographs, close, stats, _digest(parts[TRAIN], scenery))


def _refuse_too_little(
    experiment: DetectorExperiment,
    scenery: Scenery,
    choosing: list[Scene],
    measured: list[Scene],
    *,
    measure_only: bool,
) -> None:
    """Raise DataError that names the first part that is empty."""
    needed: dict[str, Sized] = {"to evaluate on": measured}
    if not measure_only:
        faces = scenery.scenes or scenery.crops
        needed |= {"with a face": faces, "without a face": scenery.backdrops, "to choose the threshold on": choosing}
    for what, pictures in needed.items():
        if not len(pictures):
            raise DataError(f"experiment '{experiment.name}' has no picture {what}")


def _leave_out_overlap(
    parts: dict[str, list[Scene]], small: dict[str, list[np.ndarray]], experiment: DetectorExperiment, places: Places
) -> dict[str, int]:
    """Remove, in place, pictures that an earlier part has under another name; return their numbers.

    small: the thumbnails of each part
    """
    training = np.concatenate(small[TRAIN])
    references = {CHOOSE: training, EVALUATE: np.concatenate([training, *small[CHOOSE]])}
    counts = {"left_out_same_picture": 0, "left_out_same_photograph_as_a_crop": 0}
    crops = pasted_embeddings(experiment, places)
    for part, reference in references.items():
        if not parts[part]:
            continue
        picture = same_picture(parts[part], reference)
        photograph = np.zeros_like(picture)
        if crops is not None:
            teacher, embeddings = crops
            photograph = same_photograph(parts[part], teacher, embeddings) & ~picture
        if part == EVALUATE:
            counts["left_out_same_picture"] = int(picture.sum())
            counts["left_out_same_photograph_as_a_crop"] = int(photograph.sum())
        parts[part] = [scene for scene, out in zip(parts[part], picture | photograph, strict=True) if not out]
    return counts


def split(names: list[str], config: ScenesConfig) -> Iterator[tuple[str, list[int]]]:
    """Yield each part with the indices of its names; a hash of the name decides."""
    texts = np.array(names, dtype=str)
    measured = held_out(texts, config.held_out_fraction)
    choosing = held_out(np.array([f"choose {name}" for name in names], dtype=str), CALIBRATION_FRACTION) & ~measured
    for part, chosen in ((TRAIN, ~measured & ~choosing), (CHOOSE, choosing), (EVALUATE, measured)):
        yield part, np.nonzero(chosen)[0].tolist()


def _teachers(experiment: DetectorExperiment, places: Places) -> tuple[YuNet, YuNet]:
    """The teacher that finds the faces, and the one that refines each."""
    teacher, folder = experiment.data.teacher, places.data_dir / "teachers"
    if not experiment.data.scenes or teacher is None:
        raise DataError(f"experiment '{experiment.name}' names no packs of scenes, or no teacher for them")
    return YuNet(teacher, SCENE_TEACHER_PX, folder, threads=cores()), YuNet(teacher, CROP_TEACHER_PX, folder)


def _packs(
    experiment: DetectorExperiment, places: Places, yunet: YuNet, close: YuNet
) -> Iterator[tuple[Pack, Callable[[Pack, list[str]], list[Scene]]]]:
    """Yield every pack with the function that reads its pictures."""
    for name in experiment.data.scenes:
        yield places.scenes(name), lambda pack, names: read_scenes(pack, names, yunet, close, places.cache_dir)
    for name in experiment.data.negatives:
        yield places.scenes(name), read_negatives


def _scenery(
    train: list[Scene], crops: list[np.ndarray], crop_faces: np.ndarray, experiment: DetectorExperiment
) -> Scenery:
    """Sort the training scenes: those with a sure face, face-free pictures, and face-free cuttings of the others."""
    rng = np.random.default_rng(experiment.seed)
    with_faces = [scene for scene in train if (scene.faces[:, SCORE] >= FACE_SCORE_MIN).any()]
    empty = [scene.image for scene in train if not len(scene.faces)]
    cuttings = [
        window
        for scene in train
        if len(scene.faces)
        for window in face_free_windows(scene, 3 if is_panorama(scene) else 1, rng)
    ]
    grey = [image for image in empty if is_grey(image)]
    coloured = [image for image in empty if not is_grey(image)] + [image for image in cuttings if not is_grey(image)]
    return Scenery(with_faces, grey + coloured, len(grey), crops, crop_faces)


def is_grey(image: np.ndarray) -> bool:
    """Whether the three channels are nearly equal everywhere."""
    return int(np.ptp(image.astype(np.int16), axis=2).max()) <= 12


def is_tile(scene: Scene) -> bool:
    """Whether the scene is a part of a panorama."""
    return "@" in scene.name


def is_panorama(scene: Scene) -> bool:
    """Whether the scene is so wide that it is evaluated in tiles."""
    return scene.image.shape[1] > PANORAMA_PX


def tiles(scene: Scene) -> list[Scene]:
    """The scene itself, or tiles that cover a panorama; a face that is cut in half is ignored."""
    if not is_panorama(scene):
        return [Scene(scene.name, scene.image, settled(scene.faces, scene.image.shape[:2]))]
    height, width = TILE_PX
    found = []
    for top in tile_starts(scene.image.shape[0], height, overlap=0):
        for left in tile_starts(scene.image.shape[1], width, overlap=0):
            image = np.ascontiguousarray(scene.image[top : top + height, left : left + width])
            faces = settled(moved(scene.faces, 1.0, np.array([-left, -top])), TILE_PX)
            found.append(Scene(f"{scene.name}@{left},{top}", image, faces))
    return found


def _digest(training: list[Scene], scenery: Scenery) -> str:
    digest = hashlib.sha256(scenery.crop_faces.tobytes())
    for scene in training:
        digest.update(
            f"{scene.name} {scene.image.shape} {zlib.crc32(scene.image.data)} ".encode() + scene.faces.tobytes()
        )
    for crop in scenery.crops:
        digest.update(zlib.crc32(np.ascontiguousarray(crop).data).to_bytes(4, "little"))
    return digest.hexdigest()[:12]


def _split_stats(
    parts: dict[str, list[Scene]], train: Scenery, choosing: list[Scene], measured: list[Scene]
) -> dict[str, object]:
    """The numbers of the split, for the report and the card."""
    sources = sorted({scene.name.split("/")[0] for part in parts.values() for scene in part})

    def count(part: str, source: str) -> int:
        return sum(scene.name.startswith(f"{source}/") for scene in parts[part])

    return {
        "pictures": sum(len(part) for part in parts.values()),
        "scenes_to_learn_from": len(train.scenes),
        "faces_to_learn_from": sum(int((scene.faces[:, SCORE] >= FACE_SCORE_MIN).sum()) for scene in train.scenes),
        "face_free_to_learn_from": len(train.backdrops),
        "of_them_grey": train.greys,
        "crops_to_paste": len(train.crops),
        "calibration_pictures": len(parts[CHOOSE]),
        "calibration_tiles": len(choosing),
        "held_out_pictures": len(parts[EVALUATE]),
        "held_out_tiles": len(measured),
        "split": "by a hash of the source picture's name, without pictures that are similar under another name",
        "per_source": {
            source: {"pictures": sum(count(part, source) for part in PARTS), "held_out": count(EVALUATE, source)}
            for source in sources
        },
    }
