"""Teachers: large face models whose embeddings the student learns. Each crop is embedded once, then cached."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edge.errors import DataError
from training.data.cache import compute_once, load_cached
from training.data.cores import cores
from training.data.packs import Pack


@dataclass(frozen=True)
class TeacherInput:
    """The input of a teacher: channel order, and (pixel - offset) / scale."""

    bgr: bool
    offset: float
    scale: float


TEACHERS = {
    "kw_mobilefacenet": TeacherInput(bgr=True, offset=127.5, scale=127.5),
    "facegate_mobilefacenet": TeacherInput(bgr=False, offset=127.5, scale=127.5),
    "liguiyuan_mobilefacenet": TeacherInput(bgr=False, offset=0.0, scale=1.0),
}


@dataclass(frozen=True)
class Teacher:
    """One ONNX face model of the teachers folder, by name.

    Raises DataError where the name is unknown or the file is missing.
    """

    name: str
    folder: Path
    cache_dir: Path

    def __post_init__(self) -> None:
        if self.name not in TEACHERS:
            raise DataError(f"teacher '{self.name}' is unknown; known teachers: {', '.join(TEACHERS)}")
        if not self.path.is_file():
            raise DataError(f"teacher '{self.name}' is missing: no file {self.path}")

    @property
    def path(self) -> Path:
        """Path of the ONNX file."""
        return self.folder / f"{self.name}.onnx"

    def embed(self, images: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """(N, 112, 112, 3) uint8 RGB -> (N, 128) float32 of unit length."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        try:
            session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen classes of its own, with no common base
            raise DataError(f"teacher '{self.name}' cannot be loaded from {self.path}: {error}") from error
        entry = session.get_inputs()[0]
        fixed_batch = entry.shape[0] if isinstance(entry.shape[0], int) else batch_size
        pixels_of = TEACHERS[self.name]
        rows = []
        for start in tqdm(
            range(0, len(images), fixed_batch), desc=f"embed with {self.name}", unit="batch", disable=None
        ):
            crops = np.asarray(images[start : start + fixed_batch], dtype=np.float32)
            if pixels_of.bgr:
                crops = crops[..., ::-1]
            pixels = (crops.transpose(0, 3, 1, 2) - pixels_of.offset) / pixels_of.scale
            rows.append(session.run(None, {entry.name: np.ascontiguousarray(pixels, dtype=np.float32)})[0])
        return unit_length(np.concatenate(rows).reshape(len(images), -1))

    def embed_pack(self, pack: Pack) -> np.ndarray:
        """(N, 128) float32 of unit length, in the order of the pack; computed once."""
        shipped = self._shipped_rows(pack)
        if shipped is not None:
            return shipped
        cached = self.cache_dir / "teachers" / f"{self.name}-{pack.name}-{pack.digest()}.npy"
        return load_cached(compute_once(cached, lambda target: np.save(target, self.embed(pack.read().images))))

    def _shipped_rows(self, pack: Pack) -> np.ndarray | None:
        """Embeddings that ship with the teacher, `<short name>_embeddings.npz`, if they cover this pack."""
        ready = self.folder / f"{self.name.split('_')[0]}_embeddings.npz"
        if not ready.is_file():
            return None
        try:
            with np.load(ready) as archive:
                rows = archive.get(pack.name)
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise DataError(f"the teacher's stored embeddings {ready} cannot be read: {error}") from error
        if rows is None:
            return None
        count = len(pack.members())
        if len(rows) != count:
            raise DataError(f"{ready.name} has {len(rows)} rows for pack '{pack.name}', which has {count} crops")
        return unit_length(rows.astype(np.float32))


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """(N, D) -> (N, D) float32, each row divided by its norm."""
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
