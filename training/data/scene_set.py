"""Everything a detector learns from and is measured on, gathered and split by source picture."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edge.errors import DataError
from training.config import DetectorExperiment, ScenesConfig
from training.data.compose import Scenery, settled
from training.data.faces import FACE_SCORE_MIN, NO_FACES, SCORE, moved
from training.data.generated_scenes import drawn_scenery
from training.data.lfw import read_lfw
from training.data.packs import Pack
from training.data.photographs import Photographs, read_photographs
from training.data.scenes import (
    Scene,
    face_free_windows,
    picture_names,
    read_crop_faces,
    read_negatives,
    read_scenes,
    teacher_threads,
)
from training.data.splits import held_out, leaks
from training.data.training_set import Places
from training.data.yunet import YuNet

SCENE_TEACHER_PX = 640
CROP_TEACHER_PX = 320
CROPS_SEED = 2015  # the same crops whatever the experiment: the teacher is asked about each but once
CALIBRATION_FRACTION = 0.05  # of the pictures, kept for choosing the score threshold
PARTS = LEARN, CHOOSE, MEASURE = "learn", "choose", "measure"
PANORAMA_PX = 800  # a wider picture is measured tile by tile: at 320 px nobody in it would have a face
TILE_PX = (180, 240)


@dataclass(frozen=True)
class SceneSet:
    """What is learned from, what the threshold is chosen on, what is measured on, and an account of it.

    calibration, held_out: with and without faces, panoramas as tiles
    photographs: for the whole pipeline, where there are any
    """

    train: Scenery
    calibration: list[Scene]
    held_out: list[Scene]
    photographs: Photographs | None
    account: dict[str, object]
    digest: str  # changes with any picture, or any face in one, that is learned from

    def summary(self) -> str:
        """One line for people."""
        account = self.account
        return (
            f"{account['scenes_to_learn_from']:,} scenes with {account['faces_to_learn_from']:,} faces, "
            f"{account['face_free_to_learn_from']:,} pictures and cuttings without, "
            f"{account['crops_to_paste']:,} crops to paste; "
            f"{account['calibration_pictures']} pictures to choose the threshold on, "
            f"{account['held_out_pictures']} held out"
        )


def gather_scenes(experiment: DetectorExperiment, places: Places, *, measure_only: bool = False) -> SceneSet:
    """Read every source of the experiment and split it.

    measure_only: leave out what is learned from and what the threshold is chosen on; a teacher has less to look at.
    Raises DataError that names a missing pack, a corrupt picture, or what there is nothing of.
    """
    config = experiment.data
    if config.source == "generated":
        drawn, (crops, crop_faces) = drawn_scenery(config.generated_scenes, experiment.seed)
        parts = {part: [drawn[row] for row in rows] for part, rows in split([scene.name for scene in drawn], config)}
        photographs = None
    else:
        yunet, close = _teachers(experiment, places)
        parts = {part: [] for part in PARTS}
        for pack, read in _packs(experiment, places, yunet, close):
            names = picture_names(pack)
            for part, rows in split(names, config):
                if part == MEASURE or not measure_only:
                    parts[part] += read(pack, [names[row] for row in rows])
        crops, crop_faces = ([], NO_FACES) if measure_only else _crops(experiment, places)
        photographs = read_photographs(places, yunet)
    scenery = _scenery(parts[LEARN], crops, crop_faces, experiment)
    choosing, measured = ([tile for scene in parts[part] for tile in tiles(scene)] for part in (CHOOSE, MEASURE))
    if not measured or not (measure_only or (choosing and scenery.backdrops)):
        raise DataError(f"experiment '{experiment.name}': too few pictures to learn from or to measure on")
    account = _account(parts, scenery, choosing, measured)
    return SceneSet(scenery, choosing, measured, photographs, account, _digest(parts[LEARN]))


def split(names: list[str], config: ScenesConfig) -> Iterator[tuple[str, list[int]]]:
    """Each part with the places of its names, by a hash of the name."""
    texts = np.array(names, dtype=str)
    measured = held_out(texts, config.held_out_fraction)
    choosing = held_out(np.array([f"choose {name}" for name in names], dtype=str), CALIBRATION_FRACTION) & ~measured
    for part, chosen in ((LEARN, ~measured & ~choosing), (CHOOSE, choosing), (MEASURE, measured)):
        yield part, np.nonzero(chosen)[0].tolist()


def _teachers(experiment: DetectorExperiment, places: Places) -> tuple[YuNet, YuNet]:
    """Who finds the faces, and who looks at each again."""
    teacher, folder = experiment.data.teacher, places.data_dir / "teachers"
    if not experiment.data.scenes or teacher is None:
        raise DataError(f"experiment '{experiment.name}' names no packs of scenes, or no teacher for them")
    return YuNet(teacher, SCENE_TEACHER_PX, folder, threads=teacher_threads()), YuNet(teacher, CROP_TEACHER_PX, folder)


def _packs(
    experiment: DetectorExperiment, places: Places, yunet: YuNet, close: YuNet
) -> Iterator[tuple[Pack, Callable[[Pack, list[str]], list[Scene]]]]:
    """Every pack and how its pictures are read."""
    for name in experiment.data.scenes:
        yield places.scenes(name), lambda pack, names: read_scenes(pack, names, yunet, close, places.cache_dir)
    for name in experiment.data.negatives:
        yield places.scenes(name), read_negatives


def _crops(experiment: DetectorExperiment, places: Places) -> tuple[list[np.ndarray], np.ndarray]:
    """Crops to paste in which the teacher surely sees one face, and nobody who is near to anybody in LFW."""
    config = experiment.data
    images, faces = [], [np.zeros((0, 15), dtype=np.float32)]
    if not config.crops:
        return images, faces[0]
    if config.leak_teacher is None:
        raise DataError(f"experiment '{experiment.name}': packs of crops need data.leak_teacher, which keeps LFW out")
    yunet = YuNet(str(config.teacher), CROP_TEACHER_PX, places.data_dir / "teachers")
    embedding = places.teacher(config.leak_teacher)
    measured = embedding.embed_pack(read_lfw(places.data_dir, places.cache_dir).pack)
    for name in config.crops:
        pack = places.pack(name)
        stored = pack.read()
        clean = np.nonzero(~leaks(embedding.embed_pack(pack), measured, config.leak_cosine_max))[0]
        rows = np.sort(np.random.default_rng(CROPS_SEED).permutation(clean)[: config.crops_per_pack])
        for row, found in zip(rows, read_crop_faces(pack, rows, yunet, places.cache_dir), strict=True):
            if len(found) == 1 and found[0, SCORE] >= FACE_SCORE_MIN:
                images.append(stored.images[row])
                faces.append(found)
    return images, np.concatenate(faces)


def _scenery(
    train: list[Scene], crops: list[np.ndarray], crop_faces: np.ndarray, experiment: DetectorExperiment
) -> Scenery:
    """Scenes with a sure face; grey pictures without any; and face-free cuttings of the coloured ones."""
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
    """All three channels nearly the same everywhere."""
    return int(np.ptp(image.astype(np.int16), axis=2).max()) <= 12


def is_panorama(scene: Scene) -> bool:
    """So wide that it is measured in tiles."""
    return scene.image.shape[1] > PANORAMA_PX


def tiles(scene: Scene) -> list[Scene]:
    """The scene itself, or side by side tiles of a panorama; faces cut in half are neither face nor none."""
    if not is_panorama(scene):
        return [Scene(scene.name, scene.image, settled(scene.faces, scene.image.shape[:2]))]
    height, width = TILE_PX
    found = []
    for top in range(0, scene.image.shape[0] - height + 1, height):
        for left in range(0, scene.image.shape[1] - width + 1, width):
            image = np.ascontiguousarray(scene.image[top : top + height, left : left + width])
            faces = settled(moved(scene.faces, 1.0, np.array([-left, -top])), TILE_PX)
            found.append(Scene(f"{scene.name}@{left},{top}", image, faces))
    return found


def _digest(train: list[Scene]) -> str:
    digest = hashlib.sha256()
    for scene in train:
        digest.update(f"{scene.name} {scene.image.shape} ".encode() + scene.faces.tobytes())
    return digest.hexdigest()[:12]


def _account(
    parts: dict[str, list[Scene]], train: Scenery, choosing: list[Scene], measured: list[Scene]
) -> dict[str, object]:
    """What is learned from and measured on, in numbers, for the report and the card."""
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
        "held_out_pictures": len(parts[MEASURE]),
        "held_out_tiles": len(measured),
        "split": "by a hash of the source picture's name; panoramas and their tiles together",
        "per_source": {
            source: {"pictures": sum(count(part, source) for part in PARTS), "held_out": count(MEASURE, source)}
            for source in sources
        },
    }
