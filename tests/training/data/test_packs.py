import numpy as np
import pytest

from edge.errors import DataError
from tests.conftest import webp
from training.data.packs import Pack


def test_a_pack_gives_its_crops_in_the_zips_order_and_the_second_time_from_the_cache(make_pack, face, tmp_path):
    images = {"000000.webp": face, "000001.webp": face[:, ::-1]}
    path = make_pack("mixed", {name: webp(np.ascontiguousarray(image)) for name, image in images.items()})
    for _ in range(2):
        crops = Pack(path, tmp_path / "cache").read()
        assert [str(name) for name in crops.names] == ["mixed/000000.webp", "mixed/000001.webp"]
        assert np.array_equal(crops.images[0], face)  # RGB stays RGB: the encoding is lossless
        assert np.array_equal(crops.images[1], face[:, ::-1])
        assert not crops.labelled.any()
    assert len(list((tmp_path / "cache" / "crops").glob("*.npy"))) == 1


def test_both_cuts_of_celeba_share_their_people_and_noisy_labels_are_not_labels(make_pack, face, tmp_path):
    members = {"12/00000.webp": webp(face)}
    people = {
        name: str(Pack(make_pack(name, members), tmp_path / "cache").read().people[0])
        for name in ("celeba_wild", "celeba_small", "pins", "glint24")
    }
    assert people == {"celeba_wild": "celeba/12", "celeba_small": "celeba/12", "pins": "pins/12", "glint24": ""}


def test_a_corrupt_image_is_named_with_its_pack(make_pack, face, tmp_path):
    pack = Pack(make_pack("pins", {"a/1.webp": webp(face), "a/2.webp": webp(face)[:40]}), tmp_path / "cache")
    with pytest.raises(DataError, match=r"pins/a/2\.webp is not a readable image \(40 bytes\)"):
        pack.read()
    assert not list((tmp_path / "cache" / "crops").glob("*.npy"))  # half a decode is no cache


def test_a_member_whose_bytes_were_damaged_is_named(make_pack, face, tmp_path):
    path = make_pack("pins", {"a/1.webp": webp(face)})
    damaged = bytearray(path.read_bytes())
    damaged[200] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"pack 'pins': a/1\.webp is corrupt"):
        Pack(path, tmp_path / "cache").read()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "pack 'aaf' is missing"),
        (b"not a zip at all", "pack 'aaf' is not a readable zip"),
        (b"PK\x05\x06" + bytes(18), "pack 'aaf' is empty"),
    ],
)
def test_a_file_that_is_not_a_pack_is_named(content, complaint, tmp_path):
    path = tmp_path / "aaf.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        Pack(path, tmp_path / "cache").read()


def test_a_crop_of_another_size_is_named_with_its_size(make_pack, face, tmp_path):
    pack = Pack(make_pack("pins", {"a/1.webp": webp(face[:100, :90])}), tmp_path / "cache")
    with pytest.raises(DataError, match=r"pins/a/1\.webp is 90x100 px; crops are 112x112"):
        pack.read()
