"""What a Pi's camera reads of its sensor: the mode that shows all that the lens sees, and how much a picture keeps."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from edge.core.types import About

Size = tuple[int, int]  # width, height

WHOLE_SHARE = 0.99  # of the widest mode's area, from which a mode shows all that the lens sees
SMALL_PX = (320, 240)  # what the detector takes: the small picture fills it, in the shape of the large one


class Mode(NamedTuple):
    """A way to read a sensor. crop: width and height of what is read, in pixels of the sensor; size: of what comes."""

    size: Size
    bit_depth: int
    crop: Size
    frames_per_second: float

    @property
    def area(self) -> int:
        """How much of the sensor is read."""
        return self.crop[0] * self.crop[1]

    def gives(self, size: Size) -> bool:
        """Whether a picture of that size and shape need not be enlarged."""
        width, height = size
        scale = min(self.size[0] / width, self.size[1] / height)
        return scale >= 1


def modes_of(listed: Sequence[Mapping[str, Any]]) -> list[Mode]:
    """The modes of Picamera2.sensor_modes, without those of a USB camera, of which it knows the format alone."""
    return [
        Mode(tuple(mode["size"]), int(mode["bit_depth"]), tuple(mode["crop_limits"][2:]), float(mode["fps"]))
        for mode in listed
        if all(mode.get(key) for key in ("size", "bit_depth", "crop_limits", "fps"))
    ]


def best_mode(modes: list[Mode], size: Size, frames_per_second: float) -> Mode | None:
    """Choose the mode for pictures of a size; None where there is none.

    Left alone, libcamera takes the one whose size is nearest, which on a Camera Module 3 is one that shows two thirds
    of the width. First counts that all is shown, then the frame rate, then pixels enough, then that there are no more.
    """
    if not modes:
        return None
    widest = max(mode.area for mode in modes)
    whole = [mode for mode in modes if mode.area >= WHOLE_SHARE * widest]
    fastest = max(mode.frames_per_second for mode in whole)
    quick = [mode for mode in whole if mode.frames_per_second >= min(frames_per_second, fastest)]
    enough = [mode for mode in quick if mode.gives(size)]
    if enough:
        return min(enough, key=lambda mode: (mode.size, -mode.bit_depth))
    return max(quick, key=lambda mode: (mode.size, mode.bit_depth))


def in_shape_of(whole: Size, width: int) -> Size:
    """A size of that width in the shape of a sensor; the height is even, as libcamera wants it."""
    return width, max(2, 2 * round(width * whole[1] / whole[0] / 2))


def small_size(full: Size) -> Size:
    """The size of the small picture: within SMALL_PX and the large one, in the shape of the large one, even."""
    scale = min(1.0, SMALL_PX[0] / full[0], SMALL_PX[1] / full[1])
    width, height = (max(2, 2 * round(side * scale / 2)) for side in full)
    return width, height


def about_sensor(
    properties: Mapping[str, Any],
    configuration: Mapping[str, Any],
    metadata: Mapping[str, Any],
    mode: Mode | None,
) -> About:
    """Say what was configured. properties, configuration, metadata: as picamera2 has them, which may know less."""
    sensor = configuration.get("sensor") or {}
    read = sensor.get("output_size") or (configuration.get("raw") or {}).get("size")
    parts = [f"sensor {properties.get('Model', 'unknown')}"]
    if read is not None:
        depth = f", {sensor['bit_depth']} bit" if sensor.get("bit_depth") else ""
        rate = f", up to {mode.frames_per_second:g} frames/s" if mode is not None and mode.size == tuple(read) else ""
        parts[0] += f" in its mode {read[0]}x{read[1]}{depth}{rate}"
    full, small = configuration["main"]["size"], configuration["lores"]["size"]
    parts.append(f"pictures of {full[0]}x{full[1]} and {small[0]}x{small[1]}")
    crop, whole = metadata.get("ScalerCrop"), properties.get("PixelArraySize")
    if not crop or not whole:
        return About("; ".join(parts))
    across, down = crop[2] / whole[0], crop[3] / whole[1]
    parts.append(f"they show {across:.0%} of the sensor's width and {down:.0%} of its height (zoom {1 / across:.2f})")
    return About("; ".join(parts), min(1.0, across))
