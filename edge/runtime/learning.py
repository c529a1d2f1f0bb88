"""Templates that are learned at the door, where the configuration wants it: see edge.core.learning."""

import logging
from dataclasses import replace

from edge.core.events import Event
from edge.errors import GalleryError
from edge.runtime.assembly import Device

log = logging.getLogger("limen")

LEARNED = "; one of the samples became a template"


def learn(event: Event, device: Device) -> tuple[Event, bool]:
    """Make a template of the sample that a track left for it, before its last event says so.

    Returns the event, whose `why` says what was learned, and whether something was. Nothing is learned while the time
    of day is not set, nor from a visit that was removed or corrected.
    """
    visit, sample = device.history.visit(event.track), event.candidate
    if sample is None or event.person_id is None or visit is None:
        return event, False
    try:
        now = device.store.clock.now()
        if now is None or not device.recognizer.people.upkeep.learn(event.person_id, sample, visit, now):
            return event, False
    except GalleryError as error:
        log.warning("nothing was learned: %s", error)
        return event, False
    return replace(event, why=event.why + LEARNED), True
