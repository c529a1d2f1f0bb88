import os

import cv2
import numpy as np
import pytest

from edge.core.align import ARCFACE_TEMPLATE
from edge.errors import DataError
from training.data.folder import COLUMNS, read_folder


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])


def test_aligned_crops_are_taken_as_they_are_and_photographs_by_their_landmarks(tmp_path, face):
    save(tmp_path / "ada" / "1.png", face)
    photograph = np.zeros((300, 400, 3), dtype=np.uint8)
    photograph[80 : 80 + 112, 150 : 150 + 112] = face
    save(tmp_path / "bob" / "porch.png", photograph)
    points = (ARCFACE_TEMPLATE + np.array([150, 80])).ravel()
    (tmp_path / "landmarks.csv").write_text(
        ",".join(COLUMNS) + "\nbob/porch.png," + ",".join(f"{value}" for value in points) + "\n"
    )
    crops = read_folder(tmp_path)
    assert crops.people.tolist() == ["ada", "bob"]
    assert np.array_equal(crops.images[0], face)
    assert np.abs(crops.images[1].astype(int) - face).mean() < 1  # the same face, found again by its landmarks


def test_a_photograph_without_landmarks_is_named(tmp_path):
    save(tmp_path / "bob" / "porch.png", np.zeros((300, 400, 3), dtype=np.uint8))
    with pytest.raises(DataError, match=r"porch\.png is 400x300 px.*has no line for bob/porch\.png"):
        read_folder(tmp_path)


def test_an_empty_folder_and_a_missing_one_are_named(tmp_path):
    with pytest.raises(DataError, match="is empty: expected pictures in"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match=r"there is no folder .*absent"):
        read_folder(tmp_path / "absent")


def test_a_file_that_is_not_a_picture_is_named(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "1.jpg").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"1\.jpg is not a readable image \(5 bytes\)"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,x\n", "line 1: expected the columns"),
        (",".join(COLUMNS) + "\nbob/1.png,1,2,x\n", "line 2: expected ten"),
        (",".join(COLUMNS) + "\nbob/1.png" + ",nan" * 10 + "\n", "line 2: expected ten"),
    ],
)
def test_malformed_landmarks_are_named_with_their_line(tmp_path, face, text, complaint):
    save(tmp_path / "ada" / "1.png", face)
    (tmp_path / "landmarks.csv").write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("points", "complaint"),
    [
        (np.full((5, 2), 7.0), "all source points are one point"),
        (ARCFACE_TEMPLATE / [400, 300], r"the crop has 0\.\d px, expected 25 or more"),  # shares of the picture
        (ARCFACE_TEMPLATE + 6000, r"expected pixels of a picture of 400x300 px, got \(60"),
        (ARCFACE_TEMPLATE - [300, 0], "expected pixels of a picture of 400x300 px"),
        (ARCFACE_TEMPLATE * 1e300, "expected pixels of a picture of 400x300 px"),
        (ARCFACE_TEMPLATE[[1, 0, 2, 4, 3]], "left and right are swapped"),
    ],
)
def test_landmarks_of_no_face_are_named(tmp_path, points, complaint):
    save(tmp_path / "bob" / "porch.png", np.zeros((300, 400, 3), dtype=np.uint8))
    row = ",".join(f"{value}" for value in points.ravel())
    (tmp_path / "landmarks.csv").write_text(",".join(COLUMNS) + f"\nbob/porch.png,{row}\n")
    with pytest.raises(DataError, match=f"landmarks of bob/porch\\.png are invalid: {complaint}"):
        read_folder(tmp_path)


def test_landmarks_may_be_a_little_outside_and_begin_with_a_byte_order_mark(tmp_path):
    save(tmp_path / "bob" / "porch.png", np.full((300, 400, 3), 90, dtype=np.uint8))
    row = ",".join(f"{value}" for value in (ARCFACE_TEMPLATE - [60, 60]).ravel())
    (tmp_path / "landmarks.csv").write_text(",".join(COLUMNS) + f"\nbob/porch.png,{row}\n", encoding="utf-8-sig")
    assert read_folder(tmp_path).people.tolist() == ["bob"]


def test_a_face_from_the_side_is_taken(tmp_path):
    """Its eyes are near one another, and it is no small face."""
    save(tmp_path / "bob" / "porch.png", np.full((300, 400, 3), 90, dtype=np.uint8))
    row = "100,100,106,101,78,130,98,165,103,165"
    (tmp_path / "landmarks.csv").write_text(",".join(COLUMNS) + f"\nbob/porch.png,{row}\n")
    assert read_folder(tmp_path).people.tolist() == ["bob"]


def test_a_name_that_is_not_utf_8_is_named(tmp_path, face):
    save(tmp_path / "bob" / "1.png", face)
    (tmp_path / "bob").rename(tmp_path / os.fsdecode(b"J\xfcrgen"))
    with pytest.raises(DataError, match=r"the name of '.*J\\udcfcrgen/1\.png' is not UTF-8"):
        read_folder(tmp_path)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere.png")])
def test_a_picture_that_cannot_be_read_is_named(tmp_path, make):
    (tmp_path / "ada").mkdir()
    make(tmp_path / "ada" / "1.png")
    with pytest.raises(DataError, match=r"1\.png cannot be read: (Is a directory|No such file)"):
        read_folder(tmp_path)
