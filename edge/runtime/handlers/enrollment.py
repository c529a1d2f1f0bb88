"""Enrollment from pictures and at the door."""

from collections.abc import Callable

import msgspec

from edge.api.replies import CancelledReply, EnrolledReply
from edge.api.requests import CancelEnrollment, EnrollImages, StartEnrollment
from edge.core.codes import Code
from edge.core.enrollment import EnrollmentProgress
from edge.core.selection import LeftOut
from edge.core.types import Enrolled
from edge.errors import RefusedError
from edge.runtime.context import DeviceContext
from edge.runtime.handlers.registry import handles, prepares


@prepares(EnrollImages)
def enroll_images(request: EnrollImages, device: DeviceContext) -> Callable[[], EnrolledReply]:
    """Decode and embed the pictures, then make templates of them."""
    images = device.pictures(request.images, lambda number: f"image {number}")
    chosen = device.recognizer.samples(request.name, images, largest=request.face == "largest", force=request.force)
    expires = device.expiry(request.ttl_days)
    return lambda: enrolled_reply(device.people.add(request.name, chosen.samples, expires), chosen.left_out)


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
