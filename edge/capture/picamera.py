"""The Pi's own camera: two streams of one request, a small one to find faces in and a large one to cut them from."""

import time

import cv2
import numpy as np

from edge.config import CameraConfig
from edge.core.types import Frame
from edge.errors import CameraError

SMALL_PX = (320, 240)  # what the detector takes


class PicameraFrames:
    """See edge.core.ports.FrameSource. Raises CameraError where picamera2 or a camera is missing."""

    def __init__(self, camera: CameraConfig) -> None:
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise CameraError(
                "picamera2 is not here: on Raspberry Pi OS it comes with `sudo apt install python3-picamera2`, and a "
                "venv sees it when made with --system-site-packages; elsewhere set camera.kind to video or images"
            ) from error
        except ValueError as error:  # a module of it was built for another NumPy ("numpy.dtype size changed")
            raise CameraError(
                f"picamera2 does not go with the NumPy in this environment ({error}): on Raspberry Pi OS bookworm "
                "pip install 'numpy<2'"
            ) from error
        self.dropped = 0
        self.ended = False
        try:
            self._camera = Picamera2()
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={
                        "size": (camera.full_width_px, camera.full_height_px),
                        "format": "BGR888",
                    },  # R, G, B in memory
                    lores={"size": SMALL_PX, "format": "YUV420"},
                    controls={"FrameRate": camera.fps_max},
                    queue=False,  # a request is made when it is asked for: always the present
                )
            )
            self._camera.start()
        except (RuntimeError, IndexError) as error:
            raise CameraError(
                f"the camera cannot be started: {error}; is it connected, and used by nothing else?"
            ) from error

    def read(self, timeout_seconds: float) -> Frame | None:
        """The frame of now; None where the camera gave none in time."""
        try:
            request = self._camera.capture_request(wait=timeout_seconds)
        except TimeoutError:
            return None
        try:
            small = rgb_of_yuv420(request.make_array("lores"), SMALL_PX)
            full = request.make_array("main")
        finally:
            request.release()
        return Frame(small, time.monotonic(), full)

    def close(self) -> None:
        """Let go of the camera."""
        self._camera.stop()
        self._camera.close()


def rgb_of_yuv420(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H * 3 / 2, stride) uint8, as the camera lays it out, -> (H, W, 3) uint8 RGB; size: W, H.

    Rows are padded to the hardware's stride; that padding is cut off. The two colour planes have half as many pixels a
    row and half the stride, so two of their rows lie in one row of the array.
    """
    width, height = size
    stride = planes.shape[1]
    luma = planes[:height, :width]
    halves = planes[height:].reshape(2, height // 2, stride // 2)[:, :, : width // 2]  # U and V
    packed = np.concatenate([luma.ravel(), halves.ravel()]).reshape(height * 3 // 2, width)
    return cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420)
