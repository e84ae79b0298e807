"""What is inside, as a CycloneDX 1.6 bill of materials, out of the locked requirements.

`python tools/sbom.py` prints that of requirements/device.txt, which is what the packages have in
them. The same file gives the same bytes: no time, and a serial number made of the content.
https://cyclonedx.org/docs/1.6/json/
"""
# ruff: noqa: E402 - run as a script, the tools are found only after their folder was named

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.package_deb.payload import PYTHONS, UNUSED, project_version

PRODUCT = "rider-edge-agent"
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? \\")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"    #(?: via)? +([A-Za-z0-9._-]+)(?: \(.*\))?$")


@dataclass(slots=True)
class Pin:
    """One package of a locked requirements file."""

    name: str
    version: str
    marker: str
    hashes: list[str] = field(default_factory=list)  # SHA-256 of each file that fits
    via: list[str] = field(default_factory=list)  # who asks for it


def pins(requirements: str) -> list[Pin]:
    """Of a file of `uv pip compile --generate-hashes`; ValueError for any other line."""
    found: list[Pin] = []
    for number, line in enumerate(requirements.splitlines(), 1):
        if pin := _PIN.match(line):
            found.append(Pin(pin[1], pin[2], pin[3] or ""))
        elif said := _HASH.search(line):
            found[-1].hashes.append(said[1])
        elif via := _VIA.match(line):
            found[-1].via.append(via[1])
        elif line.strip() and not line.lstrip().startswith("#"):
            raise ValueError(f"line {number} is not of a locked requirements file: {line}")
    return found


def document(requirements: str, version: str, without: Collection[str] = ()) -> str:
    """JSON text that ends without a line break."""
    inside = sorted(
        (pin for pin in pins(requirements) if pin.name not in without), key=lambda pin: pin.name
    )
    body = {
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": PRODUCT,
                "name": PRODUCT,
                "version": version,
            }
        },
        "components": [_component(pin) for pin in inside],
        "dependencies": [
            {"ref": ref, "dependsOn": [_purl(pin) for pin in inside if name in pin.via]}
            for name, ref in [(PRODUCT, PRODUCT), *((pin.name, _purl(pin)) for pin in inside)]
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(body, sort_keys=True))
    head = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
    }
    return json.dumps(head | body, indent=1)


def of_device(root: Path = ROOT) -> str:
    """Of what the packages carry."""
    requirements = (root / "requirements" / "device.txt").read_text("utf-8")
    return document(requirements, project_version(root), without=UNUSED)


def _component(pin: Pin) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(pin),
        "name": pin.name,
        "version": pin.version,
        "purl": _purl(pin),
        "hashes": [{"alg": "SHA-256", "content": text} for text in sorted(pin.hashes)],
    }
    if "python_full_version" in pin.marker:
        note = f"only where {pin.marker}; packages are for Python {' and '.join(PYTHONS)}"
        component["description"] = note
    return component


def _purl(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name.lower().replace('_', '-')}@{pin.version}"


if __name__ == "__main__":
    sys.stdout.write(of_device() + "\n")
