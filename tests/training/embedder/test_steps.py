import dataclasses
from collections import Counter

import cv2
import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError
from training.data.crops import groups_of
from training.data.places import Places
from training.data.teacher import unit_length
from training.embedder.samplers import PeopleSampler, UniformSampler
from training.embedder.steps import EmbeddingSteps
from training.embedder.training_set import gather
from training.engine.encoder_experiment import LossConfig, SamplerConfig, SizeStep
from training.engine.experiment_files import load_experiment
from training.omniglot.character_set import gather_characters
from training.omniglot.steps import CharacterSteps


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


def test_a_p_by_k_batch_has_p_people_with_k_crops_each():
    people = np.array([-1, 0, 0, 1, 2, 2, 2, 3, 3, 3, 3, -1])
    sampler = PeopleSampler(people, batch_size=6, crops_per_person=3, seed=0)
    for step in range(50):
        who = people[sampler(step)].reshape(2, 3)
        assert (who == who[:, :1]).all()
        assert who[0, 0] != who[1, 0]
        assert not {-1, 1} & set(who[:, 0])  # no unlabelled crop, and no person with a single crop


def test_too_few_people_for_a_batch_is_refused_with_both_numbers():
    with pytest.raises(DataError, match="needs 4 people with two crops or more; the data has 2"):
        PeopleSampler(np.array([0, 0, 1, 1, 2]), batch_size=8, crops_per_person=2, seed=0)


def test_people_of_few_groups_come_together_and_a_small_group_is_filled_up_from_the_next():
    people = np.repeat(np.arange(30), 3)
    groups = np.repeat(["a", "b", "c"], [36, 36, 18])  # 12, 12 and 6 people
    sampler = PeopleSampler(people, batch_size=32, crops_per_person=2, seed=1, groups=(groups, 2))
    seen = set()
    for step in range(60):
        rows = sampler(step).reshape(16, 2)
        assert (people[rows] == people[rows][:, :1]).all()
        assert len(set(people[rows[:, 0]])) == 16
        counts = sorted(Counter(groups[rows[:, 0]]).values())
        assert counts in ([8, 8], [2, 6, 8])
        seen.add(len(counts))
        assert np.array_equal(sampler(step), sampler(step))
    assert seen == {2, 3}


def test_all_characters_of_an_alphabet_are_recast_alike_within_a_step(tmp_path):
    experiment = load_experiment("smoke-omniglot-best")
    experiment = msgspec.structs.replace(
        experiment, data=msgspec.structs.replace(experiment.data, recast=True, generated_people=80, generated_looks=3)
    )
    held_out = msgspec.structs.replace(experiment.data, held_out_alphabets=("drawn-3",))
    characters = gather_characters(msgspec.structs.replace(experiment, data=held_out), Places(tmp_path, tmp_path))
    passed = []

    def augment(crop, _rng, _strength, alphabet):
        passed.append(alphabet.random())
        return crop

    steps = CharacterSteps(dataclasses.replace(characters, augment=augment), experiment)
    alphabets = [groups_of(characters.train.people[steps.sampler(step)]) for step in (0, 1)]
    drawn = []
    for step in (0, 1):
        passed.clear()
        steps[step]
        drawn.append(dict(zip(alphabets[step], passed, strict=True)))
        assert [drawn[step][name] for name in alphabets[step]] == passed
        assert len(set(passed)) == len(set(alphabets[step])) >= 2
    assert not set(drawn[0].values()) & set(drawn[1].values())


def test_ranks_share_the_batch_that_one_process_would_see(tiny, tmp_path):
    training_set = gather(tiny, Places(tmp_path, tmp_path))
    alone = EmbeddingSteps(training_set, tiny)[3]
    shares = [EmbeddingSteps(training_set, tiny, rank, 2)[3] for rank in (0, 1)]
    assert torch.equal(alone.images, torch.cat([share.images for share in shares]))
    assert torch.equal(alone.people, torch.cat([share.people for share in shares]))
    assert len(shares[0].images) == 16


@pytest.fixture
def taught(tiny, tmp_path):
    """An experiment with sizes and a bank, and a training set with a teacher's embeddings."""
    experiment = msgspec.structs.replace(
        tiny,
        loss=LossConfig(distill_cosine=1.0, distill_bank=1.0, bank_size=50),
        sampler=SamplerConfig(batch_size=16),
        sizes=(SizeStep(64, 16 * 2), SizeStep(80, 16 * 4)),
    )
    training_set = gather(tiny, Places(tmp_path, tmp_path))
    rng = np.random.default_rng(0)
    teacher = unit_length(rng.standard_normal((len(training_set.train), 128)))
    return experiment, dataclasses.replace(training_set, train=dataclasses.replace(training_set.train, teacher=teacher))


def test_the_pictures_of_a_step_have_its_size(taught):
    experiment, training_set = taught
    steps = EmbeddingSteps(training_set, experiment)
    assert [steps[step].images.shape[1:] for step in range(5)] == [
        (64, 64, 3), (64, 64, 3), (80, 80, 3), (80, 80, 3), (112, 112, 3),
    ]  # fmt: skip


def test_a_smaller_picture_is_the_augmented_one_shrunk(taught):
    experiment, training_set = taught
    large = EmbeddingSteps(training_set, msgspec.structs.replace(experiment, sizes=()))[0]
    small = EmbeddingSteps(training_set, experiment)[0]
    for before, after in zip(large.images.numpy(), small.images.numpy(), strict=True):
        assert np.array_equal(cv2.resize(before, (64, 64), interpolation=cv2.INTER_AREA), after)


def test_the_shares_of_the_experiment_reach_the_pictures(taught):
    experiment, training_set = taught
    data = msgspec.structs.replace(experiment.data, augmentation_shares={"infrared": 1.0})
    for images, grey in (
        (EmbeddingSteps(training_set, experiment)[0].images, False),
        (EmbeddingSteps(training_set, msgspec.structs.replace(experiment, data=data))[0].images, True),
    ):
        assert bool((images.amax(-1) == images.amin(-1)).all()) is grey


def test_a_bank_is_drawn_for_each_step_and_is_the_same_after_a_resume_and_on_every_rank(taught):
    experiment, training_set = taught
    walked = EmbeddingSteps(training_set, experiment)
    batches = [walked[step] for step in range(4)]
    resumed = EmbeddingSteps(training_set, experiment)[3]  # no step came before
    for before, after in zip(batches[3], resumed, strict=True):
        assert torch.equal(before, after)
    assert batches[3].bank.shape == (50, 128)
    assert not torch.equal(batches[2].bank, batches[3].bank)
    teacher = {row.tobytes() for row in training_set.train.teacher}
    assert {row.tobytes() for row in batches[3].bank.numpy()} <= teacher
    ranks = [EmbeddingSteps(training_set, experiment, rank, 2)[3] for rank in (0, 1)]
    assert torch.equal(ranks[0].bank, ranks[1].bank)
    assert torch.equal(torch.cat([rank.teacher for rank in ranks]), batches[3].teacher)


def test_a_loss_without_a_bank_term_gets_no_bank(taught):
    experiment, training_set = taught
    alone = msgspec.structs.replace(experiment, loss=LossConfig(distill_cosine=1.0))
    batch = EmbeddingSteps(training_set, alone)[0]
    assert batch.bank is None
    assert batch.teacher is not None
