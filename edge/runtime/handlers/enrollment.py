"""Enrollment from pictures and at the door."""

import msgspec

from edge.api.replies import CancelledReply, EnrolledReply
from edge.api.requests.people import CancelEnrollment, EnrollImages, StartEnrollment
from edge.core.codes import Code
from edge.core.enrollment import EnrollmentProgress, choose
from edge.core.names import clean_name
from edge.core.selection import LeftOut
from edge.core.types import Enrolled
from edge.errors import RefusedError
from edge.runtime.context import DeviceContext
from edge.runtime.handlers.registry import PictureWork, handles, reads_pictures
from edge.runtime.pictures import Found, SamplesTask, samples_in


@reads_pictures(EnrollImages)
def enroll_images(request: EnrollImages, device: DeviceContext) -> PictureWork:
    """A sample of each picture, then templates of those that go together."""
    name, expires = clean_name(request.name), device.expiry(request.ttl_days)

    def finish(found: list[Found]) -> EnrolledReply:
        chosen = choose(name, samples_in(found), device.recognizer.gallery, force=request.force)
        return enrolled_reply(device.people.add(name, chosen.samples, expires), chosen.left_out)

    pixels, largest = device.limits.image_pixels_max, request.face == "largest"
    return PictureWork([SamplesTask(request.images, pixels, device.running, largest)], finish, name)


@handles(StartEnrollment)
def start_enrollment(request: StartEnrollment, device: DeviceContext) -> EnrollmentProgress:
    """Begin a live enrollment; the dispatcher polls it until it ends. Raises RefusedError: not_running, no_frame."""
    device.require_camera()
    return device.recognizer.start_enrollment(
        request.name, request.shots, device.expiry(request.ttl_days), force=request.force
    )


@handles(CancelEnrollment)
def cancel_enrollment(_request: CancelEnrollment, device: DeviceContext) -> CancelledReply:
    """Whose live enrollment is to be cancelled; the dispatcher cancels it after the commit."""
    if device.recognizer.live is None:
        raise RefusedError(Code.NOT_ENROLLING, "no enrollment is in progress")
    return CancelledReply(name=device.recognizer.live.name)


def enrolled_reply(enrolled: Enrolled, left_out: list[LeftOut] | None = None) -> EnrolledReply:
    """As the reply of every verb that enrolls."""
    return EnrolledReply(
        name=enrolled.name,
        person_id=enrolled.person_id,
        templates=enrolled.templates,
        left_out=left_out or msgspec.UNSET,
    )
