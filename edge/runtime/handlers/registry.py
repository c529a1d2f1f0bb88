"""Which function handles which request."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar, cast

from edge.api.verbs import Request
from edge.runtime.context import DeviceContext
from edge.runtime.pictures import Found, PictureTask, read_pictures

R = TypeVar("R", bound=Request)
T = TypeVar("T")
Handler = Callable[[Request, DeviceContext], object]


@dataclass(frozen=True)
class PictureWork:
    """What a request with pictures needs.

    tasks: what is to be read, one after the other, here or by another process; may raise GalleryError
    finish: writes the result, by what was found in each picture, and gives the reply; may raise RefusedError
    person: whose pictures they are, where they are to be kept
    """

    tasks: Iterable[PictureTask]
    finish: Callable[[list[Found]], object]
    person: str | None = None


PictureReader = Callable[[R, DeviceContext], PictureWork]
HANDLERS: dict[type[Request], Handler] = {}
PICTURE_READERS: dict[type[Request], Callable[[Request, DeviceContext], PictureWork]] = {}


def handles(kind: type[R]) -> Callable[[Callable[[R, DeviceContext], T]], Callable[[R, DeviceContext], T]]:
    """Register a function as the handler of a request.

    It returns the reply, or raises RefusedError; then all that it wrote is rolled back.
    """

    def register(handler: Callable[[R, DeviceContext], T]) -> Callable[[R, DeviceContext], T]:
        HANDLERS[kind] = cast(Handler, handler)  # it is called with this kind alone
        return handler

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
        models = device.recognizer.detector, device.recognizer.embedder
        found = [one for task in work.tasks for one in read_pictures(task, *models, rules)]
        return lambda: work.finish(found)
    return lambda: HANDLERS[kind](request, device)
