"""What an event says as it is stored, by ids, and as it is told again, by names; and its pictures."""

import msgspec

from edge.api.images import crop_jpeg, small_jpeg
from edge.api.messages import SampleQuality, event_message
from edge.api.replies import Visit
from edge.core.events import Event, RunnerUp
from edge.core.evidence import UNKNOWN
from edge.core.gallery import Gallery
from edge.core.types import Frame, Person, Sample
from edge.storage.visits import Pictures, StoredVisit
from edge.system.clock import rfc3339

SCENE_PX = 480


class Told(msgspec.Struct, frozen=True):
    """What an event said, as it is stored; people by their ids."""

    distance: float | None
    tau: float | None
    nearest: str | None
    runner_up: RunnerUp | None
    margin: float | None
    votes: dict[str, int]
    why: str
    quality: SampleQuality | None
    box: list[float] | None
    faces_in_frame: int
    model: str


class Words:
    """Turns names into ids, and ids into the names that people have now.

    parts: who is a part of another person, by id, and that person's id; see edge.storage.replication.parts
    """

    def __init__(self, gallery: Gallery, model: str) -> None:
        self._gallery, self._model = gallery, model
        self.parts: dict[str, str] = {}

    def enrolled(self) -> list[str]:
        """The ids of everybody who is enrolled, and of their parts."""
        people = self._gallery.people
        return [*people, *(part for part, whole in self.parts.items() if whole in people)]

    def ids_of(self, person_id: str) -> tuple[str, ...]:
        """The ids under which there may be visits of a person."""
        others = (part for part, whole in self.parts.items() if whole == person_id and part not in self._gallery.people)
        return person_id, *others

    def told(self, event: Event) -> bytes:
        """What an event says, as JSON, with ids in the place of names."""
        message = event_message(event, "", 0, "", self._model)
        runner_up = None if message.runner_up is None else self._id_of(message.runner_up.name)
        told = Told(
            distance=message.distance,
            tau=message.tau,
            nearest=event.nearest_id if event.person_id is None else None,
            runner_up=None
            if runner_up is None or message.runner_up is None
            else RunnerUp(runner_up, message.runner_up.distance),
            margin=message.margin,
            votes={self._id_of(name) or UNKNOWN: count for name, count in message.votes.items()},
            why=message.why,
            quality=message.quality,
            box=message.box,
            faces_in_frame=message.faces_in_frame,
            model=message.model,
        )
        return msgspec.json.encode(told)

    def _id_of(self, name: str) -> str | None:
        person = None if name == UNKNOWN else self._gallery.find(name)
        return None if person is None else person.person_id

    def _person(self, person_id: str | None) -> Person | None:
        people = self._gallery.people
        return None if person_id is None else people.get(person_id) or people.get(self.parts.get(person_id, ""))

    def _name_of(self, person_id: str | None) -> str | None:
        person = self._person(person_id)
        return None if person is None else person.name

    def visit(self, stored: StoredVisit) -> Visit | None:
        """A stored visit, with names; None where it is damaged, or of somebody who was removed and not erased yet."""
        person = self._person(stored.person_id)
        if stored.person_id is not None and person is None:
            return None
        try:
            told = msgspec.json.decode(stored.told, type=Told)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        runner_up = None if told.runner_up is None else self._name_of(told.runner_up.name)
        names = {one: UNKNOWN if one == UNKNOWN else self._name_of(one) for one in told.votes}
        return Visit(
            id=stored.visit_id,
            event_type=stored.kind,
            begin=rfc3339(stored.begun),
            end=None if stored.ended is None else rfc3339(stored.ended),
            clock_set=stored.clock_set,
            name=None if person is None else person.name,
            person_id=None if person is None else person.person_id,
            stranger=stored.stranger,
            corrected=stored.corrected,
            distance=told.distance,
            tau=told.tau,
            nearest=self._name_of(told.nearest),
            runner_up=None
            if runner_up is None or told.runner_up is None
            else RunnerUp(runner_up, told.runner_up.distance),
            margin=None if runner_up is None else told.margin,
            votes={name: told.votes[one] for one, name in names.items() if name is not None},
            why=told.why,
            quality=told.quality,
            box=told.box,
            faces_in_frame=told.faces_in_frame,
            model=told.model,
            crop=stored.crop,
            scene=stored.scene,
        )


def has_scene(event: Event) -> bool:
    """Whether the newest frame shows whom the event is of, who was looked at well enough."""
    return event.phase != "end" and event.in_frame and event.event_type != "low_quality"


def encoded(sample: Sample | None, frame: Frame | None) -> Pictures:
    """As JPEGs."""
    scene = None if frame is None else small_jpeg(frame.best, SCENE_PX)
    return Pictures(scene=scene) if sample is None else Pictures(sample.embedding, crop_jpeg(sample.crop), scene)
