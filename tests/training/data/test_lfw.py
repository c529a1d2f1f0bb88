import numpy as np
import pytest

from edge.errors import DataError
from tests.conftest import webp
from training.data.lfw import PHOTO_PX, Photos, read_lfw, read_pairs
from training.data.packs import Pack

NAMES = ["lfw/A/A_0001.webp", "lfw/A/A_0002.webp", "lfw/B/B_0001.webp"]


def write(tmp_path, text):
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    return path


def test_mated_and_non_mated_lines_become_rows_truth_and_folds(tmp_path):
    pairs = read_pairs(write(tmp_path, "2\t1\nA\t1\t2\nA\t1\tB\t1\nA\t2\t1\nB\t1\tA\t2\n"), NAMES)
    assert pairs.first.tolist() == [0, 0, 1, 2]
    assert pairs.second.tolist() == [1, 2, 0, 1]
    assert pairs.same.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]


def test_a_blank_line_moves_no_pair_into_another_fold(tmp_path):
    pairs = read_pairs(write(tmp_path, "2 1\nA 1 2\n\n\nA 1 B 1\n\nA 2 1\nB 1 A 2\n"), NAMES)
    assert pairs.fold.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: expected `folds pairs_per_fold`"),
        ("ten 300\n", "line 1: expected `folds pairs_per_fold`, got 'ten 300'"),
        ("1 1\nA 1 2\nA 1\n", "line 3: expected 3 or 4 words, got 2"),
        ("1 1\nA 1 9\nA 1 B 1\n", "line 2: there is no picture A_0009"),
        ("1 2\nA 1 2\nA 1 B 1\n", "line 1 announces 4 pairs, the file has 2"),
    ],
)
def test_a_malformed_list_is_named_with_its_line(tmp_path, text, complaint):
    with pytest.raises(DataError, match=complaint):
        read_pairs(write(tmp_path, text), NAMES)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no file .*absent\.txt"):
        read_pairs(tmp_path / "absent.txt", NAMES)


def test_the_standard_protocol_has_6000_pairs_in_ten_folds_half_of_them_mated(shared, cache_dir):
    pairs = read_lfw(shared, cache_dir).pairs
    assert len(pairs) == 6000
    assert pairs.same.sum() == 3000
    for fold in range(10):
        assert pairs.same[pairs.fold == fold].tolist() == [True] * 300 + [False] * 300


def test_photographs_are_decoded_when_they_are_asked_for(make_pack, face, tmp_path):
    grey = [np.full((PHOTO_PX, PHOTO_PX, 3), level, np.uint8) for level in (40, 200)]
    members = {"A/1.webp": webp(grey[0]), "B/1.webp": webp(grey[1]), "C/1.webp": webp(face), "D/1.webp": b"no picture"}
    photos = Photos(Pack(make_pack("photos", members), tmp_path), list(members))
    assert [round(photo.mean()) for photo in photos[:2]] == [40, 200]
    assert np.array_equal(photos[-3], photos[1])
    with pytest.raises(DataError, match=r"photos/C/1.webp is 112x112 px; LFW photographs are 250x250 px"):
        photos[2]
    with pytest.raises(DataError, match=r"photos/D/1.webp is not a readable image"):
        photos[3]
