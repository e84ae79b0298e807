"""The made-up town around the demo's ride: what the map draws, and where the rider is in truth."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from drivers.beacons import simulated as radio
from drivers.gps import simulated as receiver

_PACKAGE = Path(__file__).parents[1]
# In an installed wheel the configuration lies inside the package, in a checkout beside it.
FOLDER = next(
    folder / "demo"
    for folder in (_PACKAGE / "_config", _PACKAGE.parent / "config")
    if folder.is_dir()
)

_PLACES = FOLDER / "places.toml"
BLOCK_MARGIN_M = 9.0
LOT_M = 26.0


class Ride:
    """The rider's way, begun at `started_at` (unix s); the agent simulates the same one."""

    def __init__(self, started_at: float) -> None:
        self._track = str(FOLDER / "ride.csv")
        self._started_at = started_at
        ride = receiver.Settings(track=self._track, started_at=started_at)
        self._truth = receiver.truth(ride)

    def truth(self, wall: float) -> tuple[float, float]:
        """Latitude and longitude at unix second `wall`."""
        there = self._truth(wall)
        return there.lat, there.lon

    def settings(self) -> list[str]:
        """For --set."""
        return [
            f'beacons.places="{_PLACES}"',
            *(
                setting
                for section in ("position", "beacons")
                for setting in (
                    f'{section}.simulated.track="{self._track}"',
                    f"{section}.simulated.started_at={self._started_at}",
                )
            ),
        ]


def shop_settings(printer_port: int) -> list[str]:
    """For --set: lists are replaced whole, so the printer's other settings are said again."""
    (printer,) = config("shop")["printer"]
    printer["uri"] = f"tcp://127.0.0.1:{printer_port}"
    keys = ", ".join(f"{key} = {_toml(value)}" for key, value in printer.items())
    return [f"printer=[{{{keys}}}]"]


def config(role: str) -> dict[str, Any]:
    """A device's configuration as it stands in its file."""
    return tomllib.loads((FOLDER / f"{role}.toml").read_text(encoding="utf-8"))


def device_id(role: str) -> str:
    found: str = config(role)["device"]["id"]
    return found


def drawn() -> dict[str, Any]:
    """What the map shows; metres are east and north of `origin`."""
    town: dict[str, Any] = msgspec.json.decode((FOLDER / "town.json").read_bytes())
    town["fences"] = config("rider")["fence"]
    town["beacons"] = _beacons()
    town["areas"] += _houses(town.pop("blocks"))
    return town


def _beacons() -> list[dict[str, Any]]:
    """One mark a place, amid its simulated senders."""
    marks = []
    for place in _places():
        known = {beacon.get("address") for beacon in place["beacon"]}
        ours = [sender for sender in radio.Settings().beacons if sender.address in known]
        if ours:
            marks.append(
                {
                    "lat": sum(sender.lat for sender in ours) / len(ours),
                    "lon": sum(sender.lon for sender in ours) / len(ours),
                    "place": place["id"],
                    "floor": place.get("floor"),
                }
            )
    return marks


def _places() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(_PLACES.read_text(encoding="utf-8"))["place"]
    return found


def _houses(blocks: list[list[float]]) -> list[dict[str, Any]]:
    """Footprints in lots along each block [west, south, east, north]; the same every time."""
    chance = random.Random(11)  # noqa: S311 - a town, no secret
    houses = []
    for west, south, east, north in blocks:
        across = max(1, round((east - west - 2 * BLOCK_MARGIN_M) / LOT_M))
        along = max(1, round((north - south - 2 * BLOCK_MARGIN_M) / LOT_M))
        for column in range(across):
            for row in range(along):
                if chance.random() < 0.14:
                    continue  # a yard
                x = west + BLOCK_MARGIN_M + (east - west - 2 * BLOCK_MARGIN_M) * column / across
                y = south + BLOCK_MARGIN_M + (north - south - 2 * BLOCK_MARGIN_M) * row / along
                w = LOT_M * chance.uniform(0.55, 0.82)
                h = LOT_M * chance.uniform(0.55, 0.82)
                houses.append(
                    {"kind": "house", "points": [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]}
                )
    return houses


def _toml(value: object) -> str:
    """JSON's strings, numbers and lists are TOML's."""
    return msgspec.json.encode(value).decode()
