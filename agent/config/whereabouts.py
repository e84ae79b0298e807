"""Everything that locates.

`[position]`, `[privacy]`, `[surroundings]`, `[[fence]]`, `[beacons]`, `[beacon]`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from msgspec import Meta

from agent.config.section import (
    Duration,
    Latitude,
    Longitude,
    Name,
    NotNegative,
    OfDriver,
    Positive,
    Section,
    says,
    twice,
)
from agent.positioning.profiles import CHOOSABLE, IDLE
from agent.shapes import hint


class PositionConfig(Section, frozen=True, kw_only=True):
    """Where the rider is; see docs/positioning.md."""

    driver: Annotated[str, says("a driver of the kind gps")] = "gpsd"
    profile: Annotated[
        str, says("named defaults of the next three: `seed`, `economy`, `distance50`, `live`")
    ] = "seed"
    datum: Annotated[
        Literal["wgs84", "gcj02"], says("of the positions that are sent; each says which it is")
    ] = "wgs84"
    max_error_m: Annotated[
        Positive | None,
        says("metres by which the back end may be wrong; none: as the profile says"),
    ] = None
    moving_s: Annotated[
        NotNegative | None,
        says("longest silence of a moving rider; 0: no heartbeat; none: as the profile says"),
    ] = None
    still_s: Annotated[
        NotNegative | None, says("longest silence of a standing rider; likewise")
    ] = None
    gpsd: OfDriver = {}
    serial: OfDriver = {}
    replay: OfDriver = {}
    simulated: OfDriver = {}


class Privacy(Section, frozen=True, kw_only=True):
    """How much of a rider's whereabouts is collected; see docs/privacy.md."""

    consent: Annotated[
        Literal["required", "elsewhere"] | None,
        says(
            "`required`: no position before the rider's consent is recorded here; `elsewhere`: the"
            " employer keeps it; none: required, but for a recording or a simulation"
        ),
    ] = None
    notice: Annotated[Name, says("version of the text in force; a new one asks anew")] = "1"
    duty: Annotated[
        Literal["off", "idle", "delivering"],
        says("of a rider who has not used the duty switch; an order makes idle delivering"),
    ] = "delivering"
    cell_m: Annotated[
        float, Meta(ge=200, le=20_000), says("metres to which an idle rider's place is blurred")
    ] = 1000.0


class SurroundingsConfig(Section, frozen=True, kw_only=True):
    """Wi-Fi access points or the mobile cell, told while the receiver sees no sky; off without
    this section."""

    driver: Annotated[str, says("a driver of the kind surroundings")]
    every: Annotated[Duration, says("between two looks, and without a fix for as long")] = "60s"
    nmcli: OfDriver = {}
    mmcli: OfDriver = {}


class FenceConfig(Section, frozen=True, kw_only=True):
    """A circle (`lat`, `lon`, `radius_m`) or a `polygon` whose crossing the back end hears of."""

    id: Annotated[Name, says("its name in `fence` events")]
    lat: Annotated[Latitude | None, says("degrees WGS-84, of the centre")] = None
    lon: Annotated[Longitude | None, says("degrees WGS-84, of the centre")] = None
    radius_m: Annotated[Positive, says("metres")] = 100.0
    polygon: Annotated[
        list[tuple[Latitude, Longitude]],
        says("instead of the circle: three corners or more as `[lat, lon]`, in order"),
    ] = []
    dwell_s: Annotated[
        Positive | None, says("who is inside for so long is told of again; none: nobody")
    ] = None


class Beacons(Section, frozen=True, kw_only=True):
    """Bluetooth beacons of shops."""

    driver: Annotated[str, says("a driver of the kind beacons")] = "bluez"
    places: Annotated[
        str | None,
        says(
            "file that says which beacon hangs where; example: config/places.toml. none:"
            " /etc/edge-agent/places.toml if there is one, and what orders name"
        ),
    ] = None
    bluez: OfDriver = {}
    replay: OfDriver = {}
    simulated: OfDriver = {}


class BeaconConfig(Section, frozen=True, kw_only=True):
    """The device's own beacon: with this section it sends one; see docs/arrival.md."""

    driver: Annotated[str, says("a driver of the kind advertiser")] = "bluez"
    bluez: OfDriver = {}
    simulated: OfDriver = {}


def wrong_fences(fences: Sequence[FenceConfig]) -> Iterator[str]:
    for name in twice([fence.id for fence in fences]):
        yield f"fence.{name}: two fences have this id"
    for fence in fences:
        circle = fence.lat is not None and fence.lon is not None
        if circle == bool(fence.polygon) or 0 < len(fence.polygon) < 3:
            yield (
                f"fence.{fence.id}: needs either lat and lon or a polygon of three corners or more"
            )


def wrong_profile(position: PositionConfig) -> Iterator[str]:
    name, known = position.profile, sorted(CHOOSABLE)
    if name == IDLE:
        yield 'position.profile: a rider is made idle by the duty; set privacy.duty = "idle"'
    elif name not in CHOOSABLE:
        yield (
            f"position.profile: no profile {name!r}{hint(name, known)}; there are"
            f" {', '.join(known)}"
        )
