"""Where the data is."""

from dataclasses import dataclass
from pathlib import Path

from training.data.packs import Pack
from training.data.teacher import Teacher


@dataclass(frozen=True)
class Places:
    """The folder of the data, and the folder of what is cached of it."""

    data_dir: Path
    cache_dir: Path

    def pack(self, name: str) -> Pack:
        """The face pack of that name."""
        return Pack(self.data_dir / "data" / "faces" / f"{name}.zip", self.cache_dir)

    def scenes(self, name: str) -> Pack:
        """The pack of scenes of that name."""
        return Pack(self.data_dir / "data" / "scenes" / f"{name}.zip", self.cache_dir)

    def teacher(self, name: str) -> Teacher:
        """The teacher of that name."""
        return Teacher(name, self.data_dir / "teachers", self.cache_dir)
