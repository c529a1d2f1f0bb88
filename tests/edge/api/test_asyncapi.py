"""The interface document: current, valid, and true of what a running device says."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from pydantic_asyncapi.v3 import AsyncAPI
from referencing.exceptions import Unresolvable

from edge.api.asyncapi import document
from edge.api.requests import VERBS
from tests.household import Household, portrait_jpeg, until

COMMITTED = Path(__file__).parents[3] / "deploy" / "asyncapi.json"


def references(value):
    """Every `$ref` in it."""
    if isinstance(value, dict):
        found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return found + [reference for inner in value.values() for reference in references(inner)]
    return [reference for inner in value for reference in references(inner)] if isinstance(value, list) else []


def follow(reference):
    """What a `$ref` of the document points to."""
    value = document()
    for step in reference.removeprefix("#/").split("/"):
        value = value[step]
    return value


def validator(payload):
    return Draft202012Validator({**payload, "components": document()["components"]})


def test_the_committed_document_is_current():
    """`python -m edge.api.asyncapi > deploy/asyncapi.json` makes it so."""
    assert json.loads(COMMITTED.read_text()) == document()


def read(value):
    """By models of the specification; they want a reply's address, which the specification does not."""
    for operation in value["operations"].values():
        operation.get("reply", {})["address"] = {"location": "$message.header#/x", "description": ""}
    return AsyncAPI.model_validate(value)


def test_the_document_is_valid():
    assert read(document()).info.title == "limen"
    for breaking in ({"channel": 5}, {"action": "shout"}, {"summary": 5}):
        value = document()
        value["operations"]["publish-info"] |= breaking
        with pytest.raises(ValidationError):
            read(value)
    assert all(follow(reference) for reference in references(document()))
    assert {f"limen/{{device}}/request/{verb}" for verb in VERBS} < {
        channel["address"] for channel in document()["channels"].values()
    }
    with pytest.raises(KeyError):
        follow("#/channels/none")
    with pytest.raises(Unresolvable):
        validator({"$ref": "#/components/schemas/None"}).validate({})


def channel_of(topic):
    """The channel that a topic belongs to, and its key."""
    for key, channel in document()["channels"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(channel["address"])), topic):
            return key, channel
    raise AssertionError(f"{topic} is not in the document")


@pytest.mark.usefixtures("porch")
def test_all_that_a_device_says_is_in_the_document(broker, household):
    asked = [
        ("enroll/image", {"name": "Eileen", "images": [portrait_jpeg()]}),
        ("person/list", {}),
        ("config/get", {}),
        ("unknown/list", {}),
        ("health/check", {}),
        ("person/set", {"name": "Eileen", "ttl_days": 1, "notify": True}),
        ("recognize/image", {"image": portrait_jpeg()}),
    ]
    for number, (verb, fields) in enumerate(asked):
        request = {"transaction": f"doc-{number}", **fields}
        validator(follow(f"#/channels/request-{verb.replace('/', '-')}/messages/message/payload")).validate(request)
        household.ask(verb, request)
    household.next_event(0, event_type="recognized", phase="end")
    until(lambda: household.on("person/eileen"))
    heard = set()
    for message in list(household.heard):
        key, channel = channel_of(message.topic)
        heard.add(key)
        spoken = channel["messages"]["message"]
        text = message.payload.decode()
        value = text if spoken.get("contentType") == "text/plain" else json.loads(text)
        if "/request/" not in message.topic:
            validator(spoken["payload"]).validate(value)
    assert {"status", "info", "health", "event", "presence", "person-slug", "gallery", "config"} < heard
    says = document()["operations"]
    retained = {
        key for key in heard if f"publish-{key}" in says and says[f"publish-{key}"]["bindings"]["mqtt"]["retain"]
    }
    with Household(broker.port) as late:  # who comes later hears what is retained, and nothing else
        until(lambda: len({message.topic for message in late.heard if message.retain}) >= len(retained))
        assert {channel_of(message.topic)[0] for message in late.heard if message.retain} == retained
