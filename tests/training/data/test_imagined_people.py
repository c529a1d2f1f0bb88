"""People who do not exist, sampled from the distribution of drawn faces."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.errors import DataError
from edge.inference.embedder import Embedder
from training.cli import main
from training.data import imagined_people
from training.data.facial_detail import FACE, FacialDetail, blurred
from training.data.generated import generated_people
from training.data.imagined_people import FaceSpace, Likeness, choose, detailed, write_people


@pytest.fixture(scope="module")
def space():
    crops = generated_people(24, 6, seed=1)
    return FaceSpace.of(crops.images, crops.people, components=30)


def test_people_differ_more_than_pictures_of_one_person(space):
    rng = np.random.default_rng(0)
    people = np.stack([space.person(rng, pictures=6) for _ in range(12)])
    assert people.shape == (12, 6, 112, 112, 3)
    within = people.std(axis=1).mean()
    between = people.mean(axis=1).std(axis=0).mean()
    assert 0 < 2 * within < between


def test_a_person_is_symmetric(space):
    person = space.person(np.random.default_rng(0), pictures=400).mean(axis=0)  # what varies averages out
    assert np.abs(person - person[:, ::-1]).mean() < 2.0


def test_the_components_explain_most_of_the_variance(space):
    crops = generated_people(24, 6, seed=1)
    rows = crops.images.reshape(len(crops), -1).astype(np.float32) - space.mean
    assert np.allclose(space.basis.T @ space.basis, np.eye(30), atol=1e-3)
    left = rows - rows @ space.basis @ space.basis.T
    assert (left**2).sum() < 0.5 * (rows**2).sum()


def test_detail_resembles_what_a_blurred_face_lacks_and_is_nobodys_own():
    crops = generated_people(24, 6, seed=1)
    detail = FacialDetail.of(crops.images, crops.people)
    assert len(detail.people) == len(detail.coarse) < 2 * len(crops)
    assert np.allclose(detail.coarse + detail.fine, np.rint(detail.coarse + detail.fine), atol=1e-3)
    found, chance, fine = [], [], detail.fine[(slice(None), *FACE)]
    for number, image in enumerate(generated_people(8, 1, seed=7).images.astype(np.float32)):
        made, lost = detail.for_face(blurred(image))[FACE], (image - blurred(image))[FACE]
        found.append(np.corrcoef(made.ravel(), lost.ravel())[0, 1])
        chance.append(np.corrcoef(fine[number].ravel(), lost.ravel())[0, 1])
        assert np.abs(fine - made).mean(axis=(1, 2, 3)).min() > 1
    assert np.mean(found) > np.mean(chance) + 0.1


def test_pictures_of_a_person_share_their_detail(space):
    crops = generated_people(24, 6, seed=1)
    person = space.person(np.random.default_rng(0), pictures=2)
    pictures = detailed(person, FacialDetail.of(crops.images, crops.people)).astype(np.float32)
    fine = pictures - np.stack([blurred(picture) for picture in person])
    inside = (pictures > 0).all(axis=0) & (pictures < 255).all(axis=0)
    assert np.abs(fine[0] - fine[1])[inside].max() < 1.01
    assert np.abs(pictures[0] - pictures[1]).mean() > 0.5


def test_detail_needs_crops_of_several_people():
    with pytest.raises(DataError, match="no crops to take the detail of faces from"):
        FacialDetail.of(np.zeros((0, 112, 112, 3), np.uint8), np.array([]))
    crops = generated_people(3, 20, seed=1)
    with pytest.raises(DataError, match=r"ones of 60 crops show [123] people: give more"):
        FacialDetail.of(crops.images, crops.people)


def test_too_few_crops_are_named():
    crops = generated_people(3, 2, seed=1)
    with pytest.raises(DataError, match="6 crops of 3 people are too few for 30 components"):
        FaceSpace.of(crops.images, crops.people, components=30)


def test_a_candidate_near_a_real_person_or_another_candidate_is_not_chosen(monkeypatch, tmp_path):
    monkeypatch.setattr(imagined_people, "PEOPLE", 2)
    monkeypatch.setattr(imagined_people, "BETWEEN_DISTANCE_MIN", 0.05)  # drawings are near to one another
    pictures = np.stack([[image] * 2 for image in generated_people(6, 1, seed=3).images])
    candidates = np.concatenate([pictures, pictures[:1]])  # the last one is the first again
    real = np.array([0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9])
    people, likeness = choose(candidates, Embedder(), real)
    assert not any(np.array_equal(person, pictures[0]) for person in people)
    assert likeness.nearest_real_cosine == pytest.approx(0.1)
    assert likeness.within_max == pytest.approx(0, abs=1e-5)
    assert likeness.between_min >= 0.05
    with pytest.raises(DataError, match="0 of 7 imagined people pass; 2 are needed"):
        choose(candidates, Embedder(), np.ones(7))
    sheet = write_people(people, likeness, tmp_path / "demo")
    assert cv2.imread(str(sheet)).shape == (224, 224, 3)
    assert json.loads(sheet.with_suffix(".json").read_text())["people"] == 2
    assert isinstance(likeness, Likeness)


def test_a_missing_pack_is_one_line(tmp_path):
    result = CliRunner().invoke(main, ["imagine", "--data", str(tmp_path), "--to", str(tmp_path)])
    assert result.exit_code == 1
    assert "Error: pack 'celeba_wild' is missing" in result.output
    assert list(tmp_path.iterdir()) == []
