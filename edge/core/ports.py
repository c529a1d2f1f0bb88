"""What the core needs from adapters; adapters and fakes pass the same contract tests."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from edge.core.templates import StoredTemplate
from edge.core.types import About, Encoding, Face, Frame, Person, Removed, Stranger, Template


class StageTimer(Protocol):
    """Times the stages of a frame, "motion", "detect", "embed" and "match": `with timer("detect"): ...`.

    "embed" is all of a sample: the closer look, alignment, quality and encoding.
    """

    def __call__(self, stage: str, /) -> AbstractContextManager[object]:
        """A context that lasts as long as the stage."""


class Detector(Protocol):
    """Finds faces. score_min: a face with a lower score may be something else."""

    score_min: float

    def detect(self, image: np.ndarray, score_min: float | None = None) -> list[Face]:
        """(H, W, 3) uint8 RGB -> faces in its pixels, best score first; score_min: in place of its own."""


class Embedder(Protocol):
    """The encoding f(x)."""

    def encode(self, crop: np.ndarray) -> Encoding:
        """(112, 112, 3) uint8 RGB -> its encoding, and how clear the face is."""

    def embed(self, crop: np.ndarray) -> np.ndarray:
        """(112, 112, 3) uint8 RGB -> (D,) float32 of unit length."""


class FrameSource(Protocol):
    """A camera, or something like one."""

    @property
    def ended(self) -> bool:
        """Whether no more frames will come."""

    @property
    def dropped(self) -> int:
        """How many frames were not read in time."""

    @property
    def about(self) -> About:
        """What it chose, as far as it is known when frames were read."""

    def read(self, timeout_seconds: float) -> Frame | None:
        """The newest frame not read yet; None where none came in time or the source has ended."""

    def close(self) -> None:
        """Release the camera."""


class PersonStore(Protocol):
    """Keeps something of people; asked in turn when somebody is removed, within the transaction that removes them."""

    def erase_person(self, person_id: str, name: str, embeddings: np.ndarray) -> int:
        """Erase everything kept of a person, also what is near to one of the embeddings, (L, D) float32.

        Returns how many rows were deleted or changed.
        """


class TemplateStore(Protocol):
    """The templates of one person, one by one, of every model, without the negative ones."""

    def page(self, person_id: str, after: str | None, count: int) -> list[tuple[StoredTemplate, str]]:
        """So many in the order in which they were added, each with the mark after which the next page begins."""

    def ids(self, person_id: str) -> list[str]:
        """The ids of all of a person's."""

    def crops(self, template_ids: Iterable[str]) -> dict[str, np.ndarray]:
        """The (112, 112, 3) crop of each, where one is stored and can be read."""

    def learn(
        self, person_id: str, embedding: np.ndarray, crop: np.ndarray, event_id: str, replaced: list[str]
    ) -> None:
        """Add a template that was learned from that event, in the place of others, by their ids."""

    def learned(self, person_id: str) -> list[tuple[str, float]]:
        """Those of a person that were learned, the oldest first, each with when, in seconds since 1970."""

    def learned_from(self, event_id: str) -> list[tuple[str, str]]:
        """Ids of people, and of their templates that were learned from the visit that began with that event."""


class GalleryStore(PersonStore, Protocol):
    """Keeps people and templates. What a method returned from is on disk.

    alike: (N, D), (L, D) float32 -> (N,) bool; another person's negative template, or a stranger, that is alike is
        erased with a person
    each: the templates of one person, one by one
    """

    alike: Callable[[np.ndarray, np.ndarray], np.ndarray]

    @property
    def each(self) -> TemplateStore:
        """See above."""

    def load(self) -> tuple[list[Person], list[Template]]:
        """Everybody, and every template of the present model."""

    def load_of(self, person_ids: Iterable[str]) -> tuple[list[Person], list[Template]]:
        """As load, of some people; who is not there is left out."""

    def page(self, after: str | None, count: int) -> list[tuple[str, str]]:
        """So many people in the order of enrollment: person id, and a mark after which the next page begins."""

    def add(
        self, name: str, embeddings: list[np.ndarray], crops: list[np.ndarray], expires: float | None = None
    ) -> Person:
        """Add templates, each with its crop, to the person of that name, who is added where there is none."""

    def update(self, person: Person) -> None:
        """Write a person's name, tau, expiry and notify."""

    def deny(self, person: Person, embedding: np.ndarray, crop: np.ndarray) -> None:
        """Add a negative template: a sample that is near to the person and is of somebody else."""

    def drop(self, template_ids: list[str]) -> None:
        """Delete these templates, negative ones too."""

    def merge(self, person: Person, into: Person) -> None:
        """Give a person's templates to another, and delete the person."""

    def remove(self, person: Person) -> Removed:
        """Delete a person; nothing of them can be read from the disk once the transaction is checkpointed."""

    def setting(self, name: str) -> str | None:
        """A setting, also from before a restart; None where there is none."""

    def set(self, name: str, value: str) -> None:
        """Write a setting."""

    def import_(self, data: bytes) -> tuple[int, int]:
        """Add everybody of an export; returns how many people and templates are new."""

    def foreign(self) -> int:
        """How many templates are of another model: nobody is matched with them."""

    def rebuild(self, embeddings: dict[str, np.ndarray]) -> int:
        """Replace the embeddings, by template id, in one transaction. Returns how many of them were there."""


class StrangerStore(PersonStore, Protocol):
    """Keeps strangers. What a method returned from is on disk."""

    def load(self) -> tuple[list[Stranger], list[Template]]:
        """Every stranger, and every template of theirs of the present model; a template's person is the stranger."""

    def meet(self, stranger_id: str | None, embedding: np.ndarray | None, crop: np.ndarray | None) -> str:
        """Count a sighting, of a new stranger where there is no id; returns the id."""

    def ignore(self, stranger_id: str, *, ignored: bool) -> None:
        """Set whether events of a stranger are ignored."""

    def adopt(self, stranger_id: str, name: str) -> Person:
        """Give a stranger's templates to the person of that name, who is added where there is none."""

    def purge(self, stranger_id: str | None = None, *, unseen_since: float | None = None) -> int:
        """Delete one stranger, those not seen since that time (seconds since 1970), or all. Returns how many."""
