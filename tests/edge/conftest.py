"""A real mosquitto for every test that wants one, and somebody in the household."""

import pytest

from tests.household import Broker, Household


@pytest.fixture
def broker(tmp_path):
    with Broker(tmp_path) as broker:
        yield broker


@pytest.fixture
def household(broker):
    with Household(broker.port) as household:
        yield household
