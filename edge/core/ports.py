"""What the door needs of the world; adapters and fakes both keep to it."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from edge.core.types import Face, Frame, Person, Removed, Stranger, Template


class StageTimer(Protocol):
    """Times the stages of a frame, "motion", "detect", "embed" and "match": `with timer("detect"): ...`."""

    def __call__(self, stage: str, /) -> AbstractContextManager[object]:
        """A context that lasts as long as the stage."""


class Detector(Protocol):
    """Finds faces."""

    def detect(self, image: np.ndarray) -> list[Face]:
        """(H, W, 3) uint8 RGB -> faces in its pixels, best score first."""


class Embedder(Protocol):
    """The encoding f(x)."""

    def embed(self, crop: np.ndarray) -> np.ndarray:
        """(112, 112, 3) uint8 RGB -> (D,) float32 of unit length."""


class FrameSource(Protocol):
    """A camera, or something like one."""

    @property
    def ended(self) -> bool:
        """No frame will come any more."""

    @property
    def dropped(self) -> int:
        """How many frames nobody read in time."""

    def read(self, timeout_seconds: float) -> Frame | None:
        """The newest frame not read yet; None where none came in time or the source has ended."""

    def close(self) -> None:
        """Let go of the camera."""


class GalleryStore(Protocol):
    """Where people and templates are kept. What returned is on disk."""

    def load(self) -> tuple[list[Person], list[Template]]:
        """Everybody, and every template of the present model."""

    def add(
        self, name: str, embeddings: list[np.ndarray], crops: list[np.ndarray], expires: float | None = None
    ) -> Person:
        """Templates, each with its crop, for the person of that name, who is made if there is none."""

    def update(self, person: Person) -> None:
        """Keep somebody's name, tau, expiry and whether they are told of, as they are now."""

    def deny(self, person: Person, embedding: np.ndarray, crop: np.ndarray) -> None:
        """Keep what is not them, although it looks like them."""

    def drop(self, template_ids: list[str]) -> None:
        """Forget these templates, negative ones too."""

    def merge(self, person: Person, into: Person) -> None:
        """Give somebody another's templates; the other is no more."""

    def remove(self, person: Person) -> Removed:
        """Forget somebody; nothing of them can be read from the disk once the transaction around it is settled."""

    def setting(self, name: str) -> str | None:
        """What was set, also before a restart; None where nothing was."""

    def set(self, name: str, value: str) -> None:
        """Keep a setting."""

    def crops(self) -> Iterable[tuple[str, np.ndarray]]:
        """The template id and the (112, 112, 3) crop of every stored crop."""

    def import_(self, data: bytes) -> tuple[int, int]:
        """Everybody of an export; returns how many people and templates are new."""

    def foreign(self) -> int:
        """How many templates are of another model: nobody is recognized by them."""

    def rebuild(self, embeddings: dict[str, np.ndarray]) -> None:
        """Put these embeddings, by template id, in the place of all others, in one transaction."""


class StrangerStore(Protocol):
    """Where strangers are kept who may come again. What returned is on disk."""

    def load(self) -> tuple[list[Stranger], list[Template]]:
        """Every stranger, and every template of theirs of the present model; a template's person is the stranger."""

    def meet(self, stranger_id: str | None, embedding: np.ndarray | None, crop: np.ndarray | None) -> str:
        """One more sighting, of somebody new where there is no id; returns the id."""

    def ignore(self, stranger_id: str, *, ignored: bool) -> None:
        """Say nothing of them from now on, or say it again."""

    def adopt(self, stranger_id: str, name: str) -> Person:
        """They have a name: their templates are that person's, who is made if there is none."""

    def purge(self, stranger_id: str | None = None, *, unseen_since: float | None = None) -> int:
        """Forget one, those not seen since that time (seconds since 1970), or all. Returns how many."""
