"""Carries out one request: the handler, in one transaction, on behalf of the asker."""

from collections.abc import Callable
from contextlib import suppress

from edge.api.verbs import Access, Request
from edge.core.codes import Code
from edge.errors import GalleryError, LimenError, RefusedError
from edge.runtime.context import DeviceContext
from edge.runtime.erasure import erase_from_outbox
from edge.runtime.handlers import prepare
from edge.storage.gallery import NOT_OVERWRITTEN
from edge.storage.replication import SqliteReplication


def read(request: Request, device: DeviceContext) -> object:
    """The reply to a READ request; nothing is written. Raises RefusedError."""
    return prepare(request, device)()


def write(handler: Callable[[], object], device: DeviceContext) -> object:
    """The reply to a WRITE request that is prepared, within a transaction of the caller or its own.

    What a refused request wrote is rolled back, also from memory. Raises RefusedError, and GalleryError where the
    gallery cannot be written.
    """
    try:
        with device.store.transaction():
            reply = handler()
            device.recognizer.update_tracks()
            return reply
    except (RefusedError, GalleryError):
        with suppress(GalleryError):
            device.recognizer.reload(rolled_back=True)
        raise


def checkpoint(request: Request, device: DeviceContext) -> None:
    """Cut off the log that holds what was deleted, after the commit.

    Raises RefusedError with not_overwritten where something was to be overwritten and the log is still there.
    """
    if not device.store.checkpoint() and Code.NOT_OVERWRITTEN in request.codes:
        raise RefusedError(Code.NOT_OVERWRITTEN, f"removed, but {NOT_OVERWRITTEN}")


def carry_out(request: Request, device: DeviceContext, who: str) -> object:
    """A request of a command on the device's own disk, from beginning to end.

    who: for the audit record. Raises RefusedError and GalleryError.
    """
    if request.access is Access.READ:
        return read(request, device)
    handler, before = prepare(request, device), enrolled(device)
    with device.store.transaction(), device.store.audit.on_behalf_of(who):
        reply = write(handler, device)
    after = enrolled(device)
    finish_erasure(request, device, {one: name for one, name in before.items() if one not in after})
    return reply


def finish_erasure(request: Request, device: DeviceContext, removed: dict[str, str]) -> None:
    """Erase removed people, names by id, from what a device that does not run cannot erase itself.

    Every step is tried, whatever became of the others. Raises RefusedError with not_overwritten that names those that
    failed: what was removed is removed.
    """
    problems = []

    def leave_tombstones() -> None:
        if removed:
            SqliteReplication(device.store, device.config.device).record_local_changes()

    for step in (
        leave_tombstones,
        lambda: device.history.erase(removed, {}, None) if removed else None,
        lambda: checkpoint(request, device),
        lambda: erase_from_outbox(device.config, removed),
    ):
        try:
            step()
        except LimenError as error:
            problems.append(str(error).removeprefix("removed, but "))
    if problems:
        raise RefusedError(Code.NOT_OVERWRITTEN, f"removed, but {'; '.join(problems)}")


def enrolled(device: DeviceContext) -> dict[str, str]:
    """Names by person id."""
    return {person_id: person.name for person_id, person in device.recognizer.gallery.people.items()}
