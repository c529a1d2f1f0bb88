"""Which function handles which request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from edge.api.verbs import Request
from edge.runtime.context import DeviceContext
from edge.runtime.pictures import Found, PictureTask, read_pictures

R = TypeVar("R", bound=Request)
T = TypeVar("T")
Preparer = Callable[[R, DeviceContext], Callable[[], T]]
Handler = Callable[[Request, DeviceContext], object]


@dataclass(frozen=True)
class PictureWork:
    """What a request with pictures needs.

    task: what is to be read, here or by another process
    finish: writes the result, by what was found in each picture, and gives the reply; may raise RefusedError
    person: whose pictures they are, where they are to be kept
    """

    task: PictureTask
    finish: Callable[[list[Found]], object]
    person: str | None = None


PictureReader = Callable[[R, DeviceContext], PictureWork]
HANDLERS: dict[type[Request], Handler] = {}
PREPARERS: dict[type[Request], Callable[[Request, DeviceContext], Callable[[], object]]] = {}
PICTURE_READERS: dict[type[Request], Callable[[Request, DeviceContext], PictureWork]] = {}


def handles(kind: type[R]) -> Callable[[Callable[[R, DeviceContext], T]], Callable[[R, DeviceContext], T]]:
    """Register a function as the handler of a request.

    It returns the reply, or raises RefusedError; then all that it wrote is rolled back.
    """

    def register(handler: Callable[[R, DeviceContext], T]) -> Callable[[R, DeviceContext], T]:
        HANDLERS[kind] = cast(Handler, handler)  # it is called with this kind alone
        return handler

    return register


def prepares(kind: type[R]) -> Callable[[Preparer[R, T]], Preparer[R, T]]:
    """Register the handler of a request whose work takes long.

    It works before the transaction is open, so that no other process waits for it, and returns what writes the result
    and gives the reply.
    """

    def register(
        preparer: Callable[[R, DeviceContext], Callable[[], T]],
    ) -> Callable[[R, DeviceContext], Callable[[], T]]:
        PREPARERS[kind] = cast(Callable[[Request, DeviceContext], Callable[[], object]], preparer)
        return preparer

    return register


def reads_pictures(kind: type[R]) -> Callable[[PictureReader[R]], PictureReader[R]]:
    """Register the handler of a request with pictures, which a running device has read apart from its frame loop."""

    def register(reader: PictureReader[R]) -> PictureReader[R]:
        PICTURE_READERS[kind] = cast(Callable[[Request, DeviceContext], PictureWork], reader)
        return reader

    return register


def prepare(request: Request, device: DeviceContext) -> Callable[[], object]:
    """What writes the result of a request and gives the reply; its long work is done. Raises RefusedError."""
    kind = type(request)
    if kind in PICTURE_READERS:
        work, rules = PICTURE_READERS[kind](request, device), device.recognizer.rules.quality
        found = list(read_pictures(work.task, device.recognizer.detector, device.recognizer.embedder, rules))
        return lambda: work.finish(found)
    if kind in PREPARERS:
        return PREPARERS[kind](request, device)
    return lambda: HANDLERS[kind](request, device)
