"""The quality of a sample: a score, and the first rule that it breaks."""

from dataclasses import dataclass, replace

import numpy as np

from edge.core.types import Face, Quality


@dataclass(frozen=True)
class QualityRules:
    """What a face must have to be recognized.

    face_px_min: square root of the box's area, in the picture that the face is cut from
    sharpness_min: variance of the crop's Laplacian
    brightness_min: mean grey level of the crop, of 0 to 255
    yaw_deg_max: how far the head may be turned to the side
    clarity_min: of the encoding; 1 is the least that the model's card asks for, 0 takes everything
    """

    face_px_min: float = 40.0
    sharpness_min: float = 6.0
    brightness_min: float = 30.0
    yaw_deg_max: float = 40.0
    clarity_min: float = 1.0

    def needed(self, problem: str) -> str:
        """What a sample with that problem lacks, for people."""
        return {
            "too_small": f"{self.face_px_min:g} px are needed: come nearer, or take the picture at its full size",
            "turned_away": f"at most {self.yaw_deg_max:g} degrees are allowed: look into the camera",
            "not_upright": "eyes above the mouth are needed: turn the picture, or the camera (camera.rotate_deg)",
            "dark": f"brightness {self.brightness_min:g} is needed: turn on a light",
            "blurred": f"sharpness {self.sharpness_min:g} is needed: hold still",
            "unclear": f"clarity {self.clarity_min:g} is needed: show the whole face, uncovered",
        }[problem]

    def assess(self, crop: np.ndarray, face: Face) -> Quality:
        """Measure a sample and name its first problem: too_small, turned_away, dark or blurred.

        crop: (112, 112, 3) uint8 RGB, aligned; face: in pixels of the picture that the crop was cut from
        """
        brightness, sharpness = light_and_sharpness(crop)
        yaw = yaw_deg(face.landmarks)
        checks = (
            ("too_small", ratio_of(face.size_px, self.face_px_min)),
            ("turned_away", ratio_of(self.yaw_deg_max, abs(yaw))),
            ("dark", ratio_of(brightness, self.brightness_min)),
            ("blurred", ratio_of(sharpness, self.sharpness_min)),
        )
        problem = next((name for name, ratio in checks if ratio < 1), None)
        # The geometric mean of the ratios, each counted up to twice what is required.
        score = float(np.prod([min(1.0, ratio / 2) for _, ratio in checks]) ** (1 / len(checks)))
        return Quality(score, sharpness, brightness, face.size_px, yaw, problem)

    def encoded(self, quality: Quality, clarity: float | None) -> Quality:
        """The quality of a sample that was assessed, and then encoded: unclear where the model sees no clear face.

        clarity: see Encoding. It counts in the score as much as all that was assessed.
        """
        if clarity is None or self.clarity_min <= 0:
            return replace(quality, clarity=clarity)
        ratio = clarity / self.clarity_min
        problem = quality.problem or ("unclear" if ratio < 1 else None)
        return replace(
            quality, clarity=clarity, problem=problem, score=float(np.sqrt(quality.score * min(1.0, ratio / 2)))
        )


def ratio_of(value: float, wanted: float) -> float:
    """Divide a value by what is required; infinite where nothing is."""
    return value / wanted if wanted > 0 else float("inf")


LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def light_and_sharpness(crop: np.ndarray) -> tuple[float, float]:
    """The mean grey level of a crop, (112, 112, 3) uint8 RGB, and the variance of its Laplacian."""
    inner = crop[16:-16, 16:-16].astype(np.float32) @ LUMA  # (80, 80, 3) @ (3,) -> (80, 80): hardly any background
    return float(inner.mean()), float(laplacian(inner).var())


def laplacian(grey: np.ndarray) -> np.ndarray:
    """Compute the discrete Laplacian, (H, W) -> (H - 2, W - 2): four neighbours minus four times the pixel."""
    neighbours: np.ndarray = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    neighbours -= 4 * grey[1:-1, 1:-1]
    return neighbours


def yaw_deg(landmarks: np.ndarray) -> float:
    """Estimate how far a head is turned to the side, in degrees; positive: the nose points to the picture's right.

    landmarks: (5, 2). The nose stands about as far out of the plane of the eyes as half the distance between them, so
    its shift along the line of the eyes, in halves of their distance, is near the tangent of the angle. Rough, and
    enough for turned_away.
    """
    left, right, nose = landmarks[:3].astype(float)
    axis = right - left
    span = float(np.hypot(*axis))
    if span == 0:
        return 90.0
    shift = float((nose - (left + right) / 2) @ axis) / span / (span / 2)
    return float(np.degrees(np.arctan(shift)))
