"""From how far a face is detected and recognized: pixels, the angle of a lens, and the width of a head."""

import math

HEAD_M = 0.14  # how wide an adult's face is, from cheek to cheek
DETECTED_PX = 24.0  # from which a face is nearly always found (tests.bench.footage)

# Degrees across the full width of the sensor, by its name, as Raspberry Pi's documentation states them.
FIELD_OF_VIEW_DEG = {
    "imx708": 66.0,  # Camera Module 3
    "imx708_wide": 102.0,
    "imx219": 62.2,  # Camera Module 2
    "ov5647": 53.5,  # Camera Module 1
}


def reach_m(width_px: int, fov_deg: float, face_px: float) -> float:
    """Compute at how many metres, in the middle of the picture, a face is that many pixels wide.

    width_px: of the picture; fov_deg: of the lens across that picture, below 180
    """
    pixels_to_one = width_px / 2 / math.tan(math.radians(fov_deg) / 2)  # of a thing as wide as it is far away
    return pixels_to_one * HEAD_M / face_px


def part_of_view_deg(fov_deg: float, share: float) -> float:
    """Compute the degrees that a picture shows of a lens. share: of the width of what the lens sees, in (0, 1]"""
    return math.degrees(2 * math.atan(share * math.tan(math.radians(fov_deg) / 2)))


def reach_text(width_px: int, fov_deg: float, recognized_px: float) -> str:
    """Say it for people."""
    detected, recognized = (reach_m(width_px, fov_deg, face_px) for face_px in (DETECTED_PX, recognized_px))
    return (
        f"at {fov_deg:.3g} degrees a face is detected up to {detected:.1f} m ({DETECTED_PX:g} px) and recognized up to "
        f"{recognized:.1f} m ({recognized_px:g} px)"
    )
