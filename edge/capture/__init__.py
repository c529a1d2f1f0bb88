"""Cameras, and what stands in for one."""

from edge.capture.images import ImageFrames
from edge.capture.latest import LatestFrame
from edge.capture.video import VideoFrames
from edge.config import CameraConfig
from edge.core.ports import FrameSource


def open_source(camera: CameraConfig, *, fast: bool = False, loop: bool = False) -> FrameSource:
    """The source of frames that is configured.

    fast: every frame of a file or folder, as soon as the last one is done with, instead of at its own pace
    loop: a file or folder begins again when it ends
    Raises CameraError where it cannot be opened, with what to do about it.
    """
    if camera.kind == "picamera":
        from edge.capture.picamera import PicameraFrames  # its library is there only on a Pi

        return PicameraFrames(camera)
    if camera.kind == "images":
        frames = ImageFrames(camera.location, camera.fps_max, loop=loop)
    else:
        frames = VideoFrames(camera.location, camera.fps_max, loop=loop)
    if frames.live or not fast:
        return LatestFrame(frames)
    return frames
