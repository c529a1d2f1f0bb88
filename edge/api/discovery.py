"""The discovery message by which the device and its entities appear in Home Assistant.

One retained message for the whole device (https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload),
with that page's abbreviations.
"""

from collections.abc import Iterable, Mapping
from typing import get_args

import msgspec

from edge.api.topics import Topics
from edge.core.events import EventType

EVENT_TYPES = list(get_args(EventType))
SEEN = "seen_"  # and a level of a topic: the key of the sensor of when somebody was last seen
DIAGNOSTIC = {"ent_cat": "diagnostic"}
# A device that is no Raspberry Pi does not know: None is what Home Assistant calls unknown.
POWER = "{% set now = value_json.throttled %}{{ none if now is none else 'ON' if now.under_voltage else 'OFF' }}"
HELD_BACK = (
    "{% set now = value_json.throttled %}"
    "{{ none if now is none or now.throttled is none else "
    "'ON' if now.frequency_capped or now.throttled or now.soft_temperature_limit else 'OFF' }}"
)


def discovery_topic(prefix: str, device: str) -> str:
    """The topic that Home Assistant subscribes to. `limen` is the node, so that an ACL can name the device's level."""
    return f"{prefix}/device/limen/{device}/config"


def birth_topic(prefix: str) -> str:
    """The topic of Home Assistant's birth message, after which discovery is published again."""
    return f"{prefix}/status"


def discovery_json(
    topics: Topics,
    version: str,
    people: Mapping[str, str],
    gone: Iterable[str] = (),
    *,
    image: bool = False,
    asks: bool = True,
) -> bytes:
    """The device with its entities.

    people: names by the level of their topic, each with a sensor of when they were last seen
    gone: levels of people whose sensor goes
    image: whether the newest face is published
    asks: whether Home Assistant may ask the device for anything, which it cannot sign
    """
    identity = f"limen_{topics.device}"
    presence, health, request = topics.of("presence"), topics.of("health"), topics.of("request")
    components: dict[str, dict[str, object]] = {
        "face": {
            "p": "event",
            "name": "Face",
            "stat_t": topics.of("event"),
            "evt_typ": EVENT_TYPES,
            "val_tpl": "{{ value if value_json.phase != 'end' else '' }}",  # an empty one is not an event
            "ic": "mdi:face-recognition",
        },
        "at_the_door": {
            "p": "sensor",
            "name": "At the door",
            "stat_t": presence,
            "val_tpl": "{{ value_json.state }}",
            "json_attr_t": presence,
            "ic": "mdi:door",
        },
        "unknown": {
            "p": "binary_sensor",
            "name": "Unknown at the door",
            "stat_t": presence,
            "val_tpl": "{{ 'ON' if 'unknown' in value_json.people else 'OFF' }}",
            "ic": "mdi:account-question",
        },
        "recognition": {
            "p": "switch",
            "name": "Recognition",
            "stat_t": topics.of("config"),
            "val_tpl": "{{ 'true' if value_json.recognition else 'false' }}",
            "pl_on": "true",
            "pl_off": "false",
            "cmd_t": f"{request}/config/set",
            "cmd_tpl": '{"transaction": "{{ now().timestamp() }}", "recognition": {{ value }}}',
            "ic": "mdi:eye",
        },
        "enroll": {
            "p": "button",
            "name": "Enroll now",
            "cmd_t": f"{request}/enroll/start",
            "cmd_tpl": '{"transaction": "{{ now().timestamp() }}", '
            '"name": "Guest {{ now().strftime(\'%Y-%m-%d %H.%M.%S\') }}"}',  # fresh each time, or it would work once
            "ic": "mdi:account-plus",
        },
        "temperature": measured("Temperature", "temp_c", health, dev_cla="temperature", unit_of_meas="°C"),
        "power": problem("Power", POWER, health),
        "throttled": problem("Held back by heat or power", HELD_BACK, health),
        "frames": measured("Frames a second", "fps", health),
        "memory": measured("Memory", "rss_mb", health, dev_cla="data_size", unit_of_meas="MB"),
        "outbox": measured("Events that wait", "outbox", health),
        "camera": problem("Camera", "{{ 'OFF' if value_json.camera_ok else 'ON' }}", health),
        "camera_problem": {
            "p": "sensor",
            "name": "What is wrong with the camera",
            "stat_t": health,
            "val_tpl": "{{ value_json.camera_problem or 'nothing' }}",
            **DIAGNOSTIC,
        },
    }
    if image:
        components["image"] = {"p": "image", "name": "Last face", "img_t": topics.of("image/last")}
    for level, name in people.items():
        components[SEEN + level] = {
            "p": "sensor",
            "name": f"{name} last seen",
            "stat_t": topics.of(f"person/{level}"),
            "val_tpl": "{{ value_json.last_seen if value_json is defined else None }}",  # empty: of who was forgotten
            "dev_cla": "timestamp",
        }
    for key, component in components.items():
        component["uniq_id"] = f"{identity}_{key}"
    if not image:
        components["image"] = {"p": "image"}  # it may have been published before
    for level in gone:
        components[SEEN + level] = {"p": "sensor"}  # nothing but the platform takes a component away
    if not asks:
        components |= {key: {"p": part["p"]} for key, part in components.items() if "cmd_t" in part}
    return msgspec.json.encode(
        {
            "dev": {"ids": [identity], "name": f"limen {topics.device}", "mf": "limen", "sw": version},
            "o": {"name": "limen", "sw": version},
            "avty_t": topics.of("status"),
            "qos": 1,
            "cmps": components,
        }
    )


def measured(name: str, key: str, topic: str, **more: str) -> dict[str, object]:
    """A diagnostic sensor of one number in a JSON message."""
    template = f"{{{{ value_json.{key} }}}}"
    sensor = {"p": "sensor", "name": name, "stat_t": topic, "val_tpl": template, "stat_cla": "measurement"}
    return {**sensor, **DIAGNOSTIC, **more}


def problem(name: str, template: str, topic: str) -> dict[str, object]:
    """A diagnostic sensor of whether something is amiss."""
    return {
        "p": "binary_sensor",
        "name": name,
        "stat_t": topic,
        "val_tpl": template,
        "dev_cla": "problem",
        **DIAGNOSTIC,
    }
