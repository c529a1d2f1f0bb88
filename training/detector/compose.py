"""Training pictures of the detector, composed from labelled scenes, crops and face-free backgrounds.

A picture is a pure function of its random generator. Faces are moved, scaled, pasted and cut off at the border; then
the whole picture is degraded as by a door camera. Only the face itself may give a face away: pictures with faces become
grey as often as pictures without, and tinted nearly as often (grey face-free sources always are), and patches without
a face are pasted with the same soft edge as faces.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from training.data.augment import backlit, blurred, compressed, dimmed, exposed, infrared, noisy, tinted
from training.data.faces import FACE_SCORE_MIN, NO_FACES, SCORE, mirrored, sizes, turned, visible_share
from training.data.scenes import Scene
from training.data.warp import warped, zoom_and_turn
from training.detector.worn import with_things_worn

FACE_PX = (12.0, 300.0)  # range of the target face, square root of its box's area; drawn log-uniformly
FACE_SPAN_MAX = 1.25  # of the picture's shorter side: a very near face is cut off on all sides
PASTED_PX = (14.0, 150.0)
TURN_DEGREES = 8.0
TILT_DEGREES = 30.0  # of one picture in five: a head that is tilted, or a camera that is
TILTED_SHARE = 0.2
VISIBLE_SHARE_MIN = 0.5  # of a box; with less inside the picture the extent of the face is unknown
IGNORED_SCORE = 0.5  # between the teacher's limits: neither a face nor background


@dataclass(frozen=True)
class Scenery:
    """The sources of composed pictures.

    scenes:     with at least one sure face
    backdrops:  (h, w, 3) uint8 RGB without a face, of any size; the grey ones first
    greys:      number of grey backdrops
    crops:      N of (112, 112, 3) uint8 RGB, aligned
    crop_faces: (N, 15) float32, the one face in each crop
    """

    scenes: list[Scene]
    backdrops: list[np.ndarray]
    greys: int
    crops: list[np.ndarray]
    crop_faces: np.ndarray


class Composer:
    """Composes pictures of (height, width) with their faces."""

    def __init__(self, scenery: Scenery, shape: tuple[int, int]) -> None:
        self.scenery, self.shape = scenery, shape
        self.kinds = [self.empty]
        self.odds = [0.15]
        if scenery.scenes:
            self.kinds += [self.placed, self.mosaic, self.whole]
            self.odds += [0.4, 0.2, 0.1]
        if len(scenery.crops):
            self.kinds.append(self.pasted)
            self.odds.append(0.15)

    def __call__(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Compose (height, width, 3) uint8 RGB with its (F, 15) faces; a score below 0.8 means: ignore."""
        total = sum(self.odds)
        kind = rng.choice(len(self.kinds), p=[odds / total for odds in self.odds])
        image, faces = self.kinds[kind](rng, self.shape)
        return degraded(image, rng), settled(faces, self.shape)

    def empty(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """A picture without a face."""
        image = self.backdrop(rng, shape)
        if rng.random() < 0.3:
            image = self.with_patches(image, rng)
        return image, NO_FACES

    def placed(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """A scene, moved, turned a little and scaled so that one of its faces has a random size and place."""
        scene = self.scenery.scenes[rng.integers(len(self.scenery.scenes))]
        height, width = shape
        sure = scene.faces[scene.faces[:, SCORE] >= FACE_SCORE_MIN]
        target = sure[rng.integers(len(sure))]
        span = min(FACE_PX[1], FACE_SPAN_MAX * min(shape))
        wanted = np.exp(rng.uniform(np.log(FACE_PX[0]), np.log(span)))
        zoom = np.clip(wanted / sizes(target[None])[0], 0.1, 4.0)
        middle = (target[0:2] + target[2:4]) / 2
        linear = zoom_and_turn(zoom, turn(rng))
        matrix = np.column_stack([linear, rng.uniform(0, 1, 2) * [width, height] - linear @ middle])
        return self.drawn_onto(self.behind(rng, shape), with_things_worn(scene, rng), matrix, rng)

    def whole(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """A whole scene, as large as it fits or a little smaller."""
        scene = self.scenery.scenes[rng.integers(len(self.scenery.scenes))]
        size = np.array(scene.image.shape[1::-1])
        zoom = (shape[::-1] / size).min() * rng.uniform(0.7, 1.0)
        matrix = np.column_stack([np.eye(2) * zoom, rng.uniform(0, 1, 2) * (shape[::-1] - size * zoom)])
        return self.drawn_onto(self.behind(rng, shape), scene, matrix, rng)

    def mosaic(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Four scenes around a random point."""
        height, width = shape
        y, x = int(height * rng.uniform(0.3, 0.7)), int(width * rng.uniform(0.3, 0.7))
        canvas = np.empty((height, width, 3), dtype=np.uint8)
        found = []
        for top, bottom, left, right in ((0, y, 0, x), (0, y, x, width), (y, height, 0, x), (y, height, x, width)):
            inner = bottom - top, right - left
            part, faces = self.placed(rng, inner)
            canvas[top:bottom, left:right] = part
            faces = settled(faces, inner)
            faces[:, [0, 2, 5, 7, 9, 11, 13]] += left
            faces[:, [1, 3, 6, 8, 10, 12, 14]] += top
            found.append(faces)
        return canvas, np.concatenate(found)

    def pasted(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """One to four crops, pasted on a backdrop with soft edges."""
        image = self.backdrop(rng, shape)
        if rng.random() < 0.5:
            image = self.with_patches(image, rng)
        found = [NO_FACES]
        covered = np.zeros(shape, dtype=bool)
        for _ in range(rng.integers(1, 5)):
            row = rng.integers(len(self.scenery.crops))
            face = self.scenery.crop_faces[row]
            wanted = np.exp(rng.uniform(*np.log(PASTED_PX)))
            crop = np.ascontiguousarray(self.scenery.crops[row])
            where = paste(image, crop, wanted / sizes(face[None])[0], rng, covered)
            if where is not None:
                found.append(turned(face[None], where))
        return self.maybe_mirrored(image, np.concatenate(found), rng)

    def with_patches(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Paste patches without a face in the way that faces are pasted."""
        covered = np.zeros(image.shape[:2], dtype=bool)
        for _ in range(rng.integers(1, 4)):
            patch = self.backdrop(rng, (112, 112))
            paste(image, patch, np.exp(rng.uniform(*np.log(PASTED_PX))) / 80, rng, covered)
        return image

    def behind(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """The area that a scene does not cover: a backdrop, or one colour, as in a letterbox."""
        if rng.random() < 0.6:
            return self.backdrop(rng, shape)
        colour = rng.integers(0, 256, 3) if rng.random() < 0.5 else np.zeros(3)
        return np.full((*shape, 3), colour, dtype=np.uint8)

    def backdrop(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """A random part of a face-free picture; a grey one is tinted."""
        greys, total = self.scenery.greys, len(self.scenery.backdrops)
        grey = rng.random() < 0.4 if 0 < greys < total else greys == total
        source = self.scenery.backdrops[rng.integers(0, greys) if grey else rng.integers(greys, total)]
        height, width = source.shape[:2]
        zoom = max(shape[0] / height, shape[1] / width)
        part = (
            min(height, max(1, round(shape[0] / zoom * rng.uniform(0.5, 1)))),
            min(width, max(1, round(shape[1] / zoom * rng.uniform(0.5, 1)))),
        )
        top, left = int(rng.integers(0, height - part[0] + 1)), int(rng.integers(0, width - part[1] + 1))
        image = cv2.resize(source[top : top + part[0], left : left + part[1]], shape[::-1])
        if rng.random() < 0.5:
            image = image[:, ::-1]
        return tinted(image, rng) if grey else np.ascontiguousarray(image)

    def drawn_onto(
        self, canvas: np.ndarray, scene: Scene, matrix: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the scene after a similarity transform, (2, 3), on the canvas; return it with the faces."""
        warped(scene.image, matrix, canvas.shape[1::-1], onto=canvas)
        return self.maybe_mirrored(canvas, turned(scene.faces, matrix), rng)

    @staticmethod
    def maybe_mirrored(image: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Mirror half of the pictures."""
        if rng.random() < 0.5:
            return image, faces
        return np.ascontiguousarray(image[:, ::-1]), mirrored(faces, image.shape[1])


def turn(rng: np.random.Generator) -> float:
    """A turn in the plane of the picture, in radians."""
    return float(np.deg2rad(rng.normal(0, TILT_DEGREES if rng.random() < TILTED_SHARE else TURN_DEGREES)))


def paste(
    image: np.ndarray, crop: np.ndarray, zoom: float, rng: np.random.Generator, covered: np.ndarray
) -> np.ndarray | None:
    """Paste the crop in place, scaled and turned a little, with a soft oval edge.

    covered: (height, width) bool, where something is pasted already; it is updated.
    Returns the (2, 3) transform, or None where the random place was taken and nothing was pasted.
    """
    height, width = image.shape[:2]
    px = crop.shape[0]
    linear = zoom_and_turn(zoom, turn(rng))
    middle = rng.uniform(0, 1, 2) * [width, height]
    matrix = np.column_stack([linear, middle - linear @ [px / 2, px / 2]])
    half = px * zoom * 0.75
    left, top = (int(max(0, value)) for value in middle - half)
    right, bottom = (int(min(limit, value)) for limit, value in zip((width, height), middle + half, strict=True))
    if right - left < 4 or bottom - top < 4 or covered[top:bottom, left:right].any():
        return None
    covered[top:bottom, left:right] = True
    local = matrix - [[0, 0, left], [0, 0, top]]
    size = right - left, bottom - top
    piece = warped(crop, local, size)
    mask = warped(OVAL, local, size)[..., None]  # 0 at the crop's border, so that nothing beyond it shows
    part = image[top:bottom, left:right]
    part[:] = part + (piece.astype(np.float32) - part) * mask
    return matrix


def oval_mask(px: int = 112) -> np.ndarray:
    """(px, px) float32: 1 on the head of an aligned crop, with a soft fall to 0 at its edge."""
    mask = np.zeros((px, px), dtype=np.uint8)
    cv2.ellipse(mask, (px // 2, round(px * 0.53)), (round(px * 0.42), round(px * 0.45)), 0, 0, 360, 255, -1)
    return cv2.GaussianBlur(mask, (0, 0), px * 0.03).astype(np.float32) / 255


OVAL = oval_mask()


def settled(faces: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Drop faces outside the picture; mark those that are hardly inside or too small as ignored."""
    if not len(faces):
        return faces
    share = visible_share(faces, shape)
    faces = faces[share > 0.05].copy()
    hard = (visible_share(faces, shape) < VISIBLE_SHARE_MIN) | (sizes(faces) < FACE_PX[0])
    faces[hard, SCORE] = np.minimum(faces[hard, SCORE], IGNORED_SCORE)
    return faces


def degraded(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Apply each degradation with its probability."""
    for degrade, probability in DEGRADATIONS:
        if rng.random() < probability:
            image = degrade(image, rng)
    return image


def toned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make grey, then tint: as grey backdrops are tinted, so that a tint does not mean that there is no face."""
    return tinted(infrared(image, rng), rng)


def coarse(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sensor with fewer pixels."""
    height, width = image.shape[:2]
    zoom = rng.uniform(0.4, 0.9)
    small = cv2.resize(image, (round(width * zoom), round(height * zoom)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


DEGRADATIONS = (
    (exposed, 0.35),
    (dimmed, 0.12),
    (backlit, 0.12),
    (infrared, 0.35),
    (toned, 0.5),
    (coarse, 0.12),
    (blurred, 0.12),
    (noisy, 0.10),
    (compressed, 0.15),
)
