import zipfile

import cv2
import numpy as np
import pytest

from edge.errors import DataError
from tests.conftest import ROOT
from training.data.drawings import aligned, scaled
from training.data.drawn_characters import drawn_alphabets
from training.data.omniglot import omniglot_folder, read_drawings, read_runs

OMNIGLOT = ROOT.parent / "shared" / "data" / "omniglot"


def as_drawn(ink):
    return ink.astype(np.uint8)[..., None] * 255


@pytest.fixture
def characters():
    return drawn_alphabets("drawn", alphabets=2, drawers=3, prepare=as_drawn, seed=0)


def png(drawing):
    return cv2.imencode(".png", 255 - drawing)[1].tobytes()  # in Omniglot's files ink is black


@pytest.fixture
def zips(characters, tmp_path):
    """A folder as Omniglot's authors give it, of drawn characters; the runs are one and the same twenty times."""
    folder = tmp_path / "zips"
    folder.mkdir()
    for half in ("background", "evaluation"):
        with zipfile.ZipFile(folder / f"images_{half}.zip", "w") as archive:
            for image, character, drawer in zip(
                characters.images, characters.characters, characters.drawers, strict=True
            ):
                alphabet, number = character.split("/")
                name = f"images_{half}/{alphabet}/character{number}/0001_{drawer:02d}.png"
                archive.writestr(name, png(image))
    with zipfile.ZipFile(folder / "all_runs.zip", "w") as archive:
        for run in range(1, 21):
            lines = []
            for place in range(20):  # the first test drawing is of the last training drawing's character
                test, training = f"run{run:02d}/test/item{place + 1:02d}.png", f"run{run:02d}/training/class"
                lines.append(f"{test} {training}{20 - place:02d}.png")
                archive.writestr(test, png(characters.images[3 * (19 - place)]))
                archive.writestr(f"{training}{place + 1:02d}.png", png(characters.images[3 * place + 1]))
            archive.writestr(f"run{run:02d}/class_labels.txt", "\n".join(lines))
    return folder


@pytest.fixture
def pack(characters, tmp_path):
    folder = tmp_path / "pack"
    folder.mkdir()
    number = np.unique(characters.characters, return_inverse=True)[1] + 1
    bits = np.packbits(characters.images.reshape(len(characters), -1) > 0, axis=1)
    np.savez(folder / "images.npz", bits=bits, character=number.astype(np.int16), drawer=characters.drawers)
    (folder / "alphabets.csv").write_text(
        "alphabet,first_character,last_character,set\ndrawn-0,1,20,background\ndrawn-1,21,40,evaluation\n"
    )
    return folder


def test_the_authors_zips_and_the_pack_have_the_same_drawings(zips, pack, characters):
    from_zip = read_drawings(zips, "background", as_drawn)
    assert np.array_equal(from_zip.images, characters.images)
    assert from_zip.characters.tolist() == characters.characters.tolist()
    assert from_zip.drawers.tolist() == characters.drawers.tolist()
    for half, alphabet in (("background", "drawn-0"), ("evaluation", "drawn-1")):
        from_pack, of_alphabet = read_drawings(pack, half, as_drawn), characters.alphabets == alphabet
        assert np.array_equal(from_pack.images, characters.images[of_alphabet])
        assert from_pack.characters.tolist() == characters.characters[of_alphabet].tolist()


def test_a_run_has_the_answer_of_every_test_drawing(zips, characters):
    run = read_runs(zips, as_drawn)[0]
    assert run.answers.tolist() == list(range(19, -1, -1))
    assert np.array_equal(run.training[run.answers], characters.images[1:60:3][run.answers])
    assert np.array_equal(run.test, characters.images[0:60:3][run.answers])


def test_a_missing_file_is_named_with_how_to_get_it(tmp_path, zips, pack):
    with pytest.raises(DataError, match=r"Omniglot is in neither .* from https://github\.com/brendenlake/omniglot"):
        omniglot_folder(tmp_path)
    assert omniglot_folder(zips) == zips
    (zips / "images_evaluation.zip").unlink()
    with pytest.raises(DataError, match=r"images_evaluation\.zip is missing: from https"):
        read_drawings(zips, "evaluation", as_drawn)
    (pack / "alphabets.csv").unlink()
    with pytest.raises(DataError, match=r"alphabets\.csv is missing"):
        read_drawings(pack, "background", as_drawn)


def test_a_broken_file_is_named(zips, pack):
    (zips / "images_background.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"images_background\.zip is not a readable zip"):
        read_drawings(zips, "background", as_drawn)
    with zipfile.ZipFile(zips / "images_background.zip", "w") as archive:
        archive.writestr("images_background/drawn/character01/0001_01.png", b"no picture")
    with pytest.raises(DataError, match=r"0001_01\.png is not a readable picture"):
        read_drawings(zips, "background", as_drawn)
    with zipfile.ZipFile(zips / "all_runs.zip", "w") as archive:
        archive.writestr("run01/class_labels.txt", "a b c")
    with pytest.raises(DataError, match=r"run01/class_labels\.txt is not 20 lines"):
        read_runs(zips, as_drawn)
    np.savez(pack / "images.npz", bits=np.zeros((3, 7), np.uint8))
    with pytest.raises(DataError, match=r"images\.npz is not a pack of Omniglot's drawings"):
        read_drawings(pack, "background", as_drawn)
    (pack / "images.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"images\.npz is not a pack of Omniglot's drawings"):
        read_drawings(pack, "background", as_drawn)
    (pack / "alphabets.csv").write_text("alphabet,first_character,last_character,set\nGreek,one,2,background\n")
    with pytest.raises(DataError, match=r"alphabets\.csv line 2: expected"):
        read_drawings(pack, "background", as_drawn)


def test_alignment_removes_position_and_size_from_a_drawing():
    ink = np.zeros((105, 105), dtype=np.uint8)
    cv2.line(ink, (20, 20), (60, 70), 1, 3)
    cv2.circle(ink, (40, 30), 14, 1, 3)
    grown = cv2.warpAffine(ink, np.array([[1.3, 0, 10], [0, 1.3, 6]]), (105, 105))
    here, there = (aligned(drawing.astype(bool), 32).astype(float) for drawing in (ink, grown))
    assert here.shape == (32, 32, 1)
    assert np.corrcoef(here.ravel(), there.ravel())[0, 1] > 0.9  # the pen grew too
    unmoved, moved = (scaled(drawing.astype(bool), 32).astype(float) for drawing in (ink, grown))
    assert np.corrcoef(unmoved.ravel(), moved.ravel())[0, 1] < 0.5
    middle = np.average(np.indices((32, 32)), axis=(1, 2), weights=here[..., 0])
    assert middle == pytest.approx([15.5, 15.5], abs=0.5)
    assert not aligned(np.zeros((105, 105), dtype=bool), 32).any()


@pytest.mark.skipif(not OMNIGLOT.is_dir(), reason="../shared is not here: this test reads its Omniglot")
def test_lakes_runs_are_of_evaluation_alphabets_by_two_people_each():
    evaluation = read_drawings(OMNIGLOT, "evaluation", as_drawn)
    background = read_drawings(OMNIGLOT, "background", as_drawn)
    assert (len(background), len(evaluation)) == (19_280, 13_180)
    assert not set(background.alphabets) & set(evaluation.alphabets)
    row_of = {image.tobytes(): row for row, image in enumerate(evaluation.images)}
    runs = read_runs(OMNIGLOT, as_drawn)
    assert len(runs) == 20
    for run in runs:
        shown = np.array([row_of[image.tobytes()] for image in run.training])
        asked = np.array([row_of[image.tobytes()] for image in run.test])
        assert (evaluation.characters[shown[run.answers]] == evaluation.characters[asked]).all()
        assert len(set(evaluation.alphabets[shown])) == 1
        assert len({*evaluation.drawers[shown]}) == len({*evaluation.drawers[asked]}) == 1
