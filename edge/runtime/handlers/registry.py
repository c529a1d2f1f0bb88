"""Which function handles which request."""

from collections.abc import Callable
from typing import TypeVar, cast

from edge.api.verbs import Request
from edge.runtime.context import DeviceContext

R = TypeVar("R", bound=Request)
T = TypeVar("T")
Preparer = Callable[[R, DeviceContext], Callable[[], T]]
Handler = Callable[[Request, DeviceContext], object]
HANDLERS: dict[type[Request], Handler] = {}
PREPARERS: dict[type[Request], Callable[[Request, DeviceContext], Callable[[], object]]] = {}


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


def prepare(request: Request, device: DeviceContext) -> Callable[[], object]:
    """What writes the result of a request and gives the reply; its long work is done. Raises RefusedError."""
    kind = type(request)
    if kind in PREPARERS:
        return PREPARERS[kind](request, device)
    return lambda: HANDLERS[kind](request, device)
