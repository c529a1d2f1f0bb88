"""The interface as an AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0).

Made from the typed requests and messages: `python -m edge.api.asyncapi > deploy/asyncapi.json`.
"""

import sys
from collections.abc import Mapping
from inspect import cleandoc
from typing import NamedTuple

import msgspec

import edge
from edge.api.messages import (
    EventMessage,
    GalleryMessage,
    Health,
    Info,
    Message,
    PersonSeen,
    Presence,
    Settings,
)
from edge.api.replies import ProgressReply
from edge.api.requests import VERBS
from edge.api.signing import Envelope
from edge.api.topics import HouseholdTopics
from edge.api.verbs import ANY_CODES, Access, Request

SCHEMAS = "#/components/schemas/{name}"
DEVICE = {"device": {"description": "The device's name: a to z, digits and dashes."}}


class Publication(NamedTuple):
    """What is published on a topic. message: None for what is no JSON, which has a schema and a content type."""

    topic: str
    message: type[Message] | None
    retain: bool
    qos: int
    summary: str
    schema: dict[str, object] | None = None
    content_type: str | None = None


PUBLICATIONS = (
    Publication(
        "status",
        None,
        True,
        1,
        "Whether the device is connected; offline also by Last Will.",
        {"type": "string", "enum": ["online", "offline"]},
        "text/plain",
    ),
    Publication("info", Info, True, 1, "Version, models, match threshold."),
    Publication("health", Health, True, 0, "How the device is, every minute."),
    Publication("event", EventMessage, False, 1, "Who was seen, and why."),
    Publication("event/late", EventMessage, False, 1, "An event that could not be delivered in time."),
    Publication("presence", Presence, True, 1, "Who is present now."),
    Publication("person/{slug}", PersonSeen, True, 1, "When somebody was last seen."),
    Publication("gallery", GalleryMessage, True, 1, "Who is enrolled; never an embedding."),
    Publication("config", Settings, True, 1, "What can be set while the device runs."),
    Publication(
        "image/last",
        None,
        False,
        0,
        "The newest face as a JPEG of at most 64 KiB, just before its event, where mqtt.image_last is set.",
        {"type": "string", "format": "binary"},
        "image/jpeg",
    ),
)


def document() -> dict[str, object]:
    """The whole document, as JSON values."""
    published = (publication.message for publication in PUBLICATIONS if publication.message)
    replies = (kind.reply for kind in VERBS.values())
    kinds = [*published, ProgressReply, Envelope, *VERBS.values(), *replies]
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=SCHEMAS)
    channels: dict[str, object] = {}
    operations: dict[str, object] = {}
    for publication in PUBLICATIONS:
        key = publication.topic.replace("/", "-").replace("{", "").replace("}", "")
        payload = publication.schema if publication.message is None else reference(publication.message)
        message: dict[str, object] = {"name": key, "payload": payload}
        if publication.content_type:
            message["contentType"] = publication.content_type
        slug = (
            {"slug": {"description": "The person's name as one level of a topic, or the person_id."}}
            if "{slug}" in publication.topic
            else {}
        )
        channels[key] = channel(publication.topic, message, slug)
        operations[f"publish-{key}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{key}"},
            "summary": publication.summary,
            "bindings": {"mqtt": {"qos": publication.qos, "retain": publication.retain}},
        }
    sealed = {"name": "shared-person", "payload": {"type": "string", "format": "binary"}}
    channels["shared-person"] = {
        "address": HouseholdTopics("{household}").person("{opaque}"),
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
            "summary": "One person as the household's cameras share them, encrypted under its key.",
            "bindings": {"mqtt": {"qos": 1, "retain": True}},
        }
    for verb, kind in VERBS.items():
        key = verb.replace("/", "-")
        channels[f"request-{key}"] = channel(f"request/{verb}", {"name": f"request-{key}", "payload": reference(kind)})
        channels[f"response-{key}"] = channel(
            f"response/{verb}", {"name": f"response-{key}", "payload": answer_schema(kind)}
        )
        operations[key] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/request-{key}"},
            "summary": first_line(kind),
            "description": f"Access: {kind.access}.",
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
            "is below mqtt.response_prefix, with its CorrelationData; otherwise to response/<group>/<verb>. "
            "A device with a signing key takes every request as the text in an Envelope.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": tidied(schemas)},
    }


def channel(
    topic: str, message: Mapping[str, object], parameters: Mapping[str, object] | None = None
) -> dict[str, object]:
    """One topic with its one message."""
    return {
        "address": f"limen/{{device}}/{topic}",
        "parameters": DEVICE | dict(parameters or {}),
        "messages": {"message": message},
    }


def answer_schema(kind: type[Request]) -> dict[str, object]:
    """The schema of the answers to a verb: ok with its reply, error with a code, and progress of a LIVE verb."""
    text = {"type": "string"}
    refused = {
        "type": "object",
        "properties": {"retry_after_seconds": {"type": "number"}},
        "additionalProperties": False,
    }
    codes = sorted({*kind.codes, *ANY_CODES})
    outcomes = [
        ({"const": "ok"}, reference(kind.reply), {"type": "null"}, {"type": "null"}),
        ({"const": "error"}, refused, {"enum": [str(code) for code in codes]}, text),
    ]
    if kind.access is Access.LIVE:
        outcomes.append(({"const": "progress"}, reference(ProgressReply), {"type": "null"}, {"type": "null"}))
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {
                    "status": status,
                    "data": data,
                    "code": code,
                    "error": error,
                    "transaction": {"anyOf": [text, {"type": "null"}]},
                },
                "required": ["status", "data", "code", "error", "transaction"],
            }
            for status, data, code, error in outcomes
        ]
    }


def reference(kind: type) -> dict[str, object]:
    """To a type's schema."""
    return {"$ref": SCHEMAS.format(name=kind.__name__)}


def tidied(schema: object) -> object:
    """The schema as every version of msgspec and Python writes it: descriptions not indented, null the last choice."""
    if isinstance(schema, list):
        return [tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return cleandoc(schema) if isinstance(schema, str) else schema
    parts = {key: tidied(part) for key, part in schema.items()}
    if isinstance(choices := parts.get("anyOf"), list):
        choices.sort(key=lambda choice: choice == {"type": "null"})
    return parts


def first_line(kind: type) -> str:
    """Of the docstring."""
    return (kind.__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document()), indent=1).decode() + "\n")
