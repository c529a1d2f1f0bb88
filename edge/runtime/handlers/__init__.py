"""One handler per verb: from a typed request to a typed reply, within the dispatcher's transaction."""

from edge.runtime.handlers import device, enrollment, gallery, history, people, strangers
from edge.runtime.handlers.registry import HANDLERS, PREPARERS, handles, prepare, prepares

__all__ = [
    "HANDLERS",
    "PREPARERS",
    "device",
    "enrollment",
    "gallery",
    "handles",
    "history",
    "people",
    "prepare",
    "prepares",
    "strangers",
]
