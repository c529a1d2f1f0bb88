import numpy as np
import pytest

from training.data.ages import RANKS, females_and_males
from training.data.conditions import CONDITIONS, FACE_PX, turned_by, under
from training.data.generated import generated_people
from training.data.listed_twice import one_name

CROPS = generated_people(people=3, pictures=1, seed=5).images


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_is_the_same_every_time_and_leaves_the_crop_as_it_was(name):
    before = CROPS.copy()
    once, twice = under(CONDITIONS[name], CROPS), under(CONDITIONS[name], CROPS)
    assert np.array_equal(once, twice)
    assert np.array_equal(CROPS, before)
    assert (once.shape, once.dtype) == (CROPS.shape, np.uint8)
    assert np.array_equal(once, CROPS) == (name == "as it is")


def test_a_far_face_has_no_more_detail_than_its_pixels():
    rng = np.random.default_rng(1)
    stripes = np.zeros((1, 112, 112, 3), np.uint8)
    stripes[:, :, ::4] = 255  # 28 lines over the crop
    flat = {px: np.ptp(under(CONDITIONS[f"{px} px wide"], stripes)[0, 40, 20:90].astype(int)) for px in (24, 80)}
    assert flat[24] < 0.3 * flat[80]
    assert CONDITIONS["80 px wide"](stripes[0], rng).shape == (112, 112, 3)
    assert round(112 * 80 / FACE_PX) == 111


def test_an_infrared_picture_is_grey_with_its_noise():
    picture = under(CONDITIONS["infrared"], CROPS)
    assert np.ptp(picture, axis=3).max() == 0


def test_a_scarf_covers_the_mouth_and_a_brim_the_forehead():
    scarf, brim = under(CONDITIONS["lower half covered"], CROPS)[0], under(CONDITIONS["hat's brim"], CROPS)[0]
    assert np.array_equal(scarf[:68], CROPS[0, :68])
    assert len(np.unique(scarf[68:].reshape(-1, 3), axis=0)) == 1
    assert np.array_equal(brim[62:], CROPS[0, 62:])
    assert len(np.unique(brim[:34].reshape(-1, 3), axis=0)) == 1


def test_two_quarters_turn_a_picture_upside_down():
    assert np.array_equal(turned_by(CROPS[0], np.random.default_rng(0), 2), CROPS[0, ::-1, ::-1])


def test_no_crop_is_in_two_groups_of_age_but_the_overlap_of_none():
    ranks = np.arange(12627)
    groups = [np.logical_or(*females_and_males(group, ranks)) for group in RANKS]
    assert np.sum(groups, axis=0).max() == 1
    girls, boys = females_and_males("children under 4", ranks)
    assert (girls.sum(), boys.sum()) == (160, 159)


def test_a_person_who_is_listed_twice_has_one_name():
    people = np.array(["celeba/999", "celeba/7235", "celeba/1"])
    assert one_name(people).tolist() == ["celeba/7235", "celeba/7235", "celeba/1"]
