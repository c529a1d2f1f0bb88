"""Face packs: zips of 112x112 WebP crops, labelled `<person>/n.webp` or unlabelled `n.webp`."""

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from edge.core.align import CROP_PX
from edge.errors import DataError
from training.data.cache import compute_once, load_cached
from training.data.crops import UNLABELLED, Crops

# The person numbers that a labelled pack uses: two packs are cut from CelebA and share theirs.
# A pack that is not here is unlabelled, whatever its folders are (the labels of glint24 are too noisy).
PEOPLE_OF = {"celeba_wild": "celeba", "celeba_small": "celeba", "pins": "pins"}


@dataclass(frozen=True)
class Pack:
    """One zip of crops on disk, decoded once into a memory-mapped array of the cache.

    Raises DataError where the zip is missing, empty or not a zip, or an image in it does not decode to 112x112.
    """

    path: Path
    cache_dir: Path

    @property
    def name(self) -> str:
        """The name of the zip, without its suffix."""
        return self.path.stem

    def members(self) -> list[zipfile.ZipInfo]:
        """Every image of the zip, in the zip's order."""
        if not self.path.is_file():
            raise DataError(f"pack '{self.name}' is missing: no file {self.path}")
        about = self.path.stat()
        try:
            members = list(members_of(self.path, about.st_mtime_ns, about.st_size))
        except zipfile.BadZipFile as error:
            raise DataError(f"pack '{self.name}' is not a readable zip: {self.path} ({error})") from error
        if not members:
            raise DataError(f"pack '{self.name}' is empty: {self.path} has no image")
        return members

    def digest(self) -> str:
        """Twelve hex digits that change with any name or byte of the pack (from the zip's checksums)."""
        listing = "\n".join(f"{member.filename} {member.CRC}" for member in self.members())
        return hashlib.sha256(listing.encode()).hexdigest()[:12]

    def read(self) -> Crops:
        """Read all crops; the first call decodes them into the cache."""
        names = [member.filename for member in self.members()]
        cached = self.cache_dir / "crops" / f"{self.name}-{self.digest()}.npy"
        compute_once(cached, lambda target: self._decode_to(target, names))
        people = PEOPLE_OF.get(self.name)
        return Crops(
            images=load_cached(cached, mmap_mode="r"),
            people=np.array([f"{people}/{name.split('/')[0]}" if people else UNLABELLED for name in names]),
            names=np.array([f"{self.name}/{name}" for name in names]),
        )

    def _decode_to(self, target: Path, names: list[str]) -> None:
        images = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=(len(names), CROP_PX, CROP_PX, 3))
        with zipfile.ZipFile(self.path) as archive:
            for row, name in enumerate(tqdm(names, desc=f"decode {self.name}", unit="crop", disable=None)):
                images[row] = decode_crop(read_member(archive, self.name, name), f"{self.name}/{name}")
        images.flush()


@lru_cache(maxsize=32)
def members_of(path: Path, _changed_ns: int, _size: int) -> tuple[zipfile.ZipInfo, ...]:
    """The files of a zip: to list 20,000 of them takes half a second, and a pack is asked for them several times."""
    with zipfile.ZipFile(path) as archive:
        return tuple(member for member in archive.infolist() if not member.is_dir())


def read_member(archive: zipfile.ZipFile, pack: str, name: str) -> bytes:
    """Read the bytes of one member. Raises DataError that names the pack and the member."""
    try:
        return archive.read(name)
    except KeyError as error:
        raise DataError(f"pack '{pack}' has no member {name}") from error
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        raise DataError(f"pack '{pack}': {name} is corrupt ({error})") from error


def decode_image(encoded: bytes, name: str) -> np.ndarray:
    """Encoded image bytes -> (H, W, 3) uint8 RGB. Raises DataError that names the image."""
    buffer = np.frombuffer(encoded, dtype=np.uint8)
    image = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB) if buffer.size else None
    if image is None:
        raise DataError(f"{name} is not a readable image ({len(encoded)} bytes)")
    return image


def decode_crop(encoded: bytes, name: str) -> np.ndarray:
    """Encoded image bytes -> (112, 112, 3) uint8 RGB. Raises DataError that names the image and its size."""
    image = decode_image(encoded, name)
    if image.shape[:2] != (CROP_PX, CROP_PX):
        raise DataError(f"{name} is {image.shape[1]}x{image.shape[0]} px; crops are {CROP_PX}x{CROP_PX}")
    return image
