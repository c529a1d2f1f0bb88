import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError
from training.data.steps import EmbeddingSteps, PeopleSampler, UniformSampler
from training.data.training_set import Places, gather


@given(st.integers(1, 50), st.integers(1, 16), st.integers(0, 3))
def test_an_epoch_shows_every_crop_once(crops, batch_size, seed):
    sampler = UniformSampler(crops, batch_size, seed)
    rows = np.concatenate([sampler(step) for step in range(2 * crops)])
    for epoch in range(2 * batch_size):
        assert sorted(rows[epoch * crops : (epoch + 1) * crops]) == list(range(crops))


@given(st.integers(1, 40), st.integers(1, 16), st.integers(0, 30))
def test_a_step_is_the_same_whichever_steps_came_before(crops, batch_size, step):
    walked = UniformSampler(crops, batch_size, 1)
    for earlier in range(step):
        walked(earlier)
    assert np.array_equal(walked(step), UniformSampler(crops, batch_size, 1)(step))


def test_a_p_by_k_batch_holds_p_people_with_k_crops_each():
    people = np.array([-1, 0, 0, 1, 2, 2, 2, 3, 3, 3, 3, -1])
    sampler = PeopleSampler(people, batch_size=6, crops_per_person=3, seed=0)
    for step in range(50):
        who = people[sampler(step)].reshape(2, 3)
        assert (who == who[:, :1]).all()
        assert who[0, 0] != who[1, 0]
        assert not {-1, 1} & set(who[:, 0])  # nobody unknown, and nobody who has but one crop


def test_too_few_people_for_a_batch_is_said_with_both_numbers():
    with pytest.raises(DataError, match="wants 4 people with two crops or more; the data has 2"):
        PeopleSampler(np.array([0, 0, 1, 1, 2]), batch_size=8, crops_per_person=2, seed=0)


def test_ranks_share_the_batch_that_one_process_would_see(tiny, tmp_path):
    training_set = gather(tiny, Places(tmp_path, tmp_path))
    alone = EmbeddingSteps(training_set, tiny)[3]
    shares = [EmbeddingSteps(training_set, tiny, rank, 2)[3] for rank in (0, 1)]
    assert torch.equal(alone.images, torch.cat([share.images for share in shares]))
    assert torch.equal(alone.people, torch.cat([share.people for share in shares]))
    assert len(shares[0].images) == 16
