"""WGS-84, GCJ-02 and BD-09: the datums of receivers, of Chinese maps, and of Baidu's; pure.

GCJ-02 moves every place of mainland China by 20 to 700 m, smoothly: within a few hundred metres
all places move alike to a metre. Whoever draws WGS-84 on such a map shows the wrong street. The
formula is not published by its owner; this is the one that all public implementations agree on
(the polynomial and the sines, in metres, of PRCoords, CC0; the ellipsoid is Krasovsky's of 1940).
It has no closed inverse: a fixed point is approached, by three steps to 0.16 mm, by four to a
micrometre.

Angles are degrees. Outside of mainland China (see china.py) a datum changes nothing. Within a
kilometre of that border a place in GCJ-02 may stand for two in WGS-84; the one inside is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from math import atan2, cos, hypot, pi, radians, sin, sqrt
from typing import Literal

from agent.positioning.china import in_mainland

Datum = Literal["wgs84", "gcj02", "bd09"]
Place = tuple[float, float]  # latitude, longitude

AXIS_M = 6378245.0  # semi-major axis, Krasovsky 1940
ECCENTRICITY_2 = 0.00669342162296594323  # of the same, squared
BAIDU_LAT, BAIDU_LON = 0.006, 0.0065
BAIDU_TURNS = 3000 * pi / 180
STEPS = 4


def convert(lat: float, lon: float, given: Datum, wanted: Datum) -> Place:
    """The same place in another datum."""
    if given == wanted:
        return lat, lon
    if given == "bd09":
        lat, lon = bd09_to_gcj02(lat, lon)
    if wanted == "wgs84":
        return gcj02_to_wgs84(lat, lon)
    if given == "wgs84":
        lat, lon = wgs84_to_gcj02(lat, lon)
    return gcj02_to_bd09(lat, lon) if wanted == "bd09" else (lat, lon)


def wgs84_to_gcj02(lat: float, lon: float) -> Place:
    return _shifted(lat, lon) if in_mainland(lat, lon) else (lat, lon)


def gcj02_to_wgs84(lat: float, lon: float) -> Place:
    """To a micrometre."""
    found = _solve(_shifted, lat, lon)
    return found if in_mainland(*found) else (lat, lon)


def gcj02_to_bd09(lat: float, lon: float) -> Place:
    """Baidu shifts what lies in China by another kilometre; elsewhere it uses WGS-84."""
    return _baidu(lat, lon) if in_mainland(lat, lon) else (lat, lon)


def bd09_to_gcj02(lat: float, lon: float) -> Place:
    """To 0.02 mm."""
    found = _solve(_baidu, lat, lon)
    return found if in_mainland(*found) else (lat, lon)


def _solve(forward: Callable[[float, float], Place], lat: float, lon: float) -> Place:
    """What `forward` maps to this place; each step shrinks the error to a hundredth or less."""
    there_lat, there_lon = lat, lon
    for _ in range(STEPS):
        mapped_lat, mapped_lon = forward(there_lat, there_lon)
        there_lat, there_lon = there_lat + lat - mapped_lat, there_lon + lon - mapped_lon
    return there_lat, there_lon


def _shifted(lat: float, lon: float) -> Place:
    """Metres are turned into degrees on Krasovsky's ellipsoid, whatever the place was given on."""
    x, y = lon - 105.0, lat - 35.0
    ripple = 40 / 3 * (sin(6 * pi * x) + sin(2 * pi * x))
    north = (
        -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x))
        + ripple + 40 / 3 * sin(pi * y) + 80 / 3 * sin(pi / 3 * y)
        + 320 / 3 * sin(pi / 12 * y) + 640 / 3 * sin(pi / 30 * y)
    )  # fmt: skip
    east = (
        300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x))
        + ripple + 40 / 3 * sin(pi * x) + 80 / 3 * sin(pi / 3 * x)
        + 100 * sin(pi / 12 * x) + 200 * sin(pi / 30 * x)
    )  # fmt: skip
    phi = radians(lat)
    w = 1 - ECCENTRICITY_2 * sin(phi) ** 2
    meridian_m = radians(AXIS_M * (1 - ECCENTRICITY_2) / w**1.5)  # a degree of latitude
    parallel_m = radians(AXIS_M * cos(phi) / sqrt(w))  # a degree of longitude
    return lat + north / meridian_m, lon + east / parallel_m


def _baidu(lat: float, lon: float) -> Place:
    r = hypot(lon, lat) + 0.00002 * sin(lat * BAIDU_TURNS)
    angle = atan2(lat, lon) + 0.000003 * cos(lon * BAIDU_TURNS)
    return r * sin(angle) + BAIDU_LAT, r * cos(angle) + BAIDU_LON
