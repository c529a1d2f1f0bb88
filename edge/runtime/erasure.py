"""Erasure: every place that can hold something of a person, asked in turn when somebody is removed.

Within the transaction that removes a person, edge.core.people asks the stores of the gallery's file. After the commit,
and when another process or camera removed somebody, the places outside of that file are asked: by the running device,
or by the command that removed somebody while none runs.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import closing

import numpy as np

from edge.config import Config
from edge.errors import LimenError, OutboxInUseError
from edge.storage.aside import files_set_aside
from edge.storage.outbox import Outbox
from edge.system.files import is_file

log = logging.getLogger("limen")

# Every table of the device's files: how it is erased, or why it holds nothing that would identify anybody.
TABLES = {
    "person": "deleted with the person",
    "template": "deleted with the person",
    "negative": "deleted with the person; of others, where it is within tau of one of the person's templates",
    "stranger": "deleted where one of its templates is within tau of one of the person's",
    "stranger_template": "deleted with the stranger",
    "answer": "every kept answer is emptied: any may name the person, by an earlier name too",
    "removed_template": "encodings of who was removed: deleted once no visit that looks like them is left",
    "revision": "replaced by a tombstone, an id and nothing else, when the local changes are recorded",
    "audit": "holds ids and counts, never a name",
    "nonce": "holds random values that signers chose",
    "setting": "holds settings of the device",
    "event": "outbox: events about the person are deleted, and the name is taken out of the others",
    "lost": "outbox: a count",
    "visit": "history: deleted with the person, also where nobody was named and the sample is like a template",
    "visit_event": "history: deleted with the visit",
    "visit_picture": "history: deleted with the visit; a scene also where the person may be in the background",
    "visit_erasure": "history: numbers of visits that are not erased yet",
    "sqlite_sequence": "SQLite's own: counters",
}


# Erases everything of the removed people from one place; both arguments map person ids to names.
Place = Callable[[Mapping[str, str], Mapping[str, str]], None]


class Erasure:
    """The places of a device outside of the gallery's file, by name."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self.places = dict(places)

    def erase(self, removed: Mapping[str, str], enrolled: Mapping[str, str]) -> None:
        """Ask each place in turn; one that fails is logged and does not keep the others from erasing."""
        for name, erase in self.places.items():
            try:
                erase(removed, enrolled)
            except LimenError as error:
                log.warning("%s may still hold something of %s: %s", name, ", ".join(removed), error)


def erase_from_outbox(config: Config, removed: Mapping[str, str]) -> None:
    """Erase removed people, names by person id, from the outbox of a device that does not run.

    A device that runs has its outbox open, and erases by itself. A damaged outbox is overwritten whole. Raises
    OutboxError where it cannot be opened, or the disk cannot be written.
    """
    path = config.mqtt.outbox_beside(config.gallery.path)
    if not removed or not (is_file(path) or files_set_aside(path)):
        return
    try:
        with closing(Outbox(path, config.mqtt.outbox_events_max, anyway=True)) as outbox:
            for person_id, name in removed.items():
                outbox.erase_person(person_id, name, np.zeros((0, 0), np.float32))
    except OutboxInUseError:
        log.debug("the running device erases %s from its outbox", ", ".join(removed))
