"""Faces of every size in a still picture: the whole view, then tiles at several zooms, each find looked at again."""

import numpy as np

from edge.core.align import align
from edge.core.attention import Window, one_of_each, same_face, tiles, window_of
from edge.core.closer import look_closer
from edge.core.events import normalized_box
from edge.core.ports import Detector, Embedder
from edge.core.quality import QualityRules
from edge.core.turning import is_upright, turned, turned_back, upright
from edge.core.types import Face, FoundFace

ZOOMS = (1, 2, 5, 12, 30, 75)  # pixels of the picture to one of the detector; a face is 16 to 96 of its pixels wide
FINE_PIXELS_MAX = 2_100_000  # of a picture with tiles at zoom 1; a face that needs one is too small to be recognized
OVERLAP_PX = 96  # of tiles, in pixels of the detector
SURE_PX = 32.0  # how wide a face is in the whole view, from which one look is enough
CANDIDATE_SCORE = 0.5
CANDIDATES_MAX = 300
ASKED_MAX = 5  # faces of a picture, of which one that is upright is looked for


def encoded_faces(image: np.ndarray, detector: Detector, embedder: Embedder, rules: QualityRules) -> list[FoundFace]:
    """Every face in a picture, (H, W, 3) uint8 RGB, with its encoding, best score first."""
    found = []
    for face in find_faces(image, detector):
        face = look_closer(image, face, detector)  # noqa: PLW2901
        crop = align(image, face.landmarks)
        box, quality = normalized_box(face.box, image.shape), rules.assess(crop, face)
        turned_over = quality.problem is None and not is_upright(image, face, detector)
        encoding = embedder.encode(crop)
        problem = rules.encoded(quality, encoding.clarity).problem
        found.append(FoundFace(encoding.embedding, box, face.score, problem, not turned_over))
    return found


def find_faces(image: np.ndarray, detector: Detector) -> list[Face]:
    """Every face in a picture, (H, W, 3) uint8 RGB of any size, in its pixels, best score first.

    Where none is upright the picture is turned by the quarter that shows a face in the whole view: a picture whose
    file has lost its orientation. A single face that is upside down is found too: see is_upright.
    """
    faces = find_upright_faces(image, detector)
    if any(is_upright(image, face, detector) for face in faces[:ASKED_MAX]):
        return faces
    degrees = 180 if faces else upright(image, detector.detect)
    if not degrees:
        return faces
    height, width = image.shape[:2]
    other = [turned_back(face, degrees, width, height) for face in find_upright_faces(turned(image, degrees), detector)]
    return other or faces


def find_upright_faces(image: np.ndarray, detector: Detector) -> list[Face]:
    """Every upright face in a picture; see find_faces.

    A face that is small in its tile, or weak, is looked at again in a window of its own: what is found in hundreds of
    tiles by chance is not found twice.
    """
    height, width = image.shape[:2]
    zooms = zooms_of(width, height)
    if not zooms:
        return detector.detect(image)
    candidates = detector.detect(image, CANDIDATE_SCORE)
    sure_px = SURE_PX * Window(0, 0, width, height, whole=True).zoom
    sure = [face for face in one_of_each(candidates) if face.score >= detector.score_min and face.size_px >= sure_px]
    for tile in (tile for zoom in zooms for tile in tiles(width, height, zoom, OVERLAP_PX * zoom)):
        faces = seen(image, tile, detector, CANDIDATE_SCORE)
        candidates += [face for face in faces if not tile.cuts(face, width, height)]
    known = sure
    for face in sorted(candidates, key=lambda face: -face.score)[:CANDIDATES_MAX]:
        if not any(same_face(face, other) for other in known):
            near = seen(image, window_of(face, width, height), detector, detector.score_min)
            known = one_of_each(known + [other for other in near if same_face(face, other)])
    return known


def zooms_of(width: int, height: int) -> list[int]:
    """The zooms of the tiles of a picture: those at which it shows more than the whole view does."""
    whole = Window(0, 0, width, height, whole=True).zoom
    finest = 1 if width * height <= FINE_PIXELS_MAX else 2
    return [zoom for zoom in ZOOMS if finest <= zoom < 0.8 * whole]


def least_px(width: int, height: int) -> int:
    """About how wide a face must be to be found in a picture of that size."""
    return 16 * min(zooms_of(width, height), default=1)


def seen(image: np.ndarray, window: Window, detector: Detector, score_min: float) -> list[Face]:
    """The faces in a part of a picture, in its pixels."""
    view = image[window.top : window.bottom, window.left : window.right]
    corner = np.array([window.left, window.top], dtype=np.float32)
    return [face.moved(corner) for face in detector.detect(view, score_min)]
