"""Which crops of a pack are near a person of LFW, and so never trained on.

The teacher decides, and to embed LFW takes it minutes on a processor. So what it found in the packs that are known is
kept in near_lfw.json, each crop with the crop of LFW that is nearest to it (`python -m tests.bench.near_lfw` finds
them again); for any other pack, teacher or threshold the teacher is asked.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from training.data.cache import file_digest
from training.data.packs import Pack
from training.data.splits import leaks
from training.data.teacher import Teacher

KNOWN = Path(__file__).with_name("near_lfw.json")


def near_lfw(teacher: Teacher, pack: Pack, lfw: Pack, cosine_max: float) -> np.ndarray:
    """(N,) bool: the crops of a pack whose cosine to some crop of LFW is above cosine_max."""
    known = kept()
    found = known["packs"].get(pack.name)
    if found is None or conditions(teacher, lfw, cosine_max) != known["conditions"] or found["pack"] != pack.digest():
        return leaks(teacher.embed_pack(pack), teacher.embed_pack(lfw), cosine_max)
    near = np.zeros(len(pack.members()), dtype=bool)
    near[found["rows"]] = True
    return near


def kept() -> dict[str, Any]:
    """What is kept: the conditions, and for each pack its digest, the rows, and the nearest row of LFW to each."""
    known: dict[str, Any] = json.loads(KNOWN.read_text())
    return known


def conditions(teacher: Teacher, lfw: Pack, cosine_max: float) -> dict[str, Any]:
    """What the rows of any pack depend on."""
    return {"teacher": teacher.name, "model": file_digest(teacher.path), "lfw": lfw.digest(), "cosine_max": cosine_max}
