import cv2
import numpy as np
import pytest

from training.data.faces import LANDMARKS
from training.data.scenes import Scene
from training.detector.worn import HAT_SHARE, MASK_SHARE, hat, mask, with_things_worn

UPRIGHT = np.array([100, 60, 200, 190, 0.9, 130, 110, 170, 110, 150, 135, 135, 160, 165, 160], dtype=np.float32)
TILTED = np.array([100, 60, 200, 190, 0.9, 125, 125, 160, 105, 155, 138, 150, 165, 178, 150], dtype=np.float32)


def inside(outline, points):
    return [cv2.pointPolygonTest(outline.astype(np.float32), (float(x), float(y)), False) > 0 for x, y in points]


@pytest.mark.parametrize("face", [UPRIGHT, TILTED])
@pytest.mark.parametrize("seed", range(8))
def test_a_hat_hides_no_landmark_and_a_mask_the_mouth_alone(face, seed):
    points = face[LANDMARKS].reshape(5, 2)
    rng = np.random.default_rng(seed)
    assert inside(hat(face, rng), points) == [False] * 5
    assert inside(hat(face, rng), [[(face[0] + face[2]) / 2, face[1]]]) == [True]
    left, right, _, *mouth = inside(mask(face, rng), points)
    assert (left, right, *mouth) == (False, False, True, True)


def test_some_sure_faces_wear_something_and_the_scene_and_its_labels_stay():
    unsure = UPRIGHT.copy()
    unsure[4] = 0.6
    plain = Scene("a/1", np.zeros((240, 320, 3), np.uint8), UPRIGHT[None])
    changed = 0
    for seed in range(200):
        worn = with_things_worn(plain, np.random.default_rng(seed))
        assert worn.faces is plain.faces
        changed += worn.image.any()
    assert not plain.image.any()
    assert 0.5 * (HAT_SHARE + MASK_SHARE) < changed / 200 < 1.5 * (HAT_SHARE + MASK_SHARE)
    nobody = Scene("a/2", plain.image, unsure[None])
    assert all(with_things_worn(nobody, np.random.default_rng(seed)) is nobody for seed in range(20))
