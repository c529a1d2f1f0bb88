import hashlib

import cv2
import msgspec
import numpy as np
import pytest

from edge.errors import DataError
from tests.conftest import webp
from training.data.generated import generated_people
from training.data.lfw import read_lfw_photos
from training.data.places import Places
from training.data.teacher import Teacher, unit_length
from training.embedder.training_set import every_nth, gather
from training.engine.encoder_experiment import DataConfig

TEACHER = "kw_mobilefacenet"


def axis(number):
    return np.eye(128, dtype=np.float32)[number]


@pytest.fixture
def world(make_pack, tmp_path):
    """A little ../shared: four crops of two people, three of nobody known, two of LFW; the teacher's word on each."""
    crops = [webp(image) for image in generated_people(9, 1, seed=0).images]
    folder = tmp_path / "world" / "data" / "faces"
    folder.mkdir(parents=True)
    for name, members in {
        "celeba_wild": {f"{person}/{n}.webp": crops[n] for n, person in enumerate("1122")},
        "aaf": {f"{n}.webp": crops[n] for n in (4, 5, 6)},
        "lfw_crops": {f"{name}/{name}_0001.webp": crops[n] for n, name in ((7, "Ann"), (8, "Ben"))},
    }.items():
        make_pack(name, members).rename(folder / f"{name}.zip")
    (folder / "lfw_pairs.txt").write_text("1 0\n")
    teachers = tmp_path / "world" / "teachers"
    teachers.mkdir()
    (teachers / f"{TEACHER}.onnx").write_bytes(b"never asked: its answers are given")
    near_ann = unit_length((axis(7) + axis(20))[None])[0]  # cosine 0.71
    far_from_ann = unit_length((axis(7) + 3 * axis(21))[None])[0]  # cosine 0.32
    rows = {
        "celeba_wild": [axis(0), axis(0), axis(1), near_ann],
        "aaf": [axis(5), far_from_ann, axis(0)],
        "lfw_crops": [axis(7), axis(8)],
    }
    np.savez(
        teachers / "kw_embeddings.npz", **{k: np.round(127 * np.stack(v)).astype(np.int8) for k, v in rows.items()}
    )
    return Places(tmp_path / "world", tmp_path / "cache")


@pytest.fixture
def on_packs(tiny):
    data = DataConfig(source="packs", packs=("celeba_wild", "aaf"), teacher=TEACHER, held_out_fraction=0.0)
    return msgspec.structs.replace(tiny, data=data)


def test_a_crop_near_a_person_of_lfw_is_left_out_and_counted(on_packs, world):
    found = gather(on_packs, world)
    assert len(found.train) == 6
    assert found.split_stats["left_out_near_lfw"] == 1
    assert found.split_stats["per_source"]["celeba_wild"] == {"crops": 4, "left_out_near_lfw": 1, "learned_from": 3}
    assert found.split_stats["per_source"]["aaf"] == {"crops": 3, "left_out_near_lfw": 0, "learned_from": 3}
    assert found.train.people.tolist() == ["celeba/1", "celeba/1", "celeba/2", "", "", ""]
    assert found.person_numbers.tolist() == [0, 0, 1, -1, -1, -1]
    assert (found.train.teacher @ axis(7)).max() < 0.5


def test_held_out_people_are_left_out_under_other_names_too(on_packs, world):
    everybody = msgspec.structs.replace(on_packs.data, held_out_fraction=1.0)
    found = gather(msgspec.structs.replace(on_packs, data=everybody), world)
    assert found.held_out.people.tolist() == ["celeba/1", "celeba/1", "celeba/2"]
    assert len(found.train) == 2  # the third crop of aaf is celeba/1, the teacher says
    assert found.split_stats["left_out_near_held_out"] == 1


def test_the_rows_are_the_right_crops(on_packs, world):
    found = gather(on_packs, world)
    drawn = generated_people(9, 1, seed=0).images
    assert np.array_equal(found.train.images(), drawn[[0, 1, 2, 4, 5, 6]])


def test_lfw_is_refused_as_training_data(on_packs, world):
    data = msgspec.structs.replace(on_packs.data, packs=("aaf", "lfw_crops"))
    with pytest.raises(DataError, match="lfw_crops is for evaluation, never for training"):
        gather(msgspec.structs.replace(on_packs, data=data), world)


def test_stored_embeddings_that_do_not_fit_the_pack_are_refused(world):
    path = world.data_dir / "teachers" / "kw_embeddings.npz"
    np.savez(path, aaf=np.ones((2, 128), np.int8))
    with pytest.raises(DataError, match=r"kw_embeddings\.npz has 2 rows for pack 'aaf', which has 3 crops"):
        world.teacher(TEACHER).embed_pack(world.pack("aaf"))


def test_an_unknown_teacher_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(DataError, match="teacher 'kw' is unknown; known teachers: kw_mobilefacenet"):
        Teacher("kw", tmp_path, tmp_path)


def test_the_teacher_reproduces_its_stored_embeddings(shared, cache_dir):
    places = Places(shared, cache_dir)
    teacher, pack = places.teacher(TEACHER), places.pack("glint24")
    asked = teacher.embed(pack.read().images[:8])
    assert (asked * teacher.embed_pack(pack)[:8]).sum(axis=1).min() > 0.999


@pytest.mark.slow
def test_the_photographs_of_lfw_come_with_their_pairs(shared):
    photos = read_lfw_photos(shared)
    assert len(photos.images) == len(photos.names) == 1583
    assert {photo.shape for photo in photos.images[-20:]} == {(250, 250, 3)}
    assert len(photos.pairs) == 1200


def test_every_nth_crop_of_a_pack_is_set_aside(on_packs, world):
    data = msgspec.structs.replace(on_packs.data, held_out_every={"aaf": 2})
    found = gather(msgspec.structs.replace(on_packs, data=data), world)
    drawn = generated_people(9, 1, seed=0).images
    assert found.split_stats["set_aside_crops"] == 1
    assert np.array_equal(found.set_aside["aaf"].images(), drawn[[5]])
    assert not any(np.array_equal(drawn[5], crop) for crop in found.train.images())
    assert len(found.train) == 5
    assert found.digest != gather(on_packs, world).digest


def test_every_nth_of_a_long_pack_by_a_plain_loop():
    data = DataConfig(source="packs", packs=("a", "b"), held_out_every={"b": 5})
    where = np.array([(source, row) for source, count in ((0, 12), (1, 23)) for row in range(count)])
    assert every_nth(data, where).tolist() == [source == 1 and row in {4, 9, 14, 19} for source, row in where]


def test_a_pack_to_set_aside_that_is_not_read_is_named(on_packs, world):
    data = msgspec.structs.replace(on_packs.data, held_out_every={"aff": 5})
    with pytest.raises(DataError, match=r"held_out_every names pack 'aff', which is not in data\.packs"):
        gather(msgspec.structs.replace(on_packs, data=data), world)


@pytest.fixture
def folder(tmp_path):
    """Two people with two aligned pictures each."""
    for person, image in zip("abab", generated_people(4, 1, seed=0).images, strict=True):
        path = tmp_path / "mine" / person / f"{len(list(tmp_path.rglob('*.png')))}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
    return tmp_path / "mine"


def test_the_digest_of_a_folder_changes_with_the_pixels_of_a_picture(tiny, folder, tmp_path):
    experiment = msgspec.structs.replace(tiny, data=DataConfig(source="folder"))
    before = gather(experiment, Places(folder, tmp_path)).digest
    assert gather(experiment, Places(folder, tmp_path)).digest == before
    picture = folder / "a" / "0.png"
    image = cv2.imread(str(picture))
    image[50, 50, 0] ^= 1
    cv2.imwrite(str(picture), image)
    changed = gather(experiment, Places(folder, tmp_path)).digest
    assert changed != before
    picture.rename(folder / "b" / "0.png")
    assert gather(experiment, Places(folder, tmp_path)).digest not in (before, changed)


def test_the_digest_of_packs_is_of_names_and_labels(on_packs, world):
    """A long run has it in its checkpoint: another digest would refuse to resume it."""
    names = [f"celeba_wild/{name}" for name in ("1/0.webp celeba/1", "1/1.webp celeba/1", "2/2.webp celeba/2")]
    names += [f"aaf/{number}.webp " for number in (4, 5, 6)]
    assert gather(on_packs, world).digest == hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
