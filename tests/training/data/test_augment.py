import numpy as np
import pytest

from training.data.augment import DEGRADATIONS, covered, door_camera, infrared


@pytest.mark.parametrize(("degrade", "probability"), DEGRADATIONS)
def test_every_degradation_changes_the_picture_and_keeps_its_shape(degrade, probability, face):
    assert 0 < probability < 1
    before = face.copy()
    for seed in range(20):
        seen = degrade(face, np.random.default_rng(seed))
        assert seen.shape == face.shape
        assert seen.dtype == np.uint8
        assert not np.array_equal(seen, face)
    assert np.array_equal(face, before)  # the clean crop stays clean: it is a row of a shared memory map


def test_the_same_generator_gives_the_same_picture(face):
    seen = [door_camera(face, np.random.default_rng([1, 2])) for _ in range(2)]
    assert np.array_equal(*seen)
    assert not np.array_equal(seen[0], door_camera(face, np.random.default_rng([1, 3])))


def test_strength_0_only_moves_the_face(face):
    for seed in range(20):
        seen = door_camera(face, np.random.default_rng(seed), strength=0)
        assert abs(float(seen.mean()) - float(face.mean())) < 12  # no light was taken or given


def test_a_share_holds_whatever_the_strength(face):
    pictures = [
        door_camera(face, np.random.default_rng(seed), strength=0, shares={"infrared": 0.5}) for seed in range(200)
    ]
    grey = [np.ptp(picture, axis=2).max() == 0 for picture in pictures]
    assert 70 < sum(grey) < 130
    never = [door_camera(face, np.random.default_rng(seed), strength=1, shares={"infrared": 0}) for seed in range(100)]
    assert not any(np.ptp(picture, axis=2).max() == 0 for picture in never)
    assert not np.array_equal(never[0], door_camera(face, np.random.default_rng(0), strength=0))  # the others stay


def test_infrared_is_grey(face):
    seen = infrared(face, np.random.default_rng(0))
    assert np.array_equal(seen[..., 0], seen[..., 1])
    assert np.array_equal(seen[..., 0], seen[..., 2])


def test_a_covered_face_keeps_its_eyes(face):
    seen = covered(face, np.random.default_rng(0))
    assert np.array_equal(seen[:45], face[:45])
    assert (seen[100:] == seen[105, 56]).all()
