"""Metres and degrees, and the rule by which a server extrapolates a position message.

A sphere of mean Earth radius and a local plane: good to 0.3 % within a few kilometres, which is all
that neighbouring fixes need. Sender and server must use the same rule, this one.
"""

from __future__ import annotations

from math import atan2, cos, degrees, hypot, radians, sin

EARTH_RADIUS_M = 6371008.8  # mean radius, IUGG


def offset_m(lat0: float, lon0: float, lat: float, lon: float) -> tuple[float, float]:
    """Metres east and north of (lat0, lon0), with the scale of the latitude between."""
    east = radians((lon - lon0 + 180) % 360 - 180) * cos(radians((lat + lat0) / 2))
    return EARTH_RADIUS_M * east, EARTH_RADIUS_M * radians(lat - lat0)


def distance_m(lat0: float, lon0: float, lat: float, lon: float) -> float:
    return hypot(*offset_m(lat0, lon0, lat, lon))


def moved(lat: float, lon: float, east: float, north: float) -> tuple[float, float]:
    """The place `east` and `north` metres from (lat, lon)."""
    scale = max(cos(radians(lat)), 1e-6)
    there = lon + degrees(east / (EARTH_RADIUS_M * scale))
    return lat + degrees(north / EARTH_RADIUS_M), (there + 180) % 360 - 180


def extrapolate(
    lat: float, lon: float, speed: float | None, course: float | None, dt: float
) -> tuple[float, float]:
    """Where a server believes the rider to be `dt` seconds after a message.

    A speed of zero, below zero or unknown, or an unknown course, holds the position.
    """
    if speed is None or course is None or speed <= 0:
        return lat, lon
    heading = radians(course)
    return moved(lat, lon, speed * dt * sin(heading), speed * dt * cos(heading))


def velocity(speed: float, course: float) -> tuple[float, float]:
    """East and north components."""
    return speed * sin(radians(course)), speed * cos(radians(course))


def speed_course(east: float, north: float) -> tuple[float, float]:
    """m/s and degrees from true north."""
    return hypot(east, north), degrees(atan2(east, north)) % 360


def turn_deg(before: float, after: float) -> float:
    """How far a course turned, 0 to 180."""
    return abs((after - before + 180) % 360 - 180)
