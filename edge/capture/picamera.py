"""The Pi's own camera: two streams of one request, a small one to find faces in and a large one to cut them from."""

import logging
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.api.images import RgbImage
from edge.capture.sensor import Mode, Size, about_sensor, best_mode, in_shape_of, modes_of, small_size
from edge.config import CameraConfig
from edge.core.types import About, Frame
from edge.errors import CameraError

log = logging.getLogger("limen")

CANCEL_SECONDS = 1.0  # for a job that is being carried out while it is cancelled


class Request(Protocol):
    """A completed request of picamera2: one of its few buffers, until it is released."""

    def make_array(self, name: str) -> NDArray[np.uint8]:
        """The picture of a stream, "main" or "lores", copied out of the buffer."""

    def get_metadata(self) -> dict[str, Any]:
        """What the camera says of the frame, such as ScalerCrop: x, y, width, height in pixels of the sensor."""

    def release(self) -> None:
        """Give the buffer back to the camera."""


class Job(Protocol):
    """Work that picamera2's thread does: here, to hand out the next completed request."""

    def get_result(self, timeout: float | None = None) -> Request:
        """Wait for the request. Raises TimeoutError, CancelledError, or what the work raised."""


class PendingFrame:
    """A frame that was requested and not fetched yet."""

    def __init__(self, camera: Any) -> None:
        self._completed_at: float | None = None
        self._job: Job = camera.capture_request(wait=False, signal_function=self._complete)

    def _complete(self, _job: Job) -> None:
        """Called by the camera's thread."""
        self._completed_at = time.monotonic()

    def fetch(self, timeout_seconds: float) -> tuple[Request, float]:
        """Wait for the request.

        Returns it, for the caller to release, and the time at which it was completed, on the monotonic clock. Raises
        TimeoutError where it was not completed in time, CancelledError where the camera dropped it.
        """
        request = self._job.get_result(timeout=timeout_seconds)
        return request, time.monotonic() if self._completed_at is None else self._completed_at


class PicameraFrames:
    """See edge.core.ports.FrameSource. Raises CameraError where picamera2 or a camera is missing, or fails."""

    def __init__(self, camera: CameraConfig) -> None:
        self.dropped = 0
        self.ended = False
        self.about = About()
        self._pending: PendingFrame | None = None
        kind = picamera2_class()
        transform = {}
        if camera.rotate_deg in {0, 180} and (camera.rotate_deg or camera.mirror):  # the sensor cannot turn by 90
            over = camera.rotate_deg == 180
            hflip, vflip = int(over != camera.mirror), int(over)
            transform["transform"] = import_module("libcamera").Transform(hflip=hflip, vflip=vflip)
        try:
            self._camera = kind()
            full = full_size(camera, tuple(self._camera.sensor_resolution))
            self._mode = sensor_mode(self._camera, full, camera.fps_max)
            sensor = {"output_size": self._mode.size, "bit_depth": self._mode.bit_depth} if self._mode else {}
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": full, "format": "BGR888"},  # R, G, B in memory
                    lores={"size": small_size(full), "format": "YUV420"},
                    sensor=sensor,
                    controls={"FrameRate": camera.fps_max},
                    **transform,
                    queue=False,  # without a queue a frame is never older than its request
                )
            )
            self._configuration = self._camera.camera_configuration()
            self._small: Size = tuple(self._configuration["lores"]["size"])
            self._camera.start()
        except (RuntimeError, IndexError) as error:
            raise CameraError(
                f"the camera cannot be started: {error}; is it connected, and used by nothing else?"
            ) from error

    def read(self, timeout_seconds: float) -> Frame | None:
        """The next frame; None where the camera gave none in time. Raises CameraError where the camera fails.

        A request that times out stays pending, and the next call waits for it again: picamera2 cannot withdraw a job,
        and an abandoned one takes a buffer that is never released. There are six.
        """
        if self._pending is None:
            self._pending = PendingFrame(self._camera)
        try:
            request, at = self._pending.fetch(timeout_seconds)
        except TimeoutError:
            return None
        except (RuntimeError, CancelledError) as error:
            self._pending = None
            raise CameraError(f"the camera gives no frame: {error or 'its request was dropped'}") from error
        self._pending = None
        try:
            small = rgb_of_yuv420(request.make_array("lores"), self._small)
            full = request.make_array("main")
            if not self.about.text:
                self._say(request.get_metadata())
        finally:
            request.release()
        return Frame(small, at, full)

    def _say(self, metadata: dict[str, Any]) -> None:
        """Log what was chosen, once: how much the pictures show is known with the first of them."""
        self.about = about_sensor(self._camera.camera_properties, self._configuration, metadata, self._mode)
        log.info("camera: %s", self.about.text)

    def close(self) -> None:
        """Release the camera, after the pending request: stopping is a job that waits behind it, perhaps for ever."""
        if self._pending is not None:
            self._camera.cancel_all_and_flush()
            with suppress(CancelledError, TimeoutError, RuntimeError):  # where it had not come
                self._pending.fetch(CANCEL_SECONDS)[0].release()
            self._pending = None
        self._camera.stop()
        self._camera.close()


def picamera2_class() -> Any:
    """Import the class Picamera2. Raises CameraError, which says what to install, where it is missing or unusable."""
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise CameraError(
            "picamera2 is not installed: on Raspberry Pi OS it comes with `sudo apt install python3-picamera2`, and a "
            "venv sees it when made with --system-site-packages; elsewhere set camera.kind to video or images"
        ) from error
    except ValueError as error:  # a module of it was built for another NumPy ("numpy.dtype size changed")
        raise CameraError(
            f"picamera2 cannot be used with the NumPy of this environment ({error}): on Raspberry Pi OS bookworm "
            "pip install 'numpy<2'"
        ) from error
    return Picamera2


def full_size(camera: CameraConfig, sensor: Size) -> Size:
    """The size of the large picture; where no height is given, in the shape of the sensor, which shows all of it."""
    if camera.full_height_px is None:
        return in_shape_of(sensor, camera.full_width_px)
    return camera.full_width_px, camera.full_height_px


def sensor_mode(camera: Any, size: Size, frames_per_second: float) -> Mode | None:
    """Choose a mode of the sensor; None where there is nothing to choose, or the modes cannot be read."""
    try:
        listed = camera.sensor_modes
    except (RuntimeError, OSError, MemoryError, KeyError) as error:
        # It configures the camera for each, which takes memory, and asks for controls that not every sensor has.
        log.warning("the modes of the camera's sensor cannot be read (%s): libcamera chooses one", error)
        return None
    return best_mode(modes_of(listed), size, frames_per_second)


def sensor_name() -> str:
    """The sensor of the first camera, such as imx708_wide; empty where it is not known. Raises CameraError."""
    cameras = picamera2_class().global_camera_info()
    return str(cameras[0].get("Model", "")) if cameras else ""


def rgb_of_yuv420(planes: NDArray[np.uint8], size: tuple[int, int]) -> RgbImage:
    """Convert a frame from YUV 4:2:0 to RGB.

    planes: (H * 3 / 2, stride) uint8, as the camera lays them out; size: W, H. Returns (H, W, 3) uint8.
    Rows are padded to the hardware's stride; the padding is cut off. The two colour planes have half as many pixels a
    row and half the stride, so two of their rows lie in one row of the array.
    """
    width, height = size
    stride = planes.shape[1]
    luma = planes[:height, :width]
    halves = planes[height:].reshape(2, height // 2, stride // 2)[:, :, : width // 2]  # U and V
    packed = np.concatenate([luma.ravel(), halves.ravel()]).reshape(height * 3 // 2, width)
    return np.asarray(cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420), dtype=np.uint8)
