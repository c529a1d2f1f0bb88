import pytest

from edge.errors import DataError
from training.data.lfw import read_lfw, read_pairs

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
