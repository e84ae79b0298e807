"""The contract as an AsyncAPI 3 document, from the device: it sends events, receives orders."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from agent.cli.config import tidy
from agent.contract.events import BODIES, STREAMS, Event
from agent.contract.topics import DEVICE_ID
from agent.contract.wire import NDJSON, NDJSON_ZLIB
from tools.channels import CHANNELS, Channel

JSON = "application/json"
PARAMETERS: dict[str, dict[str, Any]] = {
    "device": {"description": f"The device's id, {DEVICE_ID.pattern}; its MQTT client id too."},
    "kind": {"description": "The kind of event.", "enum": list(BODIES)},
    "stream": {"description": "The stream of events.", "enum": list(STREAMS)},
    "order_id": {"description": "The order's id, the same as in the document."},
    "name": {"description": "The command's name, see docs/commands.md."},
    "part": {"description": "Its number; the command's result says how many there are."},
    "cmd_id": {"description": "Unique for 7 days; a repetition is answered by what was kept."},
}


def document() -> str:
    """JSON text that ends without a line break."""
    types = [*{channel.message for channel in CHANNELS} - {bytes}, *BODIES.values()]
    types.sort(key=lambda type_: type_.__name__)
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    whole = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rider edge agent",
            "version": "1",
            "description": "What a device and its back end say to each other; docs/topics.md.",
        },
        "defaultContentType": JSON,
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {
            ("send" if channel.sender == "device" else "receive") + channel.name.title(): {
                "action": "send" if channel.sender == "device" else "receive",
                "channel": {"$ref": f"#/channels/{channel.name}"},
                "summary": _sentence(channel.what),
                "bindings": {"mqtt": {"qos": 1, "retain": channel.retained}},
            }
            for channel in CHANNELS
        },
        "components": {"schemas": tidy(schemas)},
    }
    return json.dumps(whole, indent=2, ensure_ascii=False)


def _channel(channel: Channel) -> dict[str, Any]:
    names = [part[1:-1] for part in channel.address.split("/") if part.startswith("{")]
    return {
        "address": channel.address,
        "parameters": {name: PARAMETERS[name] for name in names},
        "messages": _messages(channel),
    }


def _messages(channel: Channel) -> dict[str, Any]:
    if channel.name == "event":
        return {kind: _event(kind) for kind in BODIES}
    if channel.name == "batch":
        line = {"$ref": "#/components/schemas/Event"}
        return {
            "lines": {
                "title": "NDJSON",
                "contentType": NDJSON,
                "summary": "One event a line, each with its kind.",
                "payload": line,
            },
            "compressed": {
                "title": "NDJSON, zlib",
                "contentType": NDJSON_ZLIB,
                "summary": "The same, compressed as a whole by zlib (RFC 1950).",
                "payload": line,
            },
        }
    if channel.message is bytes:
        binary = {"type": "string", "format": "binary"}
        return {channel.name: {"contentType": "application/octet-stream", "payload": binary}}
    return {channel.name: {"payload": {"$ref": f"#/components/schemas/{channel.message.__name__}"}}}


def _event(kind: str) -> dict[str, Any]:
    body = {"$ref": f"#/components/schemas/{BODIES[kind].__name__}"}
    envelope = {"$ref": f"#/components/schemas/{Event.__name__}"}
    return {"payload": {"allOf": [envelope, {"properties": {"body": body}}]}}


def _sentence(text: str) -> str:
    plain = text.replace("`", "")
    return plain[0].upper() + plain[1:] + "."
