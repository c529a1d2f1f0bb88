"""The device itself: health, snapshot, settings, and recognition in a picture."""

import base64

from edge.api.images import small_jpeg
from edge.api.messages import Health
from edge.api.replies import ConfigReply, FacesReply, SnapshotReply
from edge.api.requests.device import CheckHealth, GetConfig, GetSnapshot, RecognizeImage, SetConfig
from edge.runtime.context import DeviceContext
from edge.runtime.handlers.registry import PictureWork, handles, reads_pictures
from edge.runtime.pictures import FacesTask, Found, faces_in

SNAPSHOT_PX_MAX = 640


@reads_pictures(RecognizeImage)
def recognize_image(request: RecognizeImage, device: DeviceContext) -> PictureWork:
    """Every face in a picture."""

    def finish(found: list[Found]) -> FacesReply:
        return FacesReply(faces=device.recognizer.recognize(faces_in(found)))

    return PictureWork([FacesTask([request.image], device.limits.image_pixels_max)], finish)


@handles(GetSnapshot)
def get_snapshot(_request: GetSnapshot, device: DeviceContext) -> SnapshotReply:
    """The newest frame, made smaller."""
    return SnapshotReply(
        image=base64.b64encode(small_jpeg(device.frame().best, SNAPSHOT_PX_MAX)).decode(),
        privacy_zones=[list(zone) for zone in device.config.camera.privacy_zones],
    )


@handles(CheckHealth)
def check_health(_request: CheckHealth, device: DeviceContext) -> Health:
    """As on the topic health."""
    return device.health()


@handles(GetConfig)
def get_config(_request: GetConfig, device: DeviceContext) -> ConfigReply:
    """Whether recognition is on."""
    return ConfigReply(recognition=device.recognizer.recognizing, fpir=device.device.fpir)


@handles(SetConfig)
def set_config(request: SetConfig, device: DeviceContext) -> ConfigReply:
    """Turn recognition on or off."""
    device.recognizer.switch(on=request.recognition)
    return ConfigReply(recognition=device.recognizer.recognizing, fpir=device.device.fpir)
