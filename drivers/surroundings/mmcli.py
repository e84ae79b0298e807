"""The cell that the modem is in, from ModemManager (`mmcli --location-get`).

    {"modem": {"location": {"3gpp": {"mcc": "460", "mnc": "00", "lac": "FFFE", "tac": "0018D2",
                                     "cid": "06A3B102"}}}}

Areas and cells are hexadecimal; `--` is unknown, and so is an area of FFFE or 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from drivers.base import Cell, Clock, Driver, DriverError, Sighting, Surroundings
from drivers.surroundings.tool import run

_NO_AREA = frozenset({0, 0xFFFE, 0xFFFFFE})


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tool: str = "mmcli"
    modem: str = "any"  # its number or path; see `mmcli -L`


class _Network(msgspec.Struct):
    mcc: str = "--"
    mnc: str = "--"
    lac: str = "--"
    tac: str = "--"
    cid: str = "--"


class _Location(msgspec.Struct):
    network: _Network = msgspec.field(default_factory=_Network, name="3gpp")


class _Modem(msgspec.Struct):
    location: _Location = msgspec.field(default_factory=_Location)


class _Answer(msgspec.Struct):
    modem: _Modem


def parse(text: str, rejected: Counter[str]) -> Cell | None:
    """The cell; None while the modem is in none. DriverError for what is not mmcli's answer."""
    try:
        found = msgspec.json.decode(text.encode(), type=_Answer).modem.location.network
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DriverError(f"mmcli answers what is not understood: {error}") from error
    cell, areas = _hex(found.cid), (_hex(found.tac), _hex(found.lac))
    area = next((a for a in areas if a is not None and a not in _NO_AREA), None)
    known = found.mcc.isdecimal() and found.mnc.isdecimal() and len(found.mcc + found.mnc) <= 6
    if cell is None or area is None or not known:
        rejected["cell_unknown"] += 1
        return None
    return Cell(int(found.mcc), int(found.mnc), area, cell)


def _hex(text: str) -> int | None:
    try:
        return int(text, 16) if 0 < len(text) <= 9 else None
    except ValueError:
        return None


class Modem:
    """A `Surroundings` that asks ModemManager."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.rejected: Counter[str] = Counter()
        self._clock = clock
        self._command = [settings.tool, "-J", "-m", settings.modem, "--location-get"]

    async def look(self) -> Sighting:
        cell = parse(await run(self._command, "modemmanager"), self.rejected)
        return Sighting(self._clock.monotonic(), cell=cell)


@asynccontextmanager
async def open_modem(settings: Settings, clock: Clock) -> AsyncIterator[Surroundings]:
    yield Modem(settings, clock)


DRIVER = Driver(
    name="mmcli",
    summary="The cell of the mobile network, through ModemManager.",
    settings=Settings,
    open=open_modem,
)
