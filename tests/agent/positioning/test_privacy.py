"""What may be known of a rider: who decides, and that a blurred place is no more than its cell."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.positioning.geodesy import distance_m, moved, offset_m
from agent.positioning.privacy import (
    HYSTERESIS,
    NOISE,
    RADIUS_68,
    Blur,
    Cell,
    Consent,
    Duty,
    Grid,
    mode_of,
)

SECRET, OTHER = b"a" * 32, b"b" * 32
GRID = Grid(1000.0)
HOME = (31.2304, 121.4737)
lats, lons = st.floats(-89, 89), st.floats(-180, 180, exclude_max=True)


# --- who decides ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duty", "live_orders", "mode"),
    [
        ("off", False, "off"),
        ("off", True, "off"),
        ("idle", False, "idle"),
        ("idle", True, "delivery"),
        ("delivering", False, "delivery"),
        ("delivering", True, "delivery"),
    ],
)
def test_duty_and_live_orders_decide_how_exactly_a_rider_is_located(
    duty: Duty, live_orders: bool, mode: str
) -> None:
    assert mode_of(consent=True, duty=duty, live_orders=live_orders, sos=False) == mode


def test_without_consent_nothing_but_an_sos_locates_anybody() -> None:
    duties: tuple[Duty, ...] = ("off", "idle", "delivering")
    for duty, live in product(duties, (False, True)):
        assert mode_of(consent=False, duty=duty, live_orders=live, sos=False) == "off"
        for consent in (False, True):
            assert mode_of(consent=consent, duty=duty, live_orders=live, sos=True) == "delivery"


def test_a_consent_covers_the_text_that_was_shown_and_no_other() -> None:
    given_ = Consent(given=True, person="r7", notice="2026-11", by="cli", t=0)
    assert given_.covers("2026-11")
    assert not given_.covers("2027-01")
    assert not Consent(given=False, person="r7", notice="2026-11", by="cli", t=0).covers("2026-11")


# --- the grid -------------------------------------------------------------------------------------


@given(lats, lons, st.floats(200, 20_000))
def test_every_place_is_in_one_cell_of_about_the_side_asked_for(
    lat: float, lon: float, side_m: float
) -> None:
    grid = Grid(side_m)
    cell = grid.cell(lat, lon)
    assert grid.holds(cell, lat, lon, margin=1e-6)
    corner, across, up = (grid.place(cell, *part) for part in ((0, 0), (0, 1), (1, 0)))
    assert distance_m(*corner, *up) == pytest.approx(side_m, rel=1e-3)
    if abs(lat) < 60:
        assert distance_m(*corner, *across) == pytest.approx(side_m, rel=0.01)


@given(lats, lons, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
@example(lat=0.0, lon=179.99999999999997, north=0.5, east=0.5)
def test_neighbours_do_not_overlap(lat: float, lon: float, north: float, east: float) -> None:
    cell = GRID.cell(lat, lon)
    assert GRID.cell(*GRID.place(cell, north, east)) == cell


@pytest.mark.parametrize("lat", [0.0, 31.23, -89.0, 89.9])
def test_the_last_column_is_beside_the_first(lat: float) -> None:
    """Who stands at the date line does not draw it either."""
    cell = GRID.cell(lat, 180.0)
    assert cell == GRID.cell(lat, -180.0)
    assert cell.column == 0
    columns = GRID.cell(lat, 179.999999999).column + 1
    west = 360 / columns * HYSTERESIS / 2
    assert not GRID.holds(cell, lat, 180.0 - west)
    assert GRID.holds(cell, lat, 180.0 - west, margin=HYSTERESIS)
    assert GRID.holds(GRID.cell(lat, 180.0 - west), lat, west - 180.0, margin=HYSTERESIS)


# --- what is told ---------------------------------------------------------------------------------


def told(walk: list[tuple[float, float]], secret: bytes = SECRET) -> list[tuple[float, float]]:
    """Everything that a server can hear of a walk: here every report is due."""
    blur = Blur(GRID, secret, every_s=0.0)
    found = (blur.react(float(t), *place) for t, place in enumerate(walk))
    return [(here.lat, here.lon) for here in found if here is not None]


def inside(cell: Cell, numbers: random.Random) -> tuple[float, float]:
    return GRID.place(cell, numbers.uniform(0.001, 0.999), numbers.uniform(0.001, 0.999))


def test_ten_thousand_reports_from_anywhere_in_a_cell_are_one_place() -> None:
    """So their average, their spread and their order say nothing finer than the cell."""
    numbers = random.Random(1)
    cell = GRID.cell(*HOME)
    assert len(set(told([inside(cell, numbers) for _ in range(10_000)]))) == 1


def test_nor_does_standing_at_one_door_of_it() -> None:
    numbers = random.Random(2)
    cell = GRID.cell(*HOME)
    doors = [inside(cell, numbers) for _ in range(100)]
    assert len({place for door in doors for place in told([door] * 100)}) == 1


def test_nor_a_walk_within_it_through_many_restarts() -> None:
    numbers = random.Random(3)
    cell = GRID.cell(*HOME)
    here, heard = inside(cell, numbers), set()
    for _ in range(100):  # the process starts anew; the secret is kept
        walk = []
        for _ in range(100):
            there = moved(*here, numbers.gauss(0, 20), numbers.gauss(0, 20))
            here = there if GRID.holds(cell, *there) else here
            walk.append(here)
        heard |= set(told(walk))
    assert len(heard) == 1


def test_a_walk_through_a_town_tells_its_cells_and_nothing_else() -> None:
    """Two riders who visit the same cells in the same order cannot be told apart."""
    numbers = random.Random(4)
    cells = [Cell(GRID.cell(*HOME).row, GRID.cell(*HOME).column + n) for n in range(5)]
    routes = [[inside(cell, numbers) for cell in cells for _ in range(50)] for _ in range(2)]
    apart = max(distance_m(*a, *b) for a, b in zip(*routes, strict=True))
    assert apart > 500
    middles = [
        [place for place in route if GRID.holds(GRID.cell(*place), *place, margin=-2 * HYSTERESIS)]
        for route in routes
    ]
    assert set(told(middles[0])) == set(told(middles[1]))
    assert len(set(told(middles[0]))) == 5


def test_who_lives_at_a_border_does_not_draw_it() -> None:
    numbers = random.Random(5)
    west = GRID.cell(*HOME)
    home = GRID.place(west, 0.5, 1.0)  # on the line to the cell in the east
    start = GRID.place(west, 0.5, 0.9)
    walk = [moved(*home, numbers.uniform(-100, 100), 0.0) for _ in range(10_000)]
    assert len(set(told([start, *walk]))) == 1


def test_the_place_is_no_further_off_than_it_says_but_for_a_few_and_in_no_known_direction() -> None:
    numbers = random.Random(6)
    near, offsets = 0, []
    for n in range(4000):
        place = (numbers.uniform(20, 50), numbers.uniform(80, 130))
        (there,) = told([place], secret=n.to_bytes(4))
        off = distance_m(*place, *there)
        near += off < RADIUS_68 * GRID.side_m
        assert off < (0.5 + NOISE) * 1.42 * GRID.side_m
        offsets.append(offset_m(*GRID.place(GRID.cell(*place), 0.5, 0.5), *there))
    assert 0.68 * 4000 < near < 0.8 * 4000
    assert max(abs(east) for east, _ in offsets) > 0.9 * NOISE * GRID.side_m
    assert abs(sum(north for _, north in offsets)) / 4000 < 10


def test_devices_do_not_share_their_noise() -> None:
    assert told([HOME], SECRET) != told([HOME], OTHER)


def test_reports_come_at_fixed_times_whatever_the_rider_does() -> None:
    numbers = random.Random(7)
    for speed in (0.0, 3.0, 15.0):
        blur, here, times = Blur(GRID, SECRET, every_s=120.0), HOME, []
        for t in range(3600):
            here = moved(*here, speed * numbers.uniform(0.5, 1), 0.0)
            if (found := blur.react(float(t), *here)) is not None:
                times.append(t)
                assert found.first == (t == 0)
                assert found.acc == 550
        assert times == list(range(0, 3600, 120))
