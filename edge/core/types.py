"""The values that pass between the parts of limen."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a picture, as the detector saw it.

    box:       (4,) float32, left, top, right, bottom in pixels of the picture; may reach over its border
    score:     the detector's, in [0, 1]
    landmarks: (5, 2) float32, x and y: left eye, right eye, nose, left and right mouth corner, left as in the picture
    """

    box: np.ndarray
    score: float
    landmarks: np.ndarray

    def __post_init__(self) -> None:
        if self.box.shape != (4,) or self.landmarks.shape != (5, 2):
            raise ValueError(f"expected a box (4,) and landmarks (5, 2), got {self.box.shape}, {self.landmarks.shape}")

    @property
    def width_px(self) -> float:
        """Right minus left."""
        return float(self.box[2] - self.box[0])

    @property
    def height_px(self) -> float:
        """Bottom minus top."""
        return float(self.box[3] - self.box[1])

    @property
    def size_px(self) -> float:
        """Square root of the box's area."""
        return float(np.sqrt(max(0.0, self.width_px) * max(0.0, self.height_px)))

    def scaled(self, zoom: np.ndarray) -> "Face":
        """The same face in a picture of the same view whose x and y are that many times larger; zoom: (2,)."""
        return Face(self.box * np.tile(zoom, 2), self.score, self.landmarks * zoom)


@dataclass(frozen=True, eq=False)
class Frame:
    """What the camera saw at one moment.

    image: (H, W, 3) uint8 RGB, where faces are looked for
    at:    seconds on a clock that never goes back
    full:  (H, W, 3) uint8 RGB of the same view and moment, where faces are cut from; the image itself if None
    """

    image: np.ndarray
    at: float
    full: np.ndarray | None = None

    @property
    def best(self) -> np.ndarray:
        """The picture with the most pixels."""
        return self.image if self.full is None else self.full

    @cached_property
    def zoom(self) -> np.ndarray:
        """(2,) from pixels of the image to pixels of the best picture, x and y."""
        return np.array(self.best.shape[1::-1], dtype=np.float32) / np.array(self.image.shape[1::-1], dtype=np.float32)


@dataclass(frozen=True)
class Person:
    """Somebody the household knows.

    tau:     their own, in place of the gallery's
    expires: when they are forgotten, in seconds since 1970; None is never
    notify:  whether their coming is told as such; else it is "ignored"
    """

    person_id: str
    name: str
    tau: float | None = None
    expires: float | None = None
    notify: bool = True


@dataclass(frozen=True)
class Stranger:
    """Somebody whom nobody has named, and who is recognized all the same. first_seen, last_seen: RFC 3339."""

    stranger_id: str
    ignored: bool
    sightings: int
    first_seen: str
    last_seen: str


@dataclass(frozen=True, eq=False)
class Template:
    """One stored reference embedding, (D,) float32 of unit length, made by the model of that sha256.

    negative: of somebody else, who was taken for them
    """

    template_id: str
    person_id: str
    embedding: np.ndarray
    model: str
    negative: bool = False

    def is_of(self, person_id: str) -> bool:
        """It speaks for them."""
        return self.person_id == person_id and not self.negative


@dataclass(frozen=True, eq=False)
class Sample:
    """What becomes a template: (112, 112, 3) uint8 RGB and (D,) float32 of unit length."""

    crop: np.ndarray
    embedding: np.ndarray


@dataclass(frozen=True)
class Match:
    """A probe against the gallery: the nearest person and the next one, and whether the nearest is near enough.

    distances are d in [0, 4], infinite where there is nobody
    """

    nearest: Person | None
    distance: float
    tau: float
    runner_up: Person | None = None
    runner_up_distance: float = float("inf")

    @property
    def person(self) -> Person | None:
        """Who it is, or nobody we know."""
        return self.nearest if self.distance <= self.tau else None

    @property
    def margin(self) -> float:
        """How much farther the next person is."""
        return self.runner_up_distance - self.distance


@dataclass(frozen=True)
class Quality:
    """How well a face can be told. problem: why it should not be, or None.

    score: in [0, 1]; sharpness: variance of the crop's Laplacian; brightness: mean grey level of the crop;
    face_px: square root of the box's area where the face was cut from; yaw_deg: turned to the side, 0 is towards us
    """

    score: float
    sharpness: float
    brightness: float
    face_px: float
    yaw_deg: float
    problem: str | None = None

    def summary(self) -> str:
        """The measured values, for people."""
        return (
            f"{self.face_px:.0f} px, sharpness {self.sharpness:.0f}, brightness {self.brightness:.0f}, "
            f"turned {self.yaw_deg:.0f} degrees"
        )


@dataclass(frozen=True)
class Event:
    """What the door has to say. Whatever sends it out gives it a number and a time of day.

    kind:     "recognized", "unknown", "ignored" (somebody of whom nothing is to be told) or "low_quality"; and, of
              people and no track, "enrolled" or "forgotten"
    person:   who was recognized
    match:    the best look that spoke for it
    phase:    "new" once per track, "update" when the identity changes, "end" when the track is gone
    votes:    how many looks spoke for whom, "unknown" for nobody
    box:      left, top, width, height as shares of the picture
    stranger: the id of somebody unknown who is recognized all the same
    shot:     the clearest look that spoke for it
    """

    kind: str
    phase: str
    track: str | None
    at: float
    person: Person | None
    match: Match | None
    votes: dict[str, int]
    quality: Quality | None
    box: tuple[float, float, float, float] | None
    faces_in_frame: int
    why: str
    stranger: str | None = None
    shot: Sample | None = None
