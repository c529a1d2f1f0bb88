"""A drawn porch and the people who come to it, as a door camera sees them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from edge.core.align import CROP_PX

WIDTH, HEIGHT = 640, 480
LOOKS = 4
PEOPLE = Path(__file__).parent / "people.jpg"  # a row per person, a column per look: `limen-train imagine`
DISTANCE_BLUR = 3.0  # pixels
EDGE = 6  # pixels around a shape, of which the softness of its edge takes 4
NOISE = 2.0  # grey levels of a small sensor in the evening

SKY_TOP, SKY_LOW = (94, 116, 158), (226, 190, 160)
HEDGE, LAWN, PATH, POST, WALL = (50, 70, 52), (86, 104, 62), (150, 142, 132), (92, 78, 68), (150, 132, 118)


# Outlines around a face, in points of its crop.
CROP = np.array([(0, 0), (CROP_PX, 0), (0, CROP_PX), (CROP_PX, CROP_PX)], np.float64)
HAIR = cv2.ellipse2Poly((56, 42), (46, 54), 0, 0, 360, 6)
NECK = np.array([(35, 90), (77, 90), (79, 126), (56, 160), (33, 126)])
SIDE = [
    (80, 124),
    (104, 133),
    (128, 142),
    (142, 156),
    (150, 178),
    (166, 400),
    (132, 400),
    (126, 470),
]  # from the neck down
COAT = np.array([*SIDE, *((CROP_PX - x, y) for x, y in reversed(SIDE))])
SHIRT = np.array([(32, 126), (56, 180), (80, 126), (56, 152)])
LAPELS = [
    np.array([(34, 120), (24, 132), (56, 190), (58, 176)]),
    np.array([(78, 120), (88, 132), (56, 190), (54, 176)]),
]
LEGS = np.array([(-4, 440), (116, 440), (108, 780), (62, 780), (56, 500), (50, 780), (4, 780)])
COATS = ((62, 66, 82), (120, 60, 54), (64, 92, 88), (104, 92, 62))


@cache
def people() -> np.ndarray:
    """(people, looks, 112, 112, 3) uint8 RGB: faces of people who do not exist."""
    sheet = cv2.imread(str(PEOPLE), cv2.IMREAD_COLOR_RGB)
    rows, columns = sheet.shape[0] // CROP_PX, sheet.shape[1] // CROP_PX
    return sheet.reshape(rows, CROP_PX, columns, CROP_PX, 3).transpose(0, 2, 1, 3, 4)


@cache
def porch() -> np.ndarray:
    """(480, 640, 3) uint8 RGB: the view from the door, with nobody in it."""
    low = np.clip(np.linspace(0, 1.8, HEIGHT), 0, 1)[:, None, None]  # the horizon is half way down
    picture = (np.array(SKY_TOP) * (1 - low) + np.array(SKY_LOW) * low).repeat(WIDTH, axis=1).astype(np.uint8)
    rng = np.random.default_rng(1)
    for left in range(-40, WIDTH, 46):  # a hedge, with a house behind it
        cv2.circle(picture, (left + 30, 262), int(rng.integers(30, 44)), HEDGE, -1, cv2.LINE_AA)
    cv2.rectangle(picture, (394, 128), (560, 250), (172, 158, 146), -1)
    cv2.fillPoly(picture, [np.array([(380, 130), (477, 70), (574, 130)])], (112, 72, 62), cv2.LINE_AA)
    for left in (416, 504):
        cv2.rectangle(picture, (left, 158), (left + 34, 202), (240, 214, 150), -1)
        cv2.line(picture, (left + 17, 158), (left + 17, 202), (150, 128, 110), 2)
    cv2.rectangle(picture, (0, 262), (WIDTH, HEIGHT), LAWN, -1)
    cv2.fillPoly(picture, [np.array([(292, 262), (348, 262), (520, HEIGHT), (120, HEIGHT)])], PATH, cv2.LINE_AA)
    for row in (276, 296, 326, 370, 430):  # its slabs
        share = (row - 262) / (HEIGHT - 262)
        ends = (round(292 - 172 * share), row), (round(348 + 172 * share), row)
        cv2.line(picture, *ends, tuple(int(level * 0.88) for level in PATH), 1, cv2.LINE_AA)
    picture = textured(picture, 14, rng)
    picture = cv2.GaussianBlur(picture, (0, 0), DISTANCE_BLUR)  # the lens is set to people
    for left in (0, WIDTH - 58):  # the porch's posts, and its roof with a lamp
        cv2.rectangle(picture, (left, 0), (left + 58, HEIGHT), POST, -1)
        cv2.line(picture, (left + 44, 0), (left + 44, HEIGHT), (76, 64, 56), 3)
    cv2.rectangle(picture, (0, 0), (WIDTH, 34), WALL, -1)
    cv2.circle(picture, (WIDTH // 2, 40), 15, (255, 240, 196), -1, cv2.LINE_AA)
    picture = textured(picture, 3, rng)
    rows, columns = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    picture = (picture * (1 - 0.14 * (rows**2 + columns**2))[..., None]).astype(
        np.uint8
    )  # the lens is darker at its edge
    picture.setflags(write=False)
    return picture


def textured(picture: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """The picture with grain of two pixels, of so many grey levels."""
    grain = rng.normal(0, deviation, (HEIGHT // 2, WIDTH // 2)).astype(np.float32)
    return np.clip(picture + cv2.resize(grain, (WIDTH, HEIGHT))[..., None], 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Pose:
    """Where somebody stands and how they hold their head.

    x, y:   of the middle of the face, in shares of the picture
    face_px: the side of the square that their aligned crop fills
    turn:   degrees
    look:   which of their looks, and between them: 1.25 is a quarter of the way from the second to the third
    light:  times as bright
    """

    x: float
    y: float
    face_px: float
    turn: float = 0.0
    look: float = 0.0
    light: float = 1.0


def with_person(background: np.ndarray, person: int, pose: Pose) -> np.ndarray:
    """(H, W, 3) uint8 RGB, and somebody in front of it."""
    looks = people()[person].astype(np.float32)
    first = int(pose.look) % LOOKS
    part = pose.look - int(pose.look)
    face = ((1 - part) * looks[first] + part * looks[(first + 1) % LOOKS]) * pose.light
    head, upright = placed(background, pose, pose.turn), placed(background, pose, 0.0)
    hair = face[2:10, 36:76].mean(axis=(0, 1)) * 0.9
    skin = face[76:90, 36:76].mean(axis=(0, 1)) * 0.72  # in the shade of the head
    coat = np.array(COATS[person % len(COATS)], np.float32) * pose.light
    picture = background.astype(np.float32)
    for outline, colour, where in (
        (LEGS, coat * 0.5, upright),
        (HAIR, hair, head),
        (COAT, coat, upright),
        (NECK, skin, upright),
        (SHIRT, np.full(3, 205.0) * pose.light, upright),
        *((lapel, coat * 0.75, upright) for lapel in LAPELS),
    ):
        paint(picture, outline, colour, where)
    rows, columns = around(cv2.transform(CROP[None], head)[0], picture)
    there = head - [[0, 0, columns.start], [0, 0, rows.start]]
    size = columns.stop - columns.start, rows.stop - rows.start
    if min(size) > 0:
        oval = cv2.warpAffine(face_oval(), there, size, flags=cv2.INTER_LINEAR)[..., None]
        shown = cv2.warpAffine(face, there, size, flags=cv2.INTER_LINEAR)
        picture[rows, columns] = picture[rows, columns] * (1 - oval) + shown * oval
    return np.clip(picture, 0, 255).astype(np.uint8)


def placed(background: np.ndarray, pose: Pose, turn: float) -> np.ndarray:
    """(2, 3): from points of a crop to points of the picture."""
    height, width = background.shape[:2]
    matrix = cv2.getRotationMatrix2D((CROP_PX / 2, CROP_PX / 2), -turn, pose.face_px / CROP_PX)
    matrix[:, 2] += pose.x * width - CROP_PX / 2, pose.y * height - CROP_PX / 2
    return matrix


def paint(picture: np.ndarray, outline: np.ndarray, colour: np.ndarray, where: np.ndarray) -> None:
    """Paint a shape over a picture, its edge as soft as the lens is, and a little darker to the right and below.

    picture: (H, W, 3) float32; only the part around the shape is computed
    """
    points = np.round(outline @ where[:, :2].T + where[:, 2]).astype(np.int32)
    rows, columns = around(points, picture)
    part = picture[rows, columns]
    if not part.size:
        return
    solid = np.zeros(part.shape[:2], np.float32)
    cv2.fillPoly(solid, [points], 1.0, cv2.LINE_AA, offset=(-columns.start, -rows.start))
    solid = cv2.GaussianBlur(solid, (0, 0), 0.7)[..., None]
    left, top, width, height = cv2.boundingRect(points)
    right = (np.arange(columns.start, columns.stop) - left) / max(1, width)
    below = (np.arange(rows.start, rows.stop) - top) / max(1, height)
    shade = 1.08 - 0.2 * np.clip(right, 0, 1)[None, :, None] - 0.1 * np.clip(below, 0, 1)[:, None, None]
    part[:] = part * (1 - solid) + colour * shade.astype(np.float32) * solid


def around(points: np.ndarray, picture: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of a picture around points, (P, 2), with room for the softness of an edge."""
    height, width = picture.shape[:2]
    (left, top), (right, bottom) = np.floor(points.min(axis=0)) - EDGE, np.ceil(points.max(axis=0)) + EDGE + 1
    rows, columns = np.clip([top, bottom], 0, height), np.clip([left, right], 0, width)
    return slice(*rows.astype(int).tolist()), slice(*columns.astype(int).tolist())


@cache
def face_oval() -> np.ndarray:
    """(112, 112) float32 in [0, 1]: what of a crop is face."""
    oval = np.zeros((CROP_PX, CROP_PX), np.float32)
    cv2.ellipse(oval, (56, 60), (41, 48), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    oval = cv2.GaussianBlur(oval, (0, 0), 3)
    oval[-4:] *= np.linspace(1, 0, 4, dtype=np.float32)[:, None]
    return oval


def with_noise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As a sensor sees it: a drawing is too clean."""
    noise = rng.standard_normal((picture.shape[0] // 2, picture.shape[1] // 2), dtype=np.float32) * NOISE
    noise = cv2.resize(noise, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_NEAREST)[..., None]
    return np.clip(picture + noise, 0, 255).astype(np.uint8)
