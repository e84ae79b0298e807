"""The messages as JSON Schemas, a file each, for consumers in other languages."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from agent.cli.config import tidy
from agent.contract.events import BODIES, Event
from tools.channels import CHANNELS

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def files() -> dict[str, str]:
    """Name of the file -> its text; `evt.KIND.json` is the envelope with that body."""
    found = {
        channel.name: _schema(channel.message)
        for channel in CHANNELS
        if channel.message is not bytes and channel.name != "event"
    }
    for kind, body in BODIES.items():
        (envelope, inner), definitions = msgspec.json.schema_components(
            [Event, body], ref_template="#/$defs/{name}"
        )
        found[f"evt.{kind}"] = {
            "allOf": [envelope, {"properties": {"body": inner}}],
            "$defs": definitions,
        }
    return {
        f"{name}.json": json.dumps(
            {"$schema": DRAFT, "title": name, **tidy(schema)}, indent=1, ensure_ascii=False
        )
        for name, schema in found.items()
    }


def _schema(type_: Any) -> dict[str, Any]:
    (whole,), definitions = msgspec.json.schema_components([type_], ref_template="#/$defs/{name}")
    return {**whole, "$defs": definitions}
