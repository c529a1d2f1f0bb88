"""Scenes with the faces that a teacher found in them."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.core.geometry import box_iou
from training.data.face_labels import faces_of
from training.data.faces import BOX, NO_FACES, SCORE
from training.data.packs import Pack, decode_image, read_member
from training.data.yunet import UNSURE, YuNet, merged

CROP_ZOOM = 2.0  # a 112 px crop is smaller than the sizes at which a teacher is best

# Found by eye, among the pictures of the pack in which the teacher finds a face.
NEGATIVES_WITH_FACES = frozenset(f"negatives/{number:05d}.webp" for number in (282, 428, 556, 782, 1260, 1304))

# Found by eye: a face drawn on a wall, which the teacher misses. It is neither a person nor background.
DRAWN_FACES = {"photos/01295.webp": (12, 8, 71, 85)}  # left, top, right, bottom, in pixels of the picture


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and every possible face that a teacher found in it.

    image: (H, W, 3) uint8 RGB; faces: (F, 15) float32, see training.data.faces
    """

    name: str
    image: np.ndarray
    faces: np.ndarray


def read_scenes(pack: Pack, names: list[str], teacher: YuNet, close: YuNet, cache_dir: Path) -> list[Scene]:
    """Read these pictures of a pack with their faces; the labels are kept or cached.

    teacher: finds the faces
    close:   of a smaller input; refines each face
    Raises DataError that names a missing pack or a corrupt picture.
    """
    images = read_pictures(pack, names)
    faces = faces_of(
        scenes_key(pack, names, teacher, close),
        (labelled(image, teacher, close) for image in images),
        len(images),
        f"label {pack.name} with {teacher.name}",
        cache_dir,
    )
    return [
        Scene(name, image, with_drawn_face(name, found))
        for name, image, found in zip(names, images, faces, strict=True)
    ]


def scenes_key(pack: Pack, names: list[str], teacher: YuNet, close: YuNet) -> str:
    """The key of the labels of these pictures, see training.data.face_labels."""
    which = hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
    return f"{pack.name}-{pack.digest()}-{which}-{teacher.key}-{close.key}"


def labelled(image: np.ndarray, teacher: YuNet, close: YuNet) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> (F, 15), the faces that a teacher finds, each refined by the one of the smaller input."""
    return close.refined(image, faces_at_two_sizes(teacher, image))


def with_drawn_face(name: str, faces: np.ndarray) -> np.ndarray:
    """The (F, 15) faces of the picture of that name, and after them the drawn one, unsure, if it has one."""
    if name not in DRAWN_FACES:
        return faces
    drawn = np.zeros((1, 15), dtype=np.float32)
    drawn[0, BOX], drawn[0, SCORE] = DRAWN_FACES[name], UNSURE
    return np.concatenate([faces, drawn])


def read_negatives(pack: Pack, names: list[str]) -> list[Scene]:
    """Read these pictures of a pack of scenes without faces, without the few that do have one.

    The teacher does not label them: it finds a face in one of nine, and nearly all are false alarms (a dial, a tomato,
    a bottle cap). Those pictures are the ones to train on.
    """
    kept = [name for name in names if name not in NEGATIVES_WITH_FACES]
    return [Scene(name, image, NO_FACES) for name, image in zip(kept, read_pictures(pack, kept), strict=True)]


def picture_names(pack: Pack) -> list[str]:
    """`<pack>/<member>` of every picture of a pack."""
    return [f"{pack.name}/{member.filename}" for member in pack.members()]


def read_pictures(pack: Pack, names: list[str]) -> list[np.ndarray]:
    """Read the pictures of these names, each (H, W, 3) uint8 RGB."""
    with zipfile.ZipFile(pack.path) as archive:
        return [decode_image(read_member(archive, pack.name, name.partition("/")[2]), name) for name in names]


def faces_at_two_sizes(teacher: YuNet, image: np.ndarray) -> np.ndarray:
    """(F, 15) faces at the picture's own size and enlarged; of a face found twice, the one with the higher score."""
    longest = max(image.shape[:2])
    enlarged = teacher.px / longest if longest < teacher.px else 2.0
    return merged(np.concatenate([teacher.detect_surely(image, zoom) for zoom in (1.0, enlarged)]))


def read_crop_faces(pack: Pack, rows: np.ndarray, teacher: YuNet, cache_dir: Path) -> list[np.ndarray]:
    """Find the faces in these rows of a pack of aligned crops, (F, 15) for each, in pixels of the crop."""
    images = pack.read().images
    which = hashlib.sha256(rows.tobytes()).hexdigest()[:12]
    return faces_of(
        f"{pack.name}-{pack.digest()}-{which}-{teacher.key}-close",
        (teacher.refined(images[row], teacher.detect_surely(images[row], CROP_ZOOM)) for row in rows),
        len(rows),
        f"label {pack.name} with {teacher.name}",
        cache_dir,
    )


def face_free_windows(scene: Scene, wanted: int, rng: np.random.Generator, least_px: int = 80) -> list[np.ndarray]:
    """Rectangles of the scene that contain no part of a possible face; views, (h, w, 3) uint8 RGB."""
    height, width = scene.image.shape[:2]
    margin = 0.3 * np.repeat((scene.faces[:, 2:4] - scene.faces[:, 0:2]), 2, axis=0).reshape(-1, 4)
    taken = scene.faces[:, BOX] + margin * [-1, -1, 1, 1]
    windows: list[np.ndarray] = []
    for _ in range(20 * wanted):
        if len(windows) == wanted or min(height, width) < least_px:
            break
        h, w = (int(rng.integers(least_px, min(side, 480) + 1)) for side in (height, width))
        top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
        window = np.array([[left, top, left + w, top + h]], dtype=np.float32)
        if not box_iou(window, taken).any():
            windows.append(scene.image[top : top + h, left : left + w])
    return windows
