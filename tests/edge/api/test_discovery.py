"""What Home Assistant is told, held against what it asks for."""

import json
from datetime import datetime

import jinja2
import pytest

from edge.api.discovery import EVENT_TYPES, birth_topic, discovery_json, discovery_topic
from edge.api.messages import event_message
from edge.api.requests import VERBS
from edge.api.topics import Topics
from edge.api.verbs import convert_request, decode_json
from edge.core.events import Event
from edge.system.metrics import THROTTLED_BITS

TOPICS = Topics("porch")
# Required keys, and which others a platform knows, from https://www.home-assistant.io/integrations/<platform>.mqtt/;
# abbreviations from https://www.home-assistant.io/integrations/mqtt/#supported-abbreviations-in-mqtt-discovery-messages
REQUIRED = {
    "event": {"stat_t", "evt_typ"},
    "sensor": {"stat_t"},
    "binary_sensor": {"stat_t"},
    "switch": {"cmd_t"},
    "button": {"cmd_t"},
    "image": {"img_t"},
}
COMMON = {"p", "name", "uniq_id", "ic", "ent_cat", "dev_cla", "json_attr_t", "val_tpl", "stat_t"}
KNOWN = {
    "event": COMMON | {"evt_typ"},
    "sensor": COMMON | {"unit_of_meas", "stat_cla"},
    "binary_sensor": COMMON | {"pl_on", "pl_off"},
    "switch": COMMON | {"cmd_t", "cmd_tpl", "pl_on", "pl_off"},
    "button": (COMMON - {"stat_t", "val_tpl"}) | {"cmd_t", "cmd_tpl"},
    "image": (COMMON - {"stat_t", "val_tpl"}) | {"img_t"},
}
DEVICE_CLASSES = {"sensor": {"timestamp", "temperature", "data_size"}, "binary_sensor": {"problem"}}


@pytest.fixture
def told():
    return json.loads(discovery_json(TOPICS, "1.2.3", {"zoe-oz": "Zoë Öz", "bob": "Bob"}, ["ann"], image=True))


def rendered(template, payload, **more):
    """As Home Assistant renders it."""
    value = payload if isinstance(payload, str) else json.dumps(payload)
    values = {"value": value, "value_json": payload, "now": lambda: datetime(2026, 11, 22, 8, 30, 5)}  # noqa: DTZ001 -- as HA's
    return jinja2.Environment(autoescape=False).from_string(template).render(values | more)  # noqa: S701 -- no HTML


def test_the_message_is_of_one_device_and_its_origin(told):
    assert set(told) == {"dev", "o", "avty_t", "qos", "cmps"}
    assert told["dev"]["ids"] == ["limen_porch"]
    assert told["o"] == {"name": "limen", "sw": "1.2.3"}
    assert told["avty_t"] == "limen/porch/status"
    assert discovery_topic("homeassistant", "porch") == "homeassistant/device/limen/porch/config"
    assert birth_topic("homeassistant") == "homeassistant/status"


def test_every_entity_has_what_its_platform_requires_and_nothing_it_does_not_know(told):
    gone = told["cmps"].pop("seen_ann")
    assert gone == {"p": "sensor"}
    for component in told["cmps"].values():
        platform = component["p"]
        assert REQUIRED[platform] | {"uniq_id", "name"} <= set(component)
        assert set(component) <= KNOWN[platform]
        assert component.get("ent_cat", "diagnostic") == "diagnostic"
        if "dev_cla" in component:
            assert component["dev_cla"] in DEVICE_CLASSES[platform]
        if component.get("dev_cla") == "timestamp":
            assert "stat_cla" not in component
    identities = [component["uniq_id"] for component in told["cmps"].values()]
    assert len(set(identities)) == len(identities)
    assert {component["name"] for component in told["cmps"].values()} >= {
        "Face", "Last face", "At the door", "Unknown at the door", "Recognition", "Enroll now", "Zoë Öz last seen",
    }  # fmt: skip
    assert told["cmps"]["seen_zoe-oz"]["stat_t"] == "limen/porch/person/zoe-oz"


def test_without_pictures_there_is_no_picture_and_one_of_before_goes():
    assert json.loads(discovery_json(TOPICS, "1", {}))["cmps"]["image"] == {"p": "image"}


@pytest.mark.parametrize("phase", ["new", "update", "end"])
@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_an_event_of_ours_is_one_of_theirs_until_it_ends(told, kind, phase):
    event = Event(kind, phase, "t1", 0.0, None, None, "in a test")
    payload = json.loads(event_message(event, "id", 1, "2026-11-22T08:30:05Z", "m").json())
    said = rendered(told["cmps"]["face"]["val_tpl"], payload)
    if phase == "end":
        assert said == ""
    else:
        assert json.loads(said)["event_type"] in told["cmps"]["face"]["evt_typ"]


@pytest.mark.parametrize(
    ("people", "unknown"), [([], "OFF"), (["Bob"], "OFF"), (["Bob", "unknown"], "ON"), (["somebody"], "OFF")]
)
def test_presence_is_a_state_and_a_warning(told, people, unknown):
    presence = {"state": ", ".join(people) or "nobody", "people": people, "last": None}
    assert rendered(told["cmps"]["at_the_door"]["val_tpl"], presence) == presence["state"]
    assert rendered(told["cmps"]["unknown"]["val_tpl"], presence) == unknown


def test_when_somebody_was_last_seen_is_read_and_is_nothing_once_they_are_forgotten(told):
    template = told["cmps"]["seen_bob"]["val_tpl"]
    assert rendered(template, {"name": "Bob", "last_seen": "2026-11-22T08:30:05Z"}) == "2026-11-22T08:30:05Z"
    empty = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True).from_string(template)
    assert empty.render(value="") == "None"  # what Home Assistant takes for no state; value_json is not there then


def test_what_the_device_says_of_itself_is_read(told):
    health = {"fps": 10.0, "rss_mb": 98.5, "temp_c": 51.2, "outbox": 0, "camera_ok": False}
    read = {
        key: rendered(told["cmps"][key]["val_tpl"], health)
        for key in ("temperature", "frames", "memory", "outbox", "camera")
    }
    assert read == {"temperature": "51.2", "frames": "10.0", "memory": "98.5", "outbox": "0", "camera": "ON"}


@pytest.mark.parametrize(("problem", "said"), [(None, "nothing"), ("black", "black"), ("torn", "torn")])
def test_what_is_wrong_with_the_camera_is_named(told, problem, said):
    component = told["cmps"]["camera_problem"]
    assert component["ent_cat"] == "diagnostic"
    assert rendered(component["val_tpl"], {"camera_problem": problem}) == said


@pytest.mark.parametrize(
    ("now", "power", "held_back"),
    [
        (None, "None", "None"),  # what Home Assistant takes for unknown
        (dict.fromkeys(THROTTLED_BITS, False), "OFF", "OFF"),
        (dict.fromkeys(THROTTLED_BITS) | {"under_voltage": True}, "ON", "None"),
        (dict.fromkeys(THROTTLED_BITS, False) | {"under_voltage": True}, "ON", "OFF"),
        (dict.fromkeys(THROTTLED_BITS, False) | {"frequency_capped": True}, "OFF", "ON"),
        (dict.fromkeys(THROTTLED_BITS, False) | {"throttled": True}, "OFF", "ON"),
        (dict.fromkeys(THROTTLED_BITS, False) | {"soft_temperature_limit": True}, "OFF", "ON"),
    ],
)
def test_what_holds_the_device_back_is_a_problem_where_it_is_known(told, now, power, held_back):
    read = {key: rendered(told["cmps"][key]["val_tpl"], {"throttled": now}) for key in ("power", "throttled")}
    assert read == {"power": power, "throttled": held_back}


@pytest.mark.parametrize(
    ("entity", "pressed", "fields"),
    [
        ("enroll", "PRESS", {"name": "Guest 2026-11-22 08.30.05", "shots": 5}),
        ("recognition", "true", {"recognition": True}),
        ("recognition", "false", {"recognition": False}),
    ],
)
def test_a_button_or_switch_sends_a_request_that_holds_and_is_new_each_time(told, entity, pressed, fields):
    component = told["cmps"][entity]
    verb = TOPICS.verb_of(component["cmd_t"])
    assert verb in VERBS
    data = rendered(component["cmd_tpl"], pressed).encode()
    request = convert_request(verb, decode_json(verb, data))
    assert {field: getattr(request, field) for field in fields} == fields
    later = rendered(component["cmd_tpl"], pressed, now=lambda: datetime(2026, 11, 22, 8, 30, 6)).encode()  # noqa: DTZ001
    assert convert_request(verb, decode_json(verb, later)).transaction != request.transaction
    state = {"recognition": fields.get("recognition")}
    if entity == "recognition":
        assert rendered(component["val_tpl"], state) == component["pl_on" if state["recognition"] else "pl_off"]
