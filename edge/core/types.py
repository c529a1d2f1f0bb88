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

    def moved(self, corner: np.ndarray) -> "Face":
        """The same face in a picture of which its own is a part that begins at that corner; corner: (2,) x and y."""
        return Face(self.box + np.tile(corner, 2), self.score, self.landmarks + corner)


@dataclass(frozen=True, eq=False)
class Frame:
    """What the camera saw at one moment.

    image: (H, W, 3) uint8 RGB, where motion and near faces are looked for
    at:    seconds on a clock that never goes back
    full:  (H, W, 3) uint8 RGB of the same view and moment, where small faces are looked for and faces are cut from;
           the image itself if None
    damaged: whether its decoder says that a part of it was lost
    """

    image: np.ndarray
    at: float
    full: np.ndarray | None = None
    damaged: bool = False

    @property
    def best(self) -> np.ndarray:
        """The picture with the most pixels."""
        return self.image if self.full is None else self.full

    @cached_property
    def zoom(self) -> np.ndarray:
        """(2,) from pixels of the image to pixels of the best picture, x and y."""
        return np.array(self.best.shape[1::-1], dtype=np.float32) / np.array(self.image.shape[1::-1], dtype=np.float32)


@dataclass(frozen=True)
class About:
    """What a source of frames says of itself.

    text: what it chose, for people, such as a sensor's mode or a decoder; empty where there was nothing to choose
    width_share: how much of what the lens sees the frames show, from left to right of the sensor
    failure: why a live source gives no frames at present; empty while it does, and before its first attempt has ended
    """

    text: str = ""
    width_share: float = 1.0
    failure: str = ""


@dataclass(frozen=True)
class Person:
    """Somebody who is enrolled.

    tau:     a match threshold of their own, in place of the gallery's
    expires: when they are removed, in seconds since 1970; None is never
    notify:  whether events name them; otherwise their event_type is "ignored"
    """

    person_id: str
    name: str
    tau: float | None = None
    expires: float | None = None
    notify: bool = True


@dataclass(frozen=True)
class Stranger:
    """Somebody who is not enrolled and is matched with earlier visits. first_seen, last_seen: RFC 3339."""

    stranger_id: str
    ignored: bool
    sightings: int
    first_seen: str
    last_seen: str


@dataclass(frozen=True, eq=False)
class Encoding:
    """What the embedder makes of a crop.

    embedding: (D,) float32 of unit length
    clarity:   how clear a face the model sees, in units of the least that is to be recognized; None where its card does
               not tell. Covered faces, faces that are cut off or not aligned, and things have less than 1.
    """

    embedding: np.ndarray
    clarity: float | None = None


@dataclass(frozen=True, eq=False)
class Template:
    """One stored reference embedding, (D,) float32 of unit length, made by the model of that sha256.

    negative: it speaks against person_id: somebody else was mistaken for them
    """

    template_id: str
    person_id: str
    embedding: np.ndarray
    model: str
    negative: bool = False

    def is_of(self, person_id: str) -> bool:
        """Whether it speaks for that person."""
        return self.person_id == person_id and not self.negative


@dataclass(frozen=True, eq=False)
class Sample:
    """One aligned face taken from a track or a picture.

    crop: (112, 112, 3) uint8 RGB; embedding: (D,) float32 of unit length; quality: None where it was not assessed
    """

    crop: np.ndarray
    embedding: np.ndarray
    quality: "Quality | None" = None


@dataclass(frozen=True)
class Match:
    """A probe compared with the gallery: the nearest person, the runner-up, and the match threshold tau.

    Distances are d in [0, 4], infinite where there is nobody.
    """

    nearest: Person | None
    distance: float
    tau: float
    runner_up: Person | None = None
    runner_up_distance: float = float("inf")

    @property
    def person(self) -> Person | None:
        """The nearest person where the distance is within tau, otherwise None."""
        return self.nearest if self.distance <= self.tau else None

    @property
    def margin(self) -> float:
        """How much farther the next person is."""
        return self.runner_up_distance - self.distance


@dataclass(frozen=True)
class Quality:
    """How well a face can be recognized. problem: the code of the first rule it breaks, or None.

    score: in [0, 1]; sharpness: variance of the crop's Laplacian; brightness: mean grey level of the crop;
    face_px: square root of the box's area where the face was cut from; yaw_deg: to the side, 0 is towards the camera
    clarity: see Encoding; None where the crop was not encoded, or the model does not tell
    """

    score: float
    sharpness: float
    brightness: float
    face_px: float
    yaw_deg: float
    problem: str | None = None
    clarity: float | None = None

    def summary(self) -> str:
        """The measured values, for people."""
        clarity = "" if self.clarity is None else f", clarity {self.clarity:.2f}"
        return (
            f"{self.face_px:.0f} px, sharpness {self.sharpness:.0f}, brightness {self.brightness:.0f}, "
            f"turned {self.yaw_deg:.0f} degrees{clarity}"
        )


@dataclass(frozen=True)
class RelativeSummary:
    """Another person of the gallery who is near, and the d of the nearest two templates."""

    name: str
    distance: float


@dataclass(frozen=True)
class PersonSummary:
    """Somebody who is enrolled, by how many templates and within which match threshold.

    learned: how many of the templates were learned at the door
    expires: when they are removed, seconds since 1970, or null; notify: whether events name them
    relative: the nearest other person, where that makes the match threshold stricter, or null
    """

    name: str
    person_id: str
    templates: int
    tau: float
    expires: float | None
    notify: bool
    relative: RelativeSummary | None = None
    learned: int = 0


@dataclass(frozen=True)
class Enrolled:
    """Who was enrolled, and how many templates were added."""

    name: str
    person_id: str
    templates: int


@dataclass(frozen=True, eq=False)
class FoundFace:
    """One face of a still picture with its encoding, before it is matched with anybody.

    embedding: (D,) float32 of unit length; box, score, problem: as of RecognizedFace
    upright: whether its eyes are above its mouth; taken for granted of a face with a problem
    """

    embedding: np.ndarray
    box: tuple[float, ...]
    score: float
    problem: str | None
    upright: bool


@dataclass(frozen=True)
class RecognizedFace:
    """One face of a still picture.

    distance: to the nearest person, or null where nobody is enrolled; box: left, top, width, height as shares of the
    picture; score: the detector's; problem: the code of the first quality rule that the face breaks, or null
    """

    name: str | None
    distance: float | None
    tau: float
    box: tuple[float, ...]
    score: float
    problem: str | None


@dataclass(frozen=True)
class Removed:
    """What was deleted of somebody, and when: RFC 3339 in UTC."""

    templates: int
    crops: int
    at: str
