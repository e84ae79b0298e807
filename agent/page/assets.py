"""The files of the page by name; what is not among them does not exist."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    type: str
    tag: str  # changes with the content


def load_assets() -> dict[str, Asset]:
    assets = {}
    for entry in Path(__file__).with_name("static").iterdir():
        content = entry.read_bytes()
        kind = TYPES[entry.name.rpartition(".")[2]]
        assets[entry.name] = Asset(content, kind, f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return assets
