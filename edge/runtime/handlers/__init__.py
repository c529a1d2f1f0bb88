"""One handler per verb: from a typed request to a typed reply, within the dispatcher's transaction."""

from edge.runtime.handlers import device, enrollment, gallery, history, people, strangers, templates
from edge.runtime.handlers.registry import (
    HANDLERS,
    PICTURE_READERS,
    PictureWork,
    handles,
    prepare,
    reads_pictures,
)

__all__ = [
    "HANDLERS",
    "PICTURE_READERS",
    "PictureWork",
    "device",
    "enrollment",
    "gallery",
    "handles",
    "history",
    "people",
    "prepare",
    "reads_pictures",
    "strangers",
    "templates",
]
