"""What can be asked of the door, and what it answers."""

from dataclasses import dataclass, field

import numpy as np

from edge.core.types import Event


@dataclass(frozen=True, eq=False)
class EnrollImages:
    """Make templates of somebody from pictures, each (H, W, 3) uint8 RGB with one face."""

    name: str
    images: list[np.ndarray] = field(default_factory=list)
    expires: float | None = None


@dataclass(frozen=True)
class StartEnrollment:
    """Make that many templates of whoever stands before the door from now on."""

    name: str
    shots: int
    expires: float | None = None


@dataclass(frozen=True)
class FinishEnrollment:
    """Keep the shots that there are of whoever stood before the door."""


@dataclass(frozen=True)
class CancelEnrollment:
    """Keep nothing of whoever stands before the door."""


@dataclass(frozen=True)
class ListPeople:
    """Who is known."""


@dataclass(frozen=True)
class RenamePerson:
    """Give somebody another name."""

    name: str
    new_name: str


@dataclass(frozen=True)
class MergePeople:
    """Two names of one person become one: into keeps its name and gets the other's templates."""

    name: str
    into: str


@dataclass(frozen=True)
class SetPerson:
    """Change what is particular to somebody: fields of Person by name, such as tau, expires or notify."""

    name: str
    changes: dict[str, object]


@dataclass(frozen=True)
class RemovePerson:
    """Forget somebody: person, templates and crops."""

    name: str


@dataclass(frozen=True)
class ForgetExpired:
    """Forget whose time is over, and strangers not seen since; times in seconds since 1970."""

    now: float
    strangers_unseen_since: float


@dataclass(frozen=True)
class ListStrangers:
    """Who came that nobody has named."""


@dataclass(frozen=True)
class LabelStranger:
    """A stranger has a name: a new one, or somebody's who is known."""

    stranger_id: str
    name: str


@dataclass(frozen=True)
class IgnoreStranger:
    """Say nothing of a stranger from now on, or say it again."""

    stranger_id: str
    ignored: bool


@dataclass(frozen=True)
class PurgeStrangers:
    """Forget a stranger; None: all of them."""

    stranger_id: str | None = None


@dataclass(frozen=True, eq=False)
class CorrectEvent:
    """It was somebody else: who it was, or None: nobody the household knows."""

    event: Event
    name: str | None


@dataclass(frozen=True, eq=False)
class RecognizeImage:
    """Who is in a picture, (H, W, 3) uint8 RGB."""

    image: np.ndarray


@dataclass(frozen=True)
class ImportGallery:
    """Know everybody of another gallery too. data: an export, as the store makes it"""

    data: bytes


@dataclass(frozen=True)
class RebuildGallery:
    """Embed every stored crop again with the present model."""


@dataclass(frozen=True)
class SwitchRecognition:
    """Look at who comes, or, switched off, at nobody. None: say which it is."""

    on: bool | None = None


Command = (
    EnrollImages
    | StartEnrollment
    | FinishEnrollment
    | CancelEnrollment
    | ListPeople
    | RenamePerson
    | MergePeople
    | SetPerson
    | RemovePerson
    | ForgetExpired
    | ListStrangers
    | LabelStranger
    | IgnoreStranger
    | PurgeStrangers
    | CorrectEvent
    | RecognizeImage
    | ImportGallery
    | RebuildGallery
    | SwitchRecognition
)


@dataclass(frozen=True)
class Removed:
    """What was deleted of somebody, and when: RFC 3339 in UTC."""

    templates: int
    crops: int
    at: str


@dataclass(frozen=True)
class Reply:
    """The answer to a command: data, or a code and a reason."""

    data: dict[str, object] = field(default_factory=dict)
    code: str | None = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Done as asked."""
        return self.code is None


@dataclass(frozen=True)
class Progress:
    """How far a live enrollment has come. reason: why the last look gave no shot; None where it gave one.

    refusal: why there will be none at all
    """

    shots: int
    of: int
    reason: str | None = None
    refusal: Reply | None = None

    @property
    def done(self) -> bool:
        """There are as many shots as were wanted."""
        return self.shots >= self.of
