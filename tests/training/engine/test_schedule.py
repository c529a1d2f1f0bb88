import math

import msgspec
import pytest

from training.engine.schedule import rate_factor


def test_the_cosine_warms_up_peaks_and_ends_at_zero(tiny):
    rates = [rate_factor(step, tiny) for step in range(tiny.steps)]
    warmup = tiny.optimizer.warmup_images // tiny.sampler.batch_size
    assert rates[warmup - 1] == rates[warmup] == max(rates) == 1
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert rates[-1] < 0.01 * max(rates)


def test_the_inverse_square_root_is_half_after_three_turns_whatever_the_length(tiny):
    optimizer = msgspec.structs.replace(tiny.optimizer, schedule="inverse_sqrt", inverse_sqrt_images=320)
    experiment = msgspec.structs.replace(tiny, optimizer=optimizer)
    longer = msgspec.structs.replace(experiment, optimizer=msgspec.structs.replace(optimizer, images=32 * 600))
    warmup, turn = 10, 10  # steps of 32 images
    assert rate_factor(warmup, experiment) == 1
    assert rate_factor(warmup + 3 * turn, experiment) == pytest.approx(0.5)
    for step in range(60):
        expected = (step + 1) / warmup if step < warmup else 1 / math.sqrt(1 + (step - warmup) / turn)
        assert rate_factor(step, experiment) == rate_factor(step, longer) == pytest.approx(expected)


def test_a_run_that_stops_early_stops_at_a_high_rate(tiny):
    optimizer = msgspec.structs.replace(tiny.optimizer, stop_at_images=32 * 20)
    stopped = msgspec.structs.replace(tiny, optimizer=optimizer)
    assert stopped.steps == 20
    assert rate_factor(19, stopped) == rate_factor(19, tiny) > 0.5
