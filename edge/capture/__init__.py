"""Cameras, and what stands in for one."""

from edge.capture.images import ImageFrames
from edge.capture.latest import LatestFrame
from edge.capture.video import VideoFrames
from edge.capture.zones import Masked
from edge.config import CameraConfig
from edge.core.ports import FrameSource
from edge.errors import ConfigError


def open_source(camera: CameraConfig, *, fast: bool = False, loop: bool = False) -> FrameSource:
    """The source of frames that is configured, black in its privacy zones; see `camera_frames`."""
    frames = camera_frames(camera, fast=fast, loop=loop)
    return Masked(frames, camera.privacy_zones) if camera.privacy_zones else frames


def camera_frames(camera: CameraConfig, *, fast: bool = False, loop: bool = False) -> FrameSource:
    """What the camera sees.

    fast: every frame of a file or folder, as soon as the last one is done with, instead of at its own pace
    loop: a file or folder begins again when it ends
    Raises ConfigError where nothing says what to open, CameraError where it cannot be opened, with what to do about it.
    """
    if camera.kind == "picamera":
        from edge.capture.picamera import PicameraFrames  # its library is there only on a Pi

        return PicameraFrames(camera)
    if not camera.location:
        raise ConfigError(f"camera.location is empty: camera.kind '{camera.kind}' needs a file, folder or address")
    kind = ImageFrames if camera.kind == "images" else VideoFrames
    frames = kind(camera.location, camera.fps_max, loop=loop)
    return LatestFrame(frames) if frames.live or not fast else frames
