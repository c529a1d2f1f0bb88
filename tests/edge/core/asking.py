"""The calls of a recognizer as values, with their outcome as data or a code: stories read better so."""

from dataclasses import asdict, dataclass, field

from edge.core.stills import encoded_faces
from edge.errors import RefusedError


@dataclass
class Outcome:
    """What a call came to."""

    data: dict = field(default_factory=dict)
    code: str | None = None
    error: str | None = None

    @property
    def ok(self):
        return self.code is None


def handle(door, call):
    """The outcome of a call; any error but a refusal fails the test."""
    try:
        outcome = Outcome(call(door))
    except RefusedError as refusal:
        return Outcome(code=str(refusal.code), error=str(refusal))
    door.update_tracks()
    return outcome


def EnrollImages(name, images=(), expires=None):  # noqa: N802 -- as the request
    return lambda door: asdict(door.enroll(name, list(images), expires))


def StartEnrollment(name, shots, expires=None):  # noqa: N802
    def call(door):
        progress = door.start_enrollment(name, shots, expires)
        return {"shots": progress.samples, "of": progress.of}

    return call


def FinishEnrollment():  # noqa: N802
    return lambda door: asdict(door.finish_enrollment())


def CancelEnrollment():  # noqa: N802
    return lambda door: {"name": door.cancel_enrollment()}


def ListPeople():  # noqa: N802
    return lambda door: {"people": [asdict(one) for one in door.people.summaries()], "tau": door.gallery.tau}


def RenamePerson(name, new_name):  # noqa: N802
    def call(door):
        person = door.people.rename(name, new_name)
        return {"name": person.name, "person_id": person.person_id}

    return call


def MergePeople(name, into):  # noqa: N802
    return lambda door: asdict(door.people.merge(name, into))


def SetPerson(name, changes):  # noqa: N802
    return lambda door: asdict(door.people.set(name, **changes))


def RemovePerson(name):  # noqa: N802
    def call(door):
        person, removed = door.people.remove(name)
        return {"person_id": person.person_id, **asdict(removed), "overwritten": True}

    return call


def ForgetExpired(now, strangers_unseen_since):  # noqa: N802
    def call(door):
        people, strangers = door.people.expire(now, strangers_unseen_since)
        return {"people": [person.name for person in people], "strangers": strangers}

    return call


def ListStrangers():  # noqa: N802
    return lambda door: {"strangers": [asdict(one) for one in door.people.kept_strangers().list()]}


def LabelStranger(stranger_id, name):  # noqa: N802
    return lambda door: asdict(door.people.label_stranger(stranger_id, name))


def IgnoreStranger(stranger_id, ignored):  # noqa: N802
    return lambda door: asdict(door.people.ignore_stranger(stranger_id, ignored=ignored))


def PurgeStrangers(stranger_id=None):  # noqa: N802
    return lambda door: {"strangers": door.people.purge_strangers(stranger_id)}


def CorrectEvent(event, name):  # noqa: N802
    def call(door):
        enrolled, wrong = door.people.correct(event, name)
        if enrolled is None:
            return {"name": None, "not": None if wrong is None else wrong.name}
        return asdict(enrolled)

    return call


def RecognizeImage(image):  # noqa: N802
    return lambda door: {"faces": [asdict(face) for face in door.recognize(found_in(door, image))]}


def found_in(door, image):
    return encoded_faces(image, door.detector, door.embedder, door.rules.quality)


def ImportGallery(data):  # noqa: N802
    def call(door):
        people, templates, waiting = door.people.import_(data)
        return {"people": people, "templates": templates, "waiting": waiting}

    return call


def RebuildGallery():  # noqa: N802
    def call(door):
        embeddings = {template_id: door.embedder.embed(crop) for template_id, crop in door.store.crops()}
        templates, without = door.rebuild(embeddings)
        return {"templates": templates, "without_picture": without}

    return call


def SwitchRecognition(on=None):  # noqa: N802
    def call(door):
        if on is not None:
            door.switch(on=on)
        return {"recognition": door.recognizing}

    return call
