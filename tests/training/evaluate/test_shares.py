"""The oracle: at the ends of an exact interval the observed count has a tail of 2.5 %."""

import pytest
from scipy.stats import binom

from training.evaluate.shares import Share


@pytest.mark.parametrize(("passed", "trials"), [(7, 20), (364, 600), (1, 1000)])
def test_the_interval_is_clopper_and_pearsons(passed, trials):
    low, high = Share(passed, trials).interval
    assert binom.sf(passed - 1, trials, low) == pytest.approx(0.025, rel=1e-3)
    assert binom.cdf(passed, trials, high) == pytest.approx(0.025, rel=1e-3)


def test_none_of_many_has_a_lower_end_of_zero():
    share = Share(0, 300)
    assert share.interval[0] == 0
    assert str(share) == "0.0 % [0.0, 1.2]"
