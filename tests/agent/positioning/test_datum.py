"""Datums against figures of others, against their own inverses, and on the map."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.positioning.china import in_mainland
from agent.positioning.datum import (
    Datum,
    bd09_to_gcj02,
    convert,
    gcj02_to_bd09,
    gcj02_to_wgs84,
    wgs84_to_gcj02,
)
from agent.positioning.geodesy import distance_m

DATUMS: tuple[Datum, ...] = ("wgs84", "gcj02", "bd09")

# WGS-84, GCJ-02, BD-09 (lat, lon) as the package prcoords 1.0.2 (CC0) says; the GCJ-02 of the first
# one also stands in the tests of a dozen other implementations, e.g. wandergis/coordtransform.
KNOWN = [
    ((39.915, 116.404), (39.9164042815, 116.4102444992), (39.9226995522, 116.4166272438)),
    ((31.2304, 121.4737), (31.2284577376, 121.4782230593), (31.2343105937, 121.4847814685)),
    ((43.8256, 87.6168), (43.8268053931, 87.6196499495), (43.8329497948, 87.6260997708)),
    ((29.65, 91.1), (29.6473003291, 91.1015682835), (29.6534194156, 91.1080373741)),
    ((39.4704, 75.9898), (39.4706270260, 75.9927549902), (39.4765899091, 75.9992636471)),
    ((45.8038, 126.535), (45.8057815251, 126.5410403502), (45.8113958229, 126.5476592141)),
    ((18.2528, 109.512), (18.2510944953, 109.5160840103), (18.2568775339, 109.5226312942)),
    ((22.5431, 114.0579), (22.5403828142, 114.0630139986), (22.5460415591, 114.0695639870)),
    ((40.1244, 124.3832), (40.1259904077, 124.3890315088), (40.1316623040, 124.3956514191)),
]  # fmt: skip

INSIDE = {
    "Beijing": (39.9, 116.4), "Urumqi": (43.83, 87.62), "Lhasa": (29.65, 91.1),
    "Kashgar": (39.47, 75.99), "Harbin": (45.8, 126.53), "Sanya": (18.25, 109.51),
    "Shenzhen": (22.543, 114.058), "Shekou": (22.483, 113.915), "Futian port": (22.53, 114.07),
    "Yantian": (22.58, 114.27), "Zhuhai": (22.271, 113.567), "Gongbei": (22.222, 113.549),
    "Kunming": (25.04, 102.72), "Hohhot": (40.84, 111.75), "Mohe": (53.48, 122.34),
    "Dandong": (40.124, 124.383), "Jinghong": (22.01, 100.8), "Haikou": (20.03, 110.35),
    "Xiamen": (24.48, 118.09), "Heihe": (50.245, 127.528), "Manzhouli": (49.597, 117.378),
    "Erenhot": (43.653, 111.977), "Khorgos": (44.213, 80.41), "Yining": (43.92, 81.32),
    "Ruili": (24.01, 97.85), "Dongxing": (21.548, 107.972), "Hekou": (22.529, 103.94),
    "Pingxiang": (22.1, 106.76), "Hunchun": (42.863, 130.366), "Tumen": (42.968, 129.843),
    "Suifenhe": (44.412, 131.15), "Ji'an": (41.125, 126.19), "Qingdao": (36.07, 120.38),
    "Dalian": (38.91, 121.61), "Zhoushan": (30.01, 122.2), "Shanghai": (31.23, 121.47),
    "Zhangmu": (27.99, 85.98), "Yadong": (27.49, 88.91), "Tashkurgan": (37.77, 75.23),
    "Chongming": (31.63, 121.4), "Weihai": (37.51, 122.12), "Pingtan": (25.5, 119.79),
}  # fmt: skip

OUTSIDE = {
    "Hanoi": (21.03, 105.85), "Seoul": (37.57, 126.98), "Ulaanbaatar": (47.92, 106.92),
    "Hong Kong": (22.28, 114.16), "Sheung Shui": (22.505, 114.128), "Lok Ma Chau": (22.505, 114.07),
    "Tuen Mun": (22.39, 113.97), "Chek Lap Kok": (22.31, 113.91), "Tin Shui Wai": (22.46, 114.0),
    "Sha Tau Kok": (22.53, 114.22), "Macau": (22.198, 113.544), "Taipa": (22.156, 113.557),
    "Taipei": (25.03, 121.57), "Kaohsiung": (22.63, 120.3), "Penghu": (23.57, 119.57),
    "Vientiane": (17.97, 102.6), "Almaty": (43.24, 76.89), "Vladivostok": (43.12, 131.89),
    "Kathmandu": (27.72, 85.32), "Bishkek": (42.87, 74.59), "Sinuiju": (40.09, 124.4),
    "Lao Cai": (22.48, 103.97), "Mong Cai": (21.525, 107.965), "Osh": (40.53, 72.8),
    "Blagoveshchensk": (50.29, 127.53), "Khabarovsk": (48.48, 135.07), "Thimphu": (27.47, 89.64),
    "Myitkyina": (25.38, 97.4), "Lang Son": (21.85, 106.76), "Pyongyang": (39.03, 125.75),
    "Zabaykalsk": (49.65, 117.33), "Zamyn-Uud": (43.72, 111.9), "Leh": (34.15, 77.58),
    "Jeju": (33.5, 126.53), "Fukuoka": (33.59, 130.4), "Naha": (26.2, 127.7),
    "Manila": (14.6, 121.0), "Zurich": (47.4, 8.5), "Mountain View": (37.4, -122.1),
}  # fmt: skip


@pytest.mark.parametrize(("wgs", "gcj", "bd"), KNOWN)
def test_the_formulas_are_those_that_others_use(
    wgs: tuple[float, float], gcj: tuple[float, float], bd: tuple[float, float]
) -> None:
    places = {"wgs84": wgs, "gcj02": gcj, "bd09": bd}
    for given_ in DATUMS:
        for wanted in DATUMS:
            found = convert(*places[given_], given_, wanted)
            assert distance_m(*found, *places[wanted]) < 1e-4, (given_, wanted)


def test_the_way_there_and_back_ends_within_a_fraction_of_a_millimetre() -> None:
    numbers = random.Random(5)
    places = [(numbers.uniform(19, 53), numbers.uniform(75, 134)) for _ in range(9000)]
    inland = [place for place in places if in_mainland(*place)]
    assert len(inland) > 3000
    back = bad = baidu = 0.0
    for place in inland:
        shifted = wgs84_to_gcj02(*place)
        assert 20 < distance_m(*place, *shifted) < 700
        if not in_mainland(*shifted):
            continue  # within a shift of the border, where Baidu's does not apply any more
        back = max(back, distance_m(*place, *gcj02_to_wgs84(*shifted)))
        twice = gcj02_to_bd09(*shifted)
        baidu = max(baidu, distance_m(*shifted, *bd09_to_gcj02(*twice)))
        bad = max(bad, distance_m(*place, *convert(*twice, "bd09", "wgs84")))
    assert back < 0.00015
    assert baidu < 0.00015
    assert bad < 0.0003


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_every_place_on_earth_has_a_place_in_every_datum(lat: float, lon: float) -> None:
    for given_ in DATUMS:
        for wanted in DATUMS:
            found = convert(lat, lon, given_, wanted)
            if not in_mainland(lat, lon):
                assert found == (lat, lon) or in_mainland(*found)
            assert distance_m(lat, lon, *found) < 2200


@given(st.floats(30, 32), st.floats(112, 114), st.floats(-300, 300), st.floats(-300, 300))
def test_places_of_one_street_are_moved_alike(
    lat: float, lon: float, north: float, east: float
) -> None:
    """So a back end may extrapolate in the datum that it was given."""
    here, there = (lat, lon), (lat + north / 111_195, lon + east / 95_000)
    apart = distance_m(*here, *there)
    shifted = distance_m(*wgs84_to_gcj02(*here), *wgs84_to_gcj02(*there))
    assert abs(apart - shifted) < 0.01 * apart + 1e-6


@pytest.mark.parametrize("name", INSIDE)
def test_a_town_of_mainland_china_is_shifted(name: str) -> None:
    assert in_mainland(*INSIDE[name])
    assert wgs84_to_gcj02(*INSIDE[name]) != INSIDE[name]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_town_elsewhere_stays_where_it_is(name: str) -> None:
    place = OUTSIDE[name]
    for given_ in DATUMS:
        for wanted in DATUMS:
            assert convert(*place, given_, wanted) == place
