"""Where to look: the detector's window at or near native resolution, laid where somebody is or may be.

The detector takes 320x240. A frame that is much larger is looked at in windows: around each track, where a weak or cut
face was seen in the frame before, on tiles in which something moves, on the whole view for near faces, and in turn on
every tile. The same frames give the same windows.
"""

from dataclasses import dataclass, field

import numpy as np

from edge.core.geometry import box_iou
from edge.core.motion import MotionMap
from edge.core.ports import Detector
from edge.core.types import Face, Frame
from edge.core.views import every_nth

WINDOW_PX = np.array([320, 240])  # what the detector takes
TILE_ZOOM = 2  # pixels of the frame to one of the detector, in a tile
WHOLE_ZOOM = 2.0  # a frame up to this times the window needs no tiles: the whole view is one
OVERLAP_PX = 128  # of tiles: a face up to this is whole in one of them
FACE_WINDOW_PX = 32.0  # how wide a face is made in a window of its own, at least
FACE_COVERED_PX = 20.0  # how wide a face must be in another window, so that it needs none of its own
SAMPLE_EVERY_PX = 8
MOVED_MIN = 3  # samples of a tile
SAME_FACE_IOU = 0.4
SAME_FACE_SHARE = 0.7  # of the smaller box that lies in the other
CUT_PX = 3  # from the edge of a window, in pixels of the detector


@dataclass(frozen=True)
class AttentionRules:
    """How often each place is looked at, in seconds.

    windows_per_frame_max: of all windows
    moving_seconds: a tile in which something moves
    near_seconds: the whole view while something moves, for faces that no tile holds
    look_every_seconds: the whole view where nothing moves
    still_seconds: a tile in which nothing moves
    """

    windows_per_frame_max: int = 2
    moving_seconds: float = 0.7
    near_seconds: float = 1.0
    look_every_seconds: float = 5.0
    still_seconds: float = 10.0


@dataclass(frozen=True)
class Window:
    """A part of a frame, in pixels of its best picture. whole: all of it."""

    left: int
    top: int
    right: int
    bottom: int
    whole: bool = False

    @property
    def zoom(self) -> float:
        """Pixels of the frame to one of the detector."""
        return max((self.right - self.left) / WINDOW_PX[0], (self.bottom - self.top) / WINDOW_PX[1])

    def covers(self, face: Face) -> bool:
        """Whether a face lies well inside, large enough to be found."""
        margin = face.size_px * 0.3
        left, top, right, bottom = face.box
        inside = self.left <= left - margin and self.top <= top - margin
        inside = inside and right + margin <= self.right and bottom + margin <= self.bottom
        return (self.whole or inside) and face.size_px / self.zoom >= FACE_COVERED_PX

    def cuts(self, face: Face, width: int, height: int) -> bool:
        """Whether a face reaches over an edge that is not one of the picture of that width and height."""
        near = CUT_PX * self.zoom
        left, top, right, bottom = face.box
        return bool(
            (self.left > 0 and left < self.left + near)
            or (self.top > 0 and top < self.top + near)
            or (self.right < width and right > self.right - near)
            or (self.bottom < height and bottom > self.bottom - near)
        )


@dataclass
class Layout:
    """The tiles of frames of one size, the whole view first, and when each was looked at."""

    width: int
    height: int
    places: list[Window] = field(default_factory=list)
    looked_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = [Window(0, 0, self.width, self.height, whole=True)]
        if self.places[0].zoom > WHOLE_ZOOM:
            self.places += tiles(self.width, self.height, TILE_ZOOM, OVERLAP_PX)
        self.looked_at = [float("-inf")] * len(self.places)


class Attention:
    """Chooses windows frame by frame and finds the faces in them.

    gate: whether places rest in which nothing moves
    """

    def __init__(self, rules: AttentionRules, *, gate: bool = True) -> None:
        self.rules = rules
        self._motion = MotionMap() if gate else None
        self._layout = Layout(0, 0)
        self._hints: list[Face] = []
        self._followed: list[tuple[Face, float]] = []  # hints of the last second: a poster is looked at once in it
        self._turn = 0

    def windows(self, frame: Frame, faces: list[Face], *, everywhere: bool = False) -> list[Window]:
        """Where to look in this frame, at most rules.windows_per_frame_max.

        faces: of the tracks, in pixels of the best picture; the one seen longest ago first
        everywhere: the whole view is one of the windows
        """
        height, width = frame.best.shape[:2]
        if (self._layout.width, self._layout.height) != (width, height):
            self._layout = Layout(width, height)
        layout, rules, at = self._layout, self.rules, frame.at
        moved = self._moved(frame)
        hints, self._hints = self._fresh_hints(at), []
        whole_every = self._whole_every(bool(moved.any()) or bool(faces) or bool(hints), everywhere)
        pauses = [whole_every] + [rules.moving_seconds if place else rules.still_seconds for place in moved[1:]]
        ages = [
            (at - looked) / pause if pause else np.inf for looked, pause in zip(layout.looked_at, pauses, strict=True)
        ]
        due = sorted((place for place, age in enumerate(ages) if age >= 1), key=lambda place: -ages[place])
        chosen: list[Window] = []
        if whole_every == 0:
            due.remove(0)
            chosen.append(self._take(0, at))
        targets = hints + faces
        self._turn += 1
        reserved = 1 if due and self._turn % 2 and len(targets) >= rules.windows_per_frame_max > 1 else 0
        for face in targets:
            if len(chosen) >= rules.windows_per_frame_max - reserved:
                break
            if not any(window.covers(face) for window in chosen):
                chosen.append(window_of(face, width, height))
        for place in due[: max(0, rules.windows_per_frame_max - len(chosen))]:
            if layout.places[place] not in chosen:
                chosen.append(self._take(place, at))
        return chosen

    def _whole_every(self, busy: bool, everywhere: bool) -> float:
        """How often the whole view is looked at, in seconds; 0 is in this frame."""
        if everywhere or (busy and len(self._layout.places) == 1):
            return 0.0
        return self.rules.near_seconds if busy else self.rules.look_every_seconds

    def _take(self, place: int, at: float) -> Window:
        self._layout.looked_at[place] = at
        return self._layout.places[place]

    def _moved(self, frame: Frame) -> np.ndarray:
        """(P,) bool: whether something moves, in each place of the layout."""
        places = self._layout.places
        if self._motion is None:
            return np.ones(len(places), dtype=bool)
        step = max(1, round(SAMPLE_EVERY_PX / float(frame.zoom[0])))
        moved = self._motion.moved(frame.image, step)
        if int(np.count_nonzero(moved)) < MOVED_MIN:
            return np.zeros(len(places), dtype=bool)
        across, down = frame.zoom * step
        counts = [
            np.count_nonzero(
                moved[
                    int(place.top / down) : int(place.bottom / down) + 1,
                    int(place.left / across) : int(place.right / across) + 1,
                ]
            )
            for place in places
        ]
        return np.array(counts) >= MOVED_MIN

    def _fresh_hints(self, at: float) -> list[Face]:
        """The hints of the frame before that were not followed within the last second."""
        self._followed = [(face, when) for face, when in self._followed if 0 <= at - when < 1]
        fresh = [hint for hint in self._hints if not any(same_face(hint, face) for face, _ in self._followed)]
        self._followed += [(hint, at) for hint in fresh]
        return fresh

    def find(self, frame: Frame, windows: list[Window], detector: Detector, score_min: float) -> list[Face]:
        """Every face in the windows once, in pixels of the best picture, best score first.

        score_min: of the weakest. A face that no window shows whole is looked at in the next frame.
        """
        height, width = frame.best.shape[:2]
        found: list[Face] = []
        cut: list[Face] = []
        for window in windows:
            for face in seen_in(frame, window, detector, score_min):
                (cut if window.cuts(face, width, height) else found).append(face)
        faces = one_of_each(found)
        self._hints = [face for face in one_of_each(cut) if not any(same_face(face, other) for other in faces)]
        return faces

    def follow(self, faces: list[Face]) -> None:
        """Look closer at these in the next frame: their score was too low to begin a track."""
        self._hints += faces


def seen_in(frame: Frame, window: Window, detector: Detector, score_min: float) -> list[Face]:
    """The faces in one window, in pixels of the frame's best picture."""
    if not window.whole:
        corner = np.array([window.left, window.top], dtype=np.float32)
        view = frame.best[window.top : window.bottom, window.left : window.right]
        return [face.moved(corner) for face in detector.detect(view, score_min)]
    # Every k-th pixel first: the mean over all pixels of a large frame would cost more than the detector.
    skip = max(1, int(max(np.array(frame.image.shape[1::-1]) / WINDOW_PX) / 2))
    found = detector.detect(every_nth(frame.image, skip), score_min)
    return [face.scaled(frame.zoom * np.float32(skip)) for face in found]


def window_of(face: Face, width: int, height: int) -> Window:
    """The window in which a face is at least FACE_WINDOW_PX wide, where it can be, with the face in its middle."""
    zoom = max(1, int(face.size_px / FACE_WINDOW_PX))
    wide, high = (int(side) * zoom for side in WINDOW_PX)
    if wide >= width and high >= height:
        return Window(0, 0, width, height, whole=True)
    wide, high = min(wide, width), min(high, height)
    x, y = (face.box[:2] + face.box[2:]) / 2
    left = int(np.clip(x - wide / 2, 0, width - wide))
    top = int(np.clip(y - high / 2, 0, height - high))
    return Window(left, top, left + wide, top + high)


def tiles(width: int, height: int, zoom: float, overlap: int) -> list[Window]:
    """Windows at one zoom that cover a picture, each over its neighbours by at least so many pixels."""
    sides = []
    for whole, window in zip((width, height), WINDOW_PX, strict=True):
        side = min(whole, int(window * zoom))
        steps = max(0, -(-(whole - side) // max(1, side - overlap)))
        sides.append([(start, start + side) for start in np.linspace(0, whole - side, steps + 1).astype(int).tolist()])
    across, down = sides
    return [Window(left, top, right, bottom) for top, bottom in down for left, right in across]


def one_of_each(faces: list[Face]) -> list[Face]:
    """The best of those that are one face seen in several windows, best score first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(same_face(face, other) for other in kept):
            kept.append(face)
    return kept


def same_face(one: Face, other: Face) -> bool:
    """Whether two boxes are of one face: they overlap, or one lies in the other."""
    iou = float(box_iou(one.box[None], other.box[None])[0, 0])
    areas = one.size_px**2, other.size_px**2
    shared = iou / (1 + iou) * sum(areas)
    return iou >= SAME_FACE_IOU or shared >= SAME_FACE_SHARE * max(min(areas), 1e-6)
