"""A walk about a floor becomes its part of the building's fingerprint (`floor.FloorModel`).

What is cut into windows and counted is the loudest advert of each address that keeps its identity:
phones that pass, and beacons that rotate, would be counted and never heard again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from agent.arrival.floor import FloorModel, bin_of
from agent.arrival.surveying import ROTATES
from drivers.base import Advert

WINDOW_S = 10.0
BIN_EDGES_DBM = (-92.0, -86.0, -80.0, -74.0, -68.0, -62.0)
MIN_WINDOWS = 3


def surveyed(
    model: FloorModel | None, floor: str, adverts: Sequence[Advert], *, add: bool
) -> FloorModel | None:
    """The model with the walk instead of what it said of the floor, or, with `add`, besides it;
    None when the walk was shorter than three windows or no beacon was heard."""
    if model is None:
        model = FloorModel(WINDOW_S, list(BIN_EDGES_DBM), {floor: 0}, {})
    loudest = list(_windows(adverts, model.window_s))
    if len(loudest) < MIN_WINDOWS or not any(loudest):
        return None
    beacons = {
        address: {f: list(counts) for f, counts in floors.items() if add or f != floor}
        for address, floors in model.beacons.items()
    }
    for window in loudest:
        for address, rssi in window.items():
            empty = [0] * (len(model.bin_edges_dbm) + 1)
            counts = beacons.setdefault(address, {}).setdefault(floor, empty)
            counts[bin_of(model, rssi)] += 1
    before = model.windows.get(floor, 0) if add else 0
    return msgspec.structs.replace(
        model,
        windows=model.windows | {floor: before + len(loudest)},
        beacons={address: floors for address, floors in beacons.items() if floors},
    )


def _windows(adverts: Sequence[Advert], window_s: float) -> Iterable[dict[str, int]]:
    """Of each whole window, address -> RSSI of its loudest advert."""
    if not adverts:
        return
    start, last = adverts[0].t, adverts[-1].t
    # Half a second is what the first and the last advert may miss of the walk.
    found: list[dict[str, int]] = [{} for _ in range(int((last - start + 0.5) / window_s))]
    for advert in adverts:
        n = int((advert.t - start) / window_s)
        if advert.identity is None or advert.identity.startswith(ROTATES) or n >= len(found):
            continue
        found[n][advert.address] = max(advert.rssi, found[n].get(advert.address, advert.rssi))
    yield from found
