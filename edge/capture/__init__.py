"""Sources of frames: the Pi's camera, video files, streams and devices, folders of pictures."""

from edge.capture.altered import Masked, Turned
from edge.capture.images import ImageFrames
from edge.capture.latest import LatestFrame
from edge.capture.video import VideoFrames
from edge.config import CameraConfig
from edge.core.ports import FrameSource
from edge.core.types import About
from edge.errors import CameraError, ConfigError
from edge.system.secret import masked


def open_source(camera: CameraConfig, *, fast: bool = False, loop: bool = False) -> FrameSource:
    """Open the configured source of frames, turned upright, then its privacy zones blackened; see `camera_frames`."""
    frames = camera_frames(camera, fast=fast, loop=loop)
    in_hardware = camera.kind == "picamera" and camera.rotate_deg in {0, 180}
    if (camera.rotate_deg or camera.mirror) and not in_hardware:
        frames = Turned(frames, camera.rotate_deg, mirror=camera.mirror)
    return Masked(frames, camera.privacy_zones) if camera.privacy_zones else frames


def camera_frames(camera: CameraConfig, *, fast: bool = False, loop: bool = False) -> FrameSource:
    """Open the configured source of frames.

    fast: give every frame of a file or folder when it is asked for, instead of the newest one at the file's own pace
    loop: begin a file or folder again when it ends

    Raises ConfigError where camera.location is missing, CameraError where the source cannot be opened; the text says
    the remedy.
    """
    if camera.kind == "picamera":
        from edge.capture.picamera import PicameraFrames  # its library exists on a Pi alone

        return PicameraFrames(camera)
    if not camera.location:
        raise ConfigError(f"camera.location is empty: camera.kind '{camera.kind}' needs a file, folder or address")
    kinds: dict[str, type[ImageFrames | VideoFrames]] = {"images": ImageFrames, "video": VideoFrames}
    frames = kinds[camera.kind](camera.location, camera.fps_max, loop=loop)
    return LatestFrame(frames) if frames.live or not fast else frames


def no_frame(camera: CameraConfig, about: About, seconds: float) -> CameraError:
    """The error of a source that gave no frame in that time, with the reason where the source knows it."""
    reason = about.failure or "is it switched on and connected, and does no other program use it?"
    return CameraError(f"{camera.kind} {masked(camera.location)} gave no frame in {seconds:.0f} s: {reason}")
