"""What was answered during set-up, as the text of a configuration file. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Answer -> what it must be; the wizard asks in this order.
KEYS = frozenset(
    (
        *("language", "role", "id", "site", "url", "ca", "username", "password_file", "confirm"),
        *("printers", "sound", "receiver", "beacons", "panel", "consent", "page", "timezone"),
    )
)
RECEIVERS = ("gpsd", "none")  # or the device of a serial one


def toml(answers: Mapping[str, Any]) -> str:
    """A whole file; what was not answered stays at its default and is not in it."""
    lines = [f"role = {_text(answers['role'])}", ""]
    lines += _section(
        "device",
        id=answers.get("id"),
        site=answers.get("site"),
        language=answers.get("language"),
        timezone=answers.get("timezone"),
    )
    lines += _section(
        "uplink",
        url=answers.get("url"),
        ca=answers.get("ca"),
        username=answers.get("username"),
        password_file=answers.get("password_file"),
        confirm=answers.get("confirm"),
    )
    for printer in answers.get("printers") or ():
        lines += (
            [str(printer["section"]).rstrip(), ""] if "section" in printer else _printer(printer)
        )
    lines += _receiver(answers)
    if answers.get("beacons"):
        driver = {"driver": "bluez"}
        lines += [*_section("beacons", **driver), *_section("beacon", **driver)]
    if answers.get("sound"):
        device = answers["sound"] if isinstance(answers["sound"], str) else "default"
        language = answers.get("language")
        lines += _section("sound", driver="alsa", device=device, language=language)
    if answers.get("panel"):
        lines += [*_section("panel", driver="gpio"), *_panel()]
    if answers.get("page", answers["role"] == "shop"):
        lines += _section("page", listen="127.0.0.1:8080")
    return "\n".join(lines).rstrip() + "\n"


def _receiver(answers: Mapping[str, Any]) -> list[str]:
    receiver = answers.get("receiver")
    if receiver in (None, "", "none"):
        return []
    if receiver in ("simulated", "gpsd"):
        lines = _section("position", driver=receiver)
    else:
        lines = [
            *_section("position", driver="serial"),
            *_section("position.serial", device=receiver),
        ]
    return lines + _section("privacy", consent=answers.get("consent") or "required")


def _panel() -> list[str]:
    """The wiring of docs/install.md."""
    return [
        "[panel.gpio]",
        "buttons = { sos = 17, ack = 27 }",
        "lights = { sos = 22, alert = 23 }",
        "buzzer = 24",
        "",
    ]


def _printer(printer: Mapping[str, Any]) -> list[str]:
    return ["[[printer]]", *(f"{key} = {_text(value)}" for key, value in printer.items()), ""]


def _section(name: str, **settings: Any) -> list[str]:
    """Nothing of what is None or empty."""
    said = [f"{key} = {_text(value)}" for key, value in settings.items() if value not in (None, "")]
    return [f"[{name}]", *said, ""] if said else []


def _text(value: Any) -> str:
    """A JSON string is a TOML basic string, but for DEL and lone surrogates."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
