"""The crops near a person of LFW that are kept are those that the teacher finds."""

import numpy as np
import pytest

from tests.conftest import webp
from training.data.lfw import read_lfw
from training.data.near_lfw import kept, near_lfw
from training.data.places import Places
from training.data.teacher import Teacher
from training.engine.experiment_files import load_experiment

CONFIG = load_experiment("embedder").data
ASKED = 40  # crops of LFW: all 7,701 take the teacher minutes (tests/bench/near_lfw.py)


@pytest.fixture(scope="module")
def world(shared, cache_dir):
    places = Places(shared, cache_dir)
    return places, places.teacher(CONFIG.teacher), read_lfw(shared, cache_dir)


def test_what_is_kept_is_of_every_pack_that_is_trained_on():
    known = kept()
    assert sorted(known["packs"]) == sorted(CONFIG.packs)
    assert known["conditions"]["cosine_max"] == CONFIG.leak_cosine_max
    assert known["conditions"]["teacher"] == CONFIG.teacher
    for found in known["packs"].values():
        assert len(found["rows"]) == len(found["nearest"])


def test_the_kept_crops_are_given_without_asking_the_teacher(world, monkeypatch):
    places, teacher, lfw = world
    monkeypatch.setattr(Teacher, "embed", None)
    for name, found in kept()["packs"].items():
        near = near_lfw(teacher, places.pack(name), lfw.pack, CONFIG.leak_cosine_max)
        assert np.nonzero(near)[0].tolist() == found["rows"]
        assert len(near) == len(places.pack(name).members())


def test_each_kept_crop_is_near_its_crop_of_lfw_and_no_other_crop_is_near_that(world):
    places, teacher, lfw = world
    packs = kept()["packs"]
    together = [
        (name, row, other)
        for name, found in packs.items()
        for row, other in zip(found["rows"], found["nearest"], strict=True)
    ]
    rng = np.random.default_rng(0)
    drawn = [together[number] for number in rng.choice(len(together), ASKED, replace=False)]
    of_lfw = teacher.embed(lfw.images[[other for _, _, other in drawn]])
    for (name, row, _), reference in zip(drawn, of_lfw, strict=True):
        assert teacher.embed_pack(places.pack(name))[row] @ reference > CONFIG.leak_cosine_max
    for name, found in packs.items():
        cosines = (teacher.embed_pack(places.pack(name)) @ of_lfw.T).max(axis=1)
        assert set(np.nonzero(cosines > CONFIG.leak_cosine_max + 1e-3)[0]) <= set(found["rows"])


@pytest.mark.parametrize("change", ["threshold", "pack"])
def test_under_other_conditions_the_teacher_is_asked(world, monkeypatch, change, make_pack, face):
    places, teacher, lfw = world
    asked = []

    def embed_pack(_teacher, pack):
        asked.append(pack.name)
        return np.eye(3, 128, dtype=np.float32)

    monkeypatch.setattr(Teacher, "embed_pack", embed_pack)
    pack, cosine_max = places.pack("glint24"), CONFIG.leak_cosine_max
    if change == "threshold":
        cosine_max += 0.1
    else:
        pack = type(pack)(make_pack("glint24", {"1.webp": webp(face)}), places.cache_dir)
    assert near_lfw(teacher, pack, lfw.pack, cosine_max).tolist() == [True] * 3
    assert asked == ["glint24", "lfw_crops"]
