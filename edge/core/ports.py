"""What the door needs of the world; adapters and fakes both keep to it."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from edge.core.types import Face, Frame, Person, Template


class Detector(Protocol):
    """Finds faces."""

    def detect(self, image: np.ndarray) -> list[Face]:
        """(H, W, 3) uint8 RGB -> faces in its pixels, best score first."""


class Embedder(Protocol):
    """The encoding f(x)."""

    def embed(self, crop: np.ndarray) -> np.ndarray:
        """(112, 112, 3) uint8 RGB -> (D,) float32 of unit length."""


class FrameSource(Protocol):
    """A camera, or something like one.

    ended: no frame will come any more; dropped: how many frames nobody read in time
    """

    ended: bool
    dropped: int

    def read(self, timeout_seconds: float) -> Frame | None:
        """The newest frame not read yet; None where none came in time or the source has ended."""

    def close(self) -> None:
        """Let go of the camera."""


class GalleryStore(Protocol):
    """Where people and templates are kept. What returned is on disk."""

    def load(self) -> tuple[list[Person], list[Template]]:
        """Everybody, and every template of the present model."""

    def add(self, name: str, embeddings: list[np.ndarray], crops: list[np.ndarray]) -> Person:
        """Templates, each with its crop, for the person of that name, who is made if there is none."""

    def rename(self, person: Person, name: str) -> None:
        """Give somebody another name."""

    def merge(self, person: Person, into: Person) -> None:
        """Give somebody another's templates; the other is no more."""

    def set_tau(self, person: Person, tau: float | None) -> None:
        """Give somebody a tau of their own, or none."""

    def remove(self, person: Person) -> None:
        """Forget somebody; nothing of them can be read from the disk once the transaction around it is settled."""

    def setting(self, name: str) -> str | None:
        """What was set, also before a restart; None where nothing was."""

    def set(self, name: str, value: str) -> None:
        """Keep a setting."""

    def crops(self) -> Iterable[tuple[str, np.ndarray]]:
        """The template id and the (112, 112, 3) crop of every stored crop."""

    def rebuild(self, embeddings: dict[str, np.ndarray]) -> None:
        """Put these embeddings, by template id, in the place of all others, in one transaction."""
