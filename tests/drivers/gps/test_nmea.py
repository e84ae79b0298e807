"""Sentences become fixes; whatever is no sentence is counted, and nothing raises."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.base import Fix
from drivers.gps.nmea import MAX_LINE, Assembler
from tests.drivers.gps.talker import GSA, GSV, START, epoch, gga, rmc, sentence

CAPTURE = Path(__file__).parent / "captures" / "quirks.nmea"
EXPECTED = CAPTURE.with_suffix(".json")


def read(data: bytes, *, flush: bool = True) -> tuple[list[Fix], Counter[str]]:
    assembler = Assembler()
    fixes = list(assembler.feed(data, 1.0))
    return fixes + (list(assembler.flush()) if flush else []), assembler.rejected


def test_our_capture_gives_the_readings_beside_it() -> None:
    fixes, rejected = read(CAPTURE.read_bytes())
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    assert rejected == expected["rejected"]
    for fix, wanted in zip(fixes, expected["fixes"], strict=True):
        for name, value in wanted.items():
            near = pytest.approx(value, abs=1e-3 if name == "speed" else 2e-7)
            assert getattr(fix, name) == near, (wanted, name)


RMC = "GPRMC,061050.00,A,3113.82400,N,12128.42200,E,{speed},{course},221126,,,A"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (RMC.format(speed="10.0", course="65.13"), {"speed": 5.144444, "course": 65.13, "mode": 2}),
        (RMC.format(speed="0.0", course=""), {"speed": 0.0, "course": None}),
        (RMC.format(speed="", course=""), {"speed": None, "course": None}),
        (RMC.format(speed="1.0", course="360.0"), {"course": 0.0}),
        (RMC.format(speed="1.0", course="1").replace("GP", "QZ"), {"lat": 31.2304}),
        ("GPRMC,061050.037,V,,,,,,,221126,,,N", {"mode": 1, "lat": None, "utc": START + 0.037}),
        ("GPRMC,,V,,,,,,,,,,N", {"mode": 1, "utc": None}),
        ("GNGGA,061050.00,3113.82,S,12128.42,W,5,12,0.8,4,M,8,M,,", {"lat": -31.230333}),
        ("GNGGA,061050.00,3113.82,N,12128.42,E,7,12,0.8,4,M,8,M,,", {"mode": 1, "lat": None}),
        ("GNGGA,061050.00,,,,,0,00,99.99,,,,,,", {"mode": 1, "satellites": 0, "hdop": None}),
        ("GNGNS,061050.00,3113.82,N,12128.42,E,RNNA,19,0.7,4,8,,,V", {"mode": 2, "hdop": 0.7}),
        ("GNGNS,061050.00,,,,,NNNN,00,99.9,,,,,V", {"mode": 1}),
        ("GPGLL,3113.82,N,12128.42,E,061050.00,A,A", {"mode": 2, "speed": None}),
    ],
)
def test_a_sentence_alone_is_an_epoch(body: str, wanted: dict[str, object]) -> None:
    (fix,), rejected = read(sentence(body))
    assert not rejected
    for name, value in wanted.items():
        assert getattr(fix, name) == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (sentence("GPRMC,0").replace(b"*", b"*f"), "bad checksum"),
        (b"$GPRMC,061050.00,V\r\n", "no checksum"),
        (b"$GPRMC,\xff\xfe*00\r\n", "not ascii"),
        (b"what is this?\n", "not a sentence"),
        (b"x" * 2 * MAX_LINE + b"\n", "too long"),
        (sentence("GPRMC,256050.00,V,,,,,,,221126,,,N"), "malformed"),
        (sentence("GPRMC,061050.00,V,,,,,,,321326,,,N"), "malformed"),
        (sentence(RMC.format(speed="nan", course="")), "malformed"),
        (sentence(RMC.format(speed="1e5", course="")), "malformed"),
        (sentence(RMC.format(speed="-1", course="")), "malformed"),
        (sentence(RMC.format(speed="1", course="361")), "malformed"),
        (sentence(RMC.format(speed="1", course="").replace("3113.8", "9113.8")), "malformed"),
        (sentence(RMC.format(speed="1", course="").replace("3113.8", "3160.8")), "malformed"),
        (sentence(RMC.format(speed="1", course="").replace(",N,", ",X,")), "malformed"),
        (sentence(RMC.format(speed="1", course="").replace(",N,", ",,")), "malformed"),
    ],
)
def test_what_is_no_sentence_is_counted_by_cause(line: bytes, cause: str) -> None:
    assert read(line) == ([], Counter({cause: 1}))


@pytest.mark.parametrize(
    "noise", [b"$PSRF154,107*3D\r\n", b"# a note\r\n", b"!AIVDM,1,1,,A,1,0*1F\r\n", b"\r\n", GSV]
)
def test_what_concerns_others_is_passed_over_in_silence(noise: bytes) -> None:
    fixes, rejected = read(noise + epoch(START, 31.0, 121.0) + noise)
    assert len(fixes) == 1
    assert not rejected


def test_a_sentence_behind_binary_noise_is_still_read() -> None:
    fixes, _ = read(b"\xb5\x62" + b"\x00" * 2000 + gga(START, 31.0, 121.0))
    assert fixes[0].lat == pytest.approx(31.0)


def test_a_flood_without_a_line_end_does_not_grow() -> None:
    assembler = Assembler()
    for _ in range(200):
        assert not list(assembler.feed(b"\x00$" * 5000, 1.0))
    assert len(assembler._tail) <= MAX_LINE


@pytest.mark.parametrize("order", ["rmc gga", "gga rmc"])
def test_an_epoch_is_given_with_its_last_sentence_once_the_order_is_known(order: str) -> None:
    assembler = Assembler()
    for n in range(4):
        said = {
            "rmc": rmc(START + n, 31.0, 121.0, course=""),
            "gga": gga(START + n, 31.0, 121.0) + GSA + GSV,
        }
        first, last = (said[name] for name in order.split())
        early = list(assembler.feed(first, n + 0.1))
        late = list(assembler.feed(last, n + 0.4))
        if n:
            assert [fix.t for fix in late] == [n + 0.1]  # received with its first sentence
            assert late[0].utc == START + n
            assert late[0].speed == pytest.approx(5.0, abs=1e-3)
            assert late[0].satellites == 12
        assert len(early) == (1 if n == 1 else 0)  # the very first ends when the next begins


def test_a_change_of_order_costs_one_late_epoch_and_none_is_lost() -> None:
    assembler = Assembler()
    times = [
        fix.utc
        for n in range(20)
        for fix in assembler.feed(
            rmc(START + n, 31.0, 121.0) + (gga(START + n, 31.0, 121.0) if n % 4 == 0 else b""), n
        )
    ]
    assert times == [START + n for n in range(len(times))]
    assert len(times) >= 19


def test_a_receiver_that_contradicts_itself_has_no_fix() -> None:
    lost = sentence("GNRMC,061050.00,V,,,,,,,221126,,,N")
    (fix,), _ = read(gga(START, 31.0, 121.0) + lost)
    assert (fix.mode, fix.lat) == (1, None)


def test_one_of_several_constellations_suffices() -> None:
    none = sentence("GLGGA,061050.00,,,,,0,00,,,,,,,")
    (fix,), _ = read(rmc(START, 31.0, 121.0) + gga(START, 31.0, 121.0) + none)
    assert (fix.mode, fix.satellites) == (2, 12)


def test_the_day_turns_over_at_midnight_without_a_date() -> None:
    last = START - START % 86400 + 86399
    data = rmc(last, 31.0, 121.0) + gga(last, 31.0, 121.0) + gga(last + 1, 31.0, 121.0)
    assert [fix.utc for fix in read(data)[0]] == [last, last + 1]


def test_zda_gives_the_date_to_a_receiver_without_rmc() -> None:
    zda = sentence("GPZDA,061050.00,22,11,2026,00,00")
    assert read(zda + gga(START, 31.0, 121.0))[0][0].utc == START


def test_gst_gives_the_sigma() -> None:
    gst = sentence("GNGST,061050.00,2.1,3.0,2.0,10.0,2.5,1.5,4.0")
    assert read(rmc(START, 31.0, 121.0) + gst)[0][0].sigma == 2.5


def test_vtg_gives_the_motion_where_rmc_is_missing() -> None:
    vtg = sentence("GNVTG,65.1,T,,M,10.0,N,18.52,K,A")
    (fix,), _ = read(vtg + gga(START, 31.0, 121.0))
    assert (fix.speed, fix.course) == (pytest.approx(5.1444, abs=1e-3), 65.1)


def test_a_speed_that_comes_with_every_fourth_position_only_belongs_to_that_one() -> None:
    assembler = Assembler()
    said = [
        gga(START + n, 31.0, 121.0) + (rmc(START + n, 31.0, 121.0) if n % 4 == 0 else b"")
        for n in range(20)
    ]
    fixes = [fix for n, data in enumerate(said) for fix in assembler.feed(data, n)]
    fixes += assembler.flush()
    assert [fix.utc for fix in fixes] == [START + n for n in range(20)]
    with_speed = [n for n, fix in enumerate(fixes) if fix.speed is not None]
    assert with_speed in ([0, 4, 8, 12, 16], [0, 8, 12, 16])  # learning costs one at most


@pytest.mark.parametrize("order", ["vtg gga", "gga vtg"])
def test_a_vtg_speaks_for_the_position_beside_it(order: str) -> None:
    assembler = Assembler()
    speeds: list[float | None] = []
    for n in range(6):
        said = {
            "vtg": sentence(f"GNVTG,65.1,T,,M,{n}.0,N,18.52,K,A"),
            "gga": gga(START + n, 31.0, 121.0),
        }
        for fix in assembler.feed(b"".join(said[word] for word in order.split()), float(n)):
            speeds.append(fix.speed and round(fix.speed * 3600 / 1852))  # noqa: PERF401
    speeds += [fix.speed and round(fix.speed * 3600 / 1852) for fix in assembler.flush()]
    assert speeds[2:] == [2, 3, 4, 5]


def test_an_old_vtg_does_not_speak_for_a_new_position() -> None:
    vtg = sentence("GNVTG,65.1,T,,M,10.0,N,18.52,K,A")
    fixes, _ = read(vtg + gga(START, 31.0, 121.0) + gga(START + 1, 31.0, 121.0))
    assert [fix.course for fix in fixes] == [65.1, None]


def test_a_position_that_the_receiver_made_up_is_none() -> None:
    assert read(gga(START, 31.0, 121.0, quality=8))[0][0].mode == 1


def test_sentences_are_counted_by_their_type() -> None:
    assembler = Assembler()
    made_up = b"".join(sentence(f"GP{a}{b}X") for a in "ABCDEFGH" for b in "ABCDEFGH")
    noise = sentence("PSRF154,1") + sentence("GP\x1b[2") + made_up
    list(assembler.feed(epoch(START, 31.0, 121.0) + noise, 1.0))
    assert assembler.kinds["RMC"] == assembler.kinds["GSV"] == 1
    assert assembler.kinds.total() == assembler.sentences
    assert len(assembler.kinds) <= 33
    assert all(kind.isalpha() for kind in assembler.kinds)


@given(st.lists(st.integers(1, 400), max_size=40))
@settings(max_examples=40, deadline=None)
def test_how_the_bytes_are_cut_does_not_matter(cuts: list[int]) -> None:
    data, assembler = CAPTURE.read_bytes(), Assembler()
    whole, rejected = read(data)
    fixes: list[Fix] = []
    for cut in cuts:
        fixes += assembler.feed(data[:cut], 1.0)
        data = data[cut:]
    fixes += assembler.feed(data, 1.0)
    assert [*fixes, *assembler.flush()] == whole
    assert assembler.rejected == rejected


def _fields() -> st.SearchStrategy[bytes]:
    field = st.one_of(
        st.sampled_from(
            ["", "A", "V", "N", "E", "061050.00", "3113.82", "221126", "1", "3", "nan"]
        ),
        st.text(st.characters(max_codepoint=126, min_codepoint=32), max_size=8),
    )
    kinds = st.sampled_from(["RMC", "GGA", "GNS", "GLL", "GSA", "GST", "VTG", "ZDA"])
    body = st.builds(lambda kind, rest: f"GN{kind}," + ",".join(rest), kinds, st.lists(field))
    return body.map(sentence)


@given(st.lists(st.one_of(st.binary(max_size=300), _fields()), max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_fixes_or_counted_rejections(chunks: list[bytes]) -> None:
    assembler = Assembler()
    for n, chunk in enumerate(chunks):
        for fix in assembler.feed(chunk, float(n)):
            assert fix.lat is None or -90 <= fix.lat <= 90
            assert fix.mode < 2 or (fix.lat is not None and fix.lon is not None)
    assert len(assembler._tail) <= MAX_LINE


# --- recordings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "epochs", "positions", "rejected"),
    [
        ("google_mtv_f9k/MTV.Local1.ublox-F9K.20200206-181434.nmea.gz", 1654, 1654, 13),
        ("genivi/20100403_Z205_Switzerland.txt.gz", 10412, 10327, 0),
    ],
)
def test_real_drives_are_read_whole(
    recordings: Path, name: str, epochs: int, positions: int, rejected: int
) -> None:
    assembler = Assembler()
    with gzip.open(recordings / "gps" / name) as file:
        fixes = [fix for n, line in enumerate(file) for fix in assembler.feed(line, n / 100)]
    fixes += assembler.flush()
    assert len(fixes) == epochs
    assert sum(fix.mode >= 2 for fix in fixes) == positions
    assert assembler.rejected.total() == rejected
