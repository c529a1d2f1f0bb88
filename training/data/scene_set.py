"""Everything a detector learns from and is measured on, gathered and split by source picture."""

import hashlib
from dataclasses import dataclass

import numpy as np

from edge.errors import DataError
from training.config import DetectorExperiment
from training.data.compose import Scenery, settled
from training.data.faces import FACE_SCORE_MIN, SCORE, moved
from training.data.generated_scenes import drawn_scenery
from training.data.lfw import read_lfw
from training.data.photographs import Photographs, read_photographs
from training.data.scenes import Scene, face_free_windows, read_crop_faces, read_negatives, read_scenes, teacher_threads
from training.data.splits import held_out, leaks
from training.data.training_set import Places
from training.data.yunet import YuNet

SCENE_TEACHER_PX = 640
CROP_TEACHER_PX = 320
CROPS_SEED = 2015  # the same crops whatever the experiment: the teacher is asked about each but once
CALIBRATION_FRACTION = 0.05  # of the pictures, kept for choosing the score threshold
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


def gather_scenes(experiment: DetectorExperiment, places: Places) -> SceneSet:
    """Read every source of the experiment and split it.

    Raises DataError that names a missing pack, a corrupt picture, or what there is nothing of.
    """
    config = experiment.data
    photographs = None
    if config.source == "generated":
        scenes, (crops, crop_faces) = drawn_scenery(config.generated_scenes, experiment.seed)
    else:
        if not config.scenes or config.teacher is None:
            raise DataError(f"experiment '{experiment.name}' names no packs of scenes, or no teacher for them")
        yunet = YuNet(config.teacher, SCENE_TEACHER_PX, places.data_dir / "teachers", threads=teacher_threads())
        close = YuNet(config.teacher, CROP_TEACHER_PX, places.data_dir / "teachers")
        packs = [places.scenes(name) for name in config.scenes]
        scenes = [scene for pack in packs for scene in read_scenes(pack, yunet, close, places.cache_dir)]
        scenes += [scene for name in config.negatives for scene in read_negatives(places.scenes(name))]
        crops, crop_faces = _crops(experiment, places)
        photographs = read_photographs(places, yunet)
    names = np.array([scene.name for scene in scenes])
    measured = held_out(names, config.held_out_fraction)
    choosing = held_out(np.array([f"choose {name}" for name in names]), CALIBRATION_FRACTION) & ~measured
    train = [scene for scene, out in zip(scenes, measured | choosing, strict=True) if not out]
    scenery = _scenery(train, crops, crop_faces, experiment)
    parts = [
        [tile for scene, out in zip(scenes, chosen, strict=True) if out for tile in tiles(scene)]
        for chosen in (choosing, measured)
    ]
    if not scenery.backdrops or not all(parts):
        raise DataError(f"experiment '{experiment.name}': too few pictures to learn from or to measure on")
    account = _account(scenes, scenery, measured, choosing, parts)
    return SceneSet(scenery, *parts, photographs, account, _digest(train))


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
    scenes: list[Scene], train: Scenery, measured: np.ndarray, choosing: np.ndarray, parts: list[list[Scene]]
) -> dict[str, object]:
    """What is learned from and measured on, in numbers, for the report and the card."""
    calibration, held = parts
    return {
        "pictures": len(scenes),
        "scenes_to_learn_from": len(train.scenes),
        "faces_to_learn_from": sum(int((scene.faces[:, SCORE] >= FACE_SCORE_MIN).sum()) for scene in train.scenes),
        "face_free_to_learn_from": len(train.backdrops),
        "of_them_grey": train.greys,
        "crops_to_paste": len(train.crops),
        "calibration_pictures": int(choosing.sum()),
        "calibration_tiles": len(calibration),
        "held_out_pictures": int(measured.sum()),
        "held_out_tiles": len(held),
        "split": "by a hash of the source picture's name; panoramas and their tiles together",
        "per_source": {
            source: {
                "pictures": sum(scene.name.startswith(f"{source}/") for scene in scenes),
                "held_out": sum(
                    scene.name.startswith(f"{source}/") and bool(out)
                    for scene, out in zip(scenes, measured, strict=True)
                ),
            }
            for source in sorted({scene.name.split("/")[0] for scene in scenes})
        },
    }
