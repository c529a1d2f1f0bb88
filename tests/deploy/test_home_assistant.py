"""The example automations and blueprints: what they name is there, and their conditions decide as they say.

`python -m tests.home_assistant` runs all of them in a real Home Assistant.
"""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
import yaml

from edge.api.discovery import discovery_json
from edge.api.messages import event_message
from edge.api.requests import VERBS
from edge.api.topics import Topics
from edge.core.events import Event

FOLDER = Path(__file__).parents[2] / "deploy"
AUTOMATIONS = yaml.safe_load((FOLDER / "home-assistant" / "automations.yaml").read_text())
TOLD = json.loads(discovery_json(Topics("porch"), "1", {}))


def entity_ids():
    """As Home Assistant names them: platform, device and entity name in lower case."""
    return {
        f"{component['p']}.{TOLD['dev']['name']}_{component['name']}".lower().replace(" ", "_")
        for component in TOLD["cmps"].values()
        if "name" in component  # one without is taken away
    }


def attributes(kind, name, phase="new"):
    event = Event(kind, phase, "t1", 0.0, name, name and "p", "3 of 3 samples", distance=0.4, tau=1.0)
    return json.loads(event_message(event, "id", 1, "2026-11-22T08:30:05Z", "m").json())


def acts(automation, seen):
    trigger = SimpleNamespace(to_state=SimpleNamespace(attributes=SimpleNamespace(**seen)))
    templates = [condition for condition in automation["conditions"] if isinstance(condition, str)]
    assert templates
    return all(jinja2.Template(template).render(trigger=trigger) == "True" for template in templates)


def test_every_entity_that_an_automation_waits_for_is_one_of_the_devices():
    waited_for = {trigger["entity_id"] for automation in AUTOMATIONS for trigger in automation["triggers"]}
    assert waited_for == {"event.limen_porch_face", "binary_sensor.limen_porch_unknown_at_the_door"}
    assert waited_for <= entity_ids()


@pytest.mark.parametrize(
    ("seen", "greets", "tells"),
    [
        (attributes("recognized", "Bob"), True, True),
        (attributes("recognized", "Bob", "update"), False, True),
        (attributes("recognized", "Alice"), True, False),
        (attributes("unknown", None), False, False),
    ],
)
def test_they_act_when_they_should(seen, greets, tells):
    greet, _, tell = AUTOMATIONS
    assert (acts(greet, seen), acts(tell, seen)) == (greets, tells)


class Inputs(yaml.SafeLoader):
    """Reads a blueprint, and notes which inputs it uses."""

    used: set[str]


Inputs.add_constructor("!input", lambda loader, node: loader.used.add(node.value))


@pytest.mark.parametrize(
    "path", sorted((FOLDER / "home-assistant" / "blueprints").glob("*.yaml")), ids=lambda one: one.stem
)
def test_a_blueprint_uses_its_inputs_and_asks_what_the_acl_has_for_home_assistant(path):
    text = path.read_text()
    loader = Inputs(text)
    loader.used = set()
    blueprint = loader.get_single_data()["blueprint"]
    assert set(blueprint["input"]) == loader.used
    asked = re.findall(r"/request/([a-z/]+)", text)
    assert set(asked) <= set(VERBS)
    acl = (FOLDER / "mosquitto" / "limen.acl").read_text()
    assert all(f"# topic write limen/+/request/{verb}\n" in acl for verb in asked)
