"""One handler per verb: from a typed request to a typed reply, within the dispatcher's transaction."""

from edge.runtime.handlers import device, enrollment, gallery, people, strangers
from edge.runtime.handlers.registry import HANDLERS, Handler, handles

__all__ = ["HANDLERS", "Handler", "device", "enrollment", "gallery", "handles", "people", "strangers"]
