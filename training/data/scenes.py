"""Scenes with the faces that a teacher found in them, and who of them is learned from."""

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edge.core.geometry import box_iou
from training.data.cache import load_cached, made_once
from training.data.faces import BOX, NO_FACES
from training.data.packs import Pack, decode_image, read_member
from training.data.yunet import YuNet, merged

LABELS = "labels-2"  # made by this code: asked in another way they get another number, and no old answer is taken
CROP_ZOOM = 2.0  # a 112 px crop is smaller than what a teacher sees best

# Found by looking at every picture of the pack in which the teacher claims a face.
NEGATIVES_WITH_FACES = frozenset(f"negatives/{number:05d}.webp" for number in (282, 428, 556, 782, 1260, 1304))


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and every face in it that a teacher thought possible.

    image: (H, W, 3) uint8 RGB; faces: (F, 15) float32, see training.data.faces
    """

    name: str
    image: np.ndarray
    faces: np.ndarray


def read_scenes(pack: Pack, names: list[str], teacher: YuNet, close: YuNet, cache_dir: Path) -> list[Scene]:
    """These pictures of a pack with their faces; the teachers are asked once, their answers are cached.

    teacher finds the faces; close, of a smaller input, looks at each again.

    Raises DataError that names a missing pack or a corrupt picture.
    """
    images = read_pictures(pack, names)
    which = hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
    faces = cached_faces(
        cache_dir / LABELS / f"{pack.name}-{pack.digest()}-{which}-{teacher.name}-{close.name}.npy",
        (close.refined(image, surely_at_two_sizes(teacher, image)) for image in images),
        len(images),
        f"ask {teacher.name} about {pack.name}",
    )
    return [Scene(*scene) for scene in zip(names, images, faces, strict=True)]


def read_negatives(pack: Pack, names: list[str]) -> list[Scene]:
    """These pictures of a pack of scenes without faces, but the few that do hold one.

    The teacher is not asked: it claims a face in one of nine of them, nearly always wrongly (a dial, a tomato, a
    bottle cap), and those are the very pictures to learn from.
    """
    kept = [name for name in names if name not in NEGATIVES_WITH_FACES]
    return [Scene(name, image, NO_FACES) for name, image in zip(kept, read_pictures(pack, kept), strict=True)]


def picture_names(pack: Pack) -> list[str]:
    """`<pack>/<member>` of every picture of a pack."""
    return [f"{pack.name}/{member.filename}" for member in pack.members()]


def read_pictures(pack: Pack, names: list[str]) -> list[np.ndarray]:
    """The pictures of these names, each (H, W, 3) uint8 RGB."""
    with zipfile.ZipFile(pack.path) as archive:
        return [decode_image(read_member(archive, pack.name, name.partition("/")[2]), name) for name in names]


def surely_at_two_sizes(teacher: YuNet, image: np.ndarray) -> np.ndarray:
    """(F, 15): at the picture's own size and enlarged; of a face found twice the surer."""
    longest = max(image.shape[:2])
    enlarged = teacher.px / longest if longest < teacher.px else 2.0
    return merged(np.concatenate([teacher.detect_surely(image, zoom) for zoom in (1.0, enlarged)]))


def read_crop_faces(pack: Pack, rows: np.ndarray, teacher: YuNet, cache_dir: Path) -> list[np.ndarray]:
    """For these rows of a pack of aligned crops the (F, 15) faces in each, in pixels of the crop."""
    images = pack.read().images
    which = hashlib.sha256(rows.tobytes()).hexdigest()[:12]
    return cached_faces(
        cache_dir / LABELS / f"{pack.name}-{pack.digest()}-{which}-{teacher.name}-close.npy",
        (teacher.refined(images[row], teacher.detect_surely(images[row], CROP_ZOOM)) for row in rows),
        len(rows),
        f"ask {teacher.name} about {pack.name}",
    )


def cached_faces(path: Path, answers: object, count: int, label: str) -> list[np.ndarray]:
    """The list of (F, 15), computed once. On disk it is one array whose first column is the picture's number."""

    def ask(target: Path) -> None:
        found = [np.zeros((0, 16), dtype=np.float32)]
        for number, faces in enumerate(tqdm(answers, total=count, desc=label, unit="picture")):
            found.append(np.column_stack([np.full(len(faces), number), faces]))
        np.save(target, np.concatenate(found).astype(np.float32))

    rows = load_cached(made_once(path, ask))
    return [rows[rows[:, 0] == number, 1:] for number in range(count)]


def face_free_windows(scene: Scene, wanted: int, rng: np.random.Generator, least_px: int = 80) -> list[np.ndarray]:
    """Rectangles of the scene that no possible face reaches into; views, (h, w, 3) uint8 RGB."""
    height, width = scene.image.shape[:2]
    margin = 0.3 * np.repeat((scene.faces[:, 2:4] - scene.faces[:, 0:2]), 2, axis=0).reshape(-1, 4)
    taken = scene.faces[:, BOX] + margin * [-1, -1, 1, 1]
    windows = []
    for _ in range(20 * wanted):
        if len(windows) == wanted or min(height, width) < least_px:
            break
        h, w = (int(rng.integers(least_px, min(side, 480) + 1)) for side in (height, width))
        top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
        window = np.array([[left, top, left + w, top + h]], dtype=np.float32)
        if not box_iou(window, taken).any():
            windows.append(scene.image[top : top + h, left : left + w])
    return windows


def teacher_threads() -> int:
    """A teacher is asked before the training starts: it may have every core."""
    return os.cpu_count() or 1
