"""What the log says of people."""

from dataclasses import replace

import pytest

from edge.capture import open_source
from edge.config import LogConfig
from tests.household import portrait_jpeg, running, until


@pytest.mark.parametrize("names", [False, True])
def test_the_log_names_people_where_it_is_asked_to(config, household, caplog, names):
    caplog.set_level("INFO", "limen")
    config = replace(config, log=LogConfig(names=names))
    with running(config, lambda: open_source(config.camera, loop=True)):
        until(lambda: household.on("status"))
        answer = household.ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})
        household.next_event(0, event_type="recognized", phase="new")
        person_id = answer["data"]["person_id"]
        until(lambda: f"enrolled new {person_id}{' Eileen' if names else ''}: 1 template added" in caplog.text)
        until(lambda: any("samples together" in line and person_id in line for line in caplog.text.splitlines()))
    assert ("Eileen" in caplog.text) == names
