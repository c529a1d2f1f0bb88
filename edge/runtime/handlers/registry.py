"""Which function handles which request."""

from collections.abc import Callable
from typing import TypeVar, cast

from edge.api.verbs import Request
from edge.runtime.context import DeviceContext

R = TypeVar("R", bound=Request)
T = TypeVar("T")
Handler = Callable[[Request, DeviceContext], object]
HANDLERS: dict[type[Request], Handler] = {}


def handles(kind: type[R]) -> Callable[[Callable[[R, DeviceContext], T]], Callable[[R, DeviceContext], T]]:
    """Register a function as the handler of a request.

    It returns the reply, or raises RefusedError; then all that it wrote is rolled back.
    """

    def register(handler: Callable[[R, DeviceContext], T]) -> Callable[[R, DeviceContext], T]:
        HANDLERS[kind] = cast(Handler, handler)  # it is called with this kind alone
        return handler

    return register
