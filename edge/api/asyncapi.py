"""The interface as an AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0).

Made from the typed requests and messages: `python -m edge.api.asyncapi > deploy/asyncapi.json`.
"""

import sys
from typing import NamedTuple

import msgspec

import edge
from edge.api.messages import (
    Answer,
    EventMessage,
    GalleryMessage,
    Health,
    Info,
    Message,
    PersonSeen,
    Presence,
    Settings,
)
from edge.api.requests import REQUESTS
from edge.api.signing import Envelope
from edge.api.topics import SharedTopics

SCHEMAS = "#/components/schemas/{name}"
DEVICE = {"device": {"description": "The device's name: a to z, digits and dashes."}}


class Said(NamedTuple):
    """What the device says on a topic. message: None for what is no JSON; then there is a schema and a content type."""

    topic: str
    message: type[Message] | None
    retain: bool
    qos: int
    summary: str
    schema: dict[str, object] | None = None
    content_type: str | None = None


SAID = (
    Said(
        "status",
        None,
        True,
        1,
        "Whether the device is there; offline also by Last Will.",
        {"type": "string", "enum": ["online", "offline"]},
        "text/plain",
    ),
    Said("info", Info, True, 1, "What the device is."),
    Said("health", Health, True, 0, "How the device is, every minute."),
    Said("event", EventMessage, False, 1, "Who was seen, and why it says so."),
    Said("event/late", EventMessage, False, 1, "The same, when it could not be delivered in time."),
    Said("presence", Presence, True, 1, "Who is there now."),
    Said("person/{slug}", PersonSeen, True, 1, "When somebody was last seen."),
    Said("gallery", GalleryMessage, True, 1, "Who is known; never an embedding."),
    Said("config", Settings, True, 1, "What is set."),
    Said(
        "image/last",
        None,
        False,
        0,
        "The newest face as a JPEG of at most 64 KiB, where mqtt.image_last is set.",
        {"type": "string", "format": "binary"},
        "image/jpeg",
    ),
)


def document() -> dict[str, object]:
    """The whole document, as JSON values."""
    kinds = [*(said.message for said in SAID if said.message), Answer, Envelope, *REQUESTS.values()]
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=SCHEMAS)
    channels: dict[str, object] = {}
    operations: dict[str, object] = {}
    for said in SAID:
        key = said.topic.replace("/", "-").replace("{", "").replace("}", "")
        message = {"name": key, "payload": said.schema or reference(said.message)}
        if said.content_type:
            message["contentType"] = said.content_type
        slug = {"slug": {"description": "The person's name as one level of a topic."}} if "{slug}" in said.topic else {}
        channels[key] = channel(said.topic, message, slug)
        operations[f"say-{key}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{key}"},
            "summary": said.summary,
            "bindings": {"mqtt": {"qos": said.qos, "retain": said.retain}},
        }
    sealed = {"name": "shared-person", "payload": {"type": "string", "format": "binary"}}
    channels["shared-person"] = {
        "address": SharedTopics("{household}").person("{opaque}"),
        "parameters": {
            "household": {"description": "The household's name, fleet.household."},
            "opaque": {"description": "Stands for one person; whose it is, nobody knows without the household's key."},
        },
        "messages": {"message": sealed | {"contentType": "application/octet-stream"}},
    }
    for action in ("send", "receive"):
        operations[f"{action}-shared-person"] = {
            "action": action,
            "channel": {"$ref": "#/channels/shared-person"},
            "summary": "What the household's cameras know of one person, sealed under its key; see edge.system.crypto.",
            "bindings": {"mqtt": {"qos": 1, "retain": True}},
        }
    for verb, kind in REQUESTS.items():
        key = verb.replace("/", "-")
        channels[f"request-{key}"] = channel(f"request/{verb}", {"name": f"request-{key}", "payload": reference(kind)})
        channels[f"response-{key}"] = channel(
            f"response/{verb}", {"name": f"response-{key}", "payload": reference(Answer)}
        )
        operations[key] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/request-{key}"},
            "summary": first_line(kind),
            "bindings": {"mqtt": {"qos": 1, "retain": False}},
            "reply": {
                "channel": {"$ref": f"#/channels/response-{key}"},
                "messages": [{"$ref": f"#/channels/response-{key}/messages/message"}],
            },
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "limen",
            "version": edge.__version__,
            "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
            "description": "Who is at the door. With MQTT 5, an answer goes to the request's ResponseTopic where that "
            "is below mqtt.response_prefix, with its CorrelationData; otherwise to the request's twin. "
            "Of a device that has a signing key, every request is the text in an Envelope.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas},
    }


def channel(topic: str, message: dict[str, object], parameters: dict[str, object] | None = None) -> dict[str, object]:
    """One topic with its one message."""
    return {
        "address": f"limen/{{device}}/{topic}",
        "parameters": DEVICE | (parameters or {}),
        "messages": {"message": message},
    }


def reference(kind: type) -> dict[str, object]:
    """To a type's schema."""
    return {"$ref": SCHEMAS.format(name=kind.__name__)}


def first_line(kind: type) -> str:
    """Of the docstring."""
    return (kind.__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document()), indent=1).decode() + "\n")
