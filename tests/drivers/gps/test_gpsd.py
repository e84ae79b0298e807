"""The gpsd driver against a real gpsd on a pty, and its decoder against anything."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.clock import ManualClock, SystemClock
from agent.core.health import Health
from agent.core.supervisor import Supervisor
from agent.positioning.profiles import profile
from agent.positioning.service import PositioningService
from drivers.base import DriverError, Fix
from drivers.gps import gpsd
from tests.drivers.gps.talker import Talker
from tests.support import ListRecorder, free_port, until

GPSD = shutil.which("gpsd", path="/usr/sbin:/usr/bin")


class Gpsd:
    """A real gpsd that reads a talker's pty."""

    def __init__(self, talker: Talker, folder: Path) -> None:
        self.port = free_port()
        self._command = [
            *(GPSD or "gpsd", "-N", "-n", "-b", "-s", "115200", "-S", str(self.port)),
            *("-F", str(folder / "control.sock"), talker.device),
        ]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def talker() -> Iterator[Talker]:
    if GPSD is None:
        pytest.skip("gpsd is not installed")
    talker = Talker()
    yield talker
    talker.unplug()


@pytest.fixture
def daemon(talker: Talker, tmp_path: Path) -> Iterator[Gpsd]:
    daemon = Gpsd(talker, tmp_path)
    yield daemon
    daemon.stop()


async def _connected(port: int) -> None:
    """Until gpsd listens."""
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            return
        await asyncio.sleep(0.02)


def test_fixes_of_a_real_gpsd(daemon: Gpsd) -> None:
    async def main() -> list[Fix]:
        await asyncio.wait_for(_connected(daemon.port), 20)
        fixes: list[Fix] = []
        settings_ = gpsd.Settings(port=daemon.port)
        async with gpsd.open_receiver(settings_, SystemClock()) as receiver:
            async for fix in receiver.fixes():
                fixes.append(fix)
                if len(fixes) == 6:
                    assert not receiver.rejected
                    return fixes
        raise AssertionError

    fixes = asyncio.run(main())
    fix = fixes[-1]
    assert fix.mode == 3
    assert fix.lat == pytest.approx(31.0, abs=0.01)
    assert fix.lon == pytest.approx(121.0, abs=1e-6)
    assert fix.speed == pytest.approx(5.0, abs=0.01)  # gpsd-py3's getter would say 0
    assert fix.course == pytest.approx(90.0)
    assert fix.sigma is None  # a DOP is no sigma
    assert len({fix.utc for fix in fixes}) == len(fixes)


def test_a_restart_of_gpsd_and_a_dead_receiver_are_noticed_and_got_over(
    talker: Talker, daemon: Gpsd
) -> None:
    async def main() -> None:
        clock = SystemClock()
        health = Health(clock)
        wanted = gpsd.Settings(port=daemon.port, silence_s=1.0)
        service = PositioningService(
            open_receiver=lambda: gpsd.open_receiver(wanted, clock),
            clock=clock,
            recorder=ListRecorder(),
            health=health,
            profile=profile("seed"),
        )

        def codes() -> set[str]:
            return {condition.code for condition in health.conditions()}

        def fresh_after(t: float) -> bool:
            return service.last is not None and service.last.t > t

        async with asyncio.timeout(60):
            task = asyncio.create_task(Supervisor(clock, health).run([service]))
            await until(lambda: fresh_after(0), "first fix")

            daemon.stop()
            await until(lambda: "service.positioning" in codes(), "gpsd is gone")
            daemon.start()
            restarted = clock.monotonic()
            await until(lambda: fresh_after(restarted), "fixes after the restart")
            assert "service.positioning" not in codes()

            talker.silent.set()
            await until(lambda: "service.positioning" in codes(), "the receiver is silent")
            silent = service.last
            talker.silent.clear()
            await until(lambda: service.last is not silent, "fixes again")
            assert service.last is not None
            assert silent is not None
            assert service.last.t > silent.t + 1.0  # nothing old was given as new
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(main())


def test_gpsd_is_heard_again_soon_however_long_it_was_away(talker: Talker, daemon: Gpsd) -> None:
    async def main() -> float:
        clock = SystemClock()
        health = Health(clock)
        wanted = gpsd.Settings(port=daemon.port)
        service = PositioningService(
            open_receiver=lambda: gpsd.open_receiver(wanted, clock),
            clock=clock,
            recorder=ListRecorder(),
            health=health,
            profile=profile("seed"),
        )

        def texts() -> dict[str, str]:
            return {condition.code: condition.text for condition in health.conditions()}

        async with asyncio.timeout(60):
            task = asyncio.create_task(Supervisor(clock, health).run([service]))
            await until(lambda: service.last, "first fix")
            daemon.stop()
            await until(lambda: "systemctl start gpsd" in str(texts()), "its absence is told")
            gone = clock.monotonic()
            await until(lambda: clock.monotonic() - gone > 3.6, "the back-off has grown")
            daemon.start()
            back = clock.monotonic()
            await until(lambda: service.last and service.last.t > back, "fixes again")
            took = clock.monotonic() - back
            assert "service.positioning" not in texts()
            task.cancel()
            await asyncio.wait([task])
            return took

    print(
        f"\nheard again {asyncio.run(main()):.1f} s after gpsd was started"
    )  # measured, not judged


def test_no_gpsd_is_an_error_that_says_what_to_do() -> None:
    async def main() -> None:
        async with gpsd.open_receiver(gpsd.Settings(port=free_port()), SystemClock()):
            raise AssertionError

    with pytest.raises(DriverError, match="start it with: systemctl start gpsd"):
        asyncio.run(main())


# --- the decoder ----------------------------------------------------------------------------------


def read(*lines: bytes, settings_: gpsd.Settings | None = None) -> tuple[list[Fix], dict[str, int]]:
    """The fixes that a gpsd gives which says this and closes."""

    async def main() -> tuple[list[Fix], dict[str, int]]:
        reader = asyncio.StreamReader(limit=gpsd.LINE_MAX)
        reader.feed_data(b"".join(line + b"\r\n" for line in lines))
        reader.feed_eof()
        receiver = gpsd.GpsdReceiver(settings_ or gpsd.Settings(), ManualClock(), reader)
        fixes: list[Fix] = []

        async def listen() -> None:
            async for fix in receiver.fixes():
                fixes.append(fix)  # noqa: PERF401 - an error ends it, and what came before counts

        with pytest.raises(DriverError, match="closed the connection"):
            await listen()
        return fixes, dict(receiver.rejected)

    return asyncio.run(main())


def tpv(**fields: object) -> bytes:
    said = {
        "class": "TPV",
        "mode": 3,
        "lat": 31.2,
        "lon": 121.4,
        "time": "2026-11-22T06:10:50.000Z",
    }
    return msgspec.json.encode(said | fields)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (tpv(speed=1.0, eps=20.0), {"speed": 1.0, "course": None}),
        (tpv(speed=5.0, track=90.0), {"speed": 5.0, "course": 90.0, "utc": 1795327850.0}),
        (tpv(mode=1), {"mode": 1, "lat": None}),
        (tpv(mode=0), {"mode": 0, "lat": None}),
        (tpv(lat=None), {"mode": 1, "lat": None}),
        (tpv(time=None), {"mode": 3, "utc": None}),
        (b'{"class":"TPV"}', {"mode": 0}),
    ],
)
def test_what_gpsd_leaves_out_is_unknown_and_not_zero(
    line: bytes, wanted: dict[str, object]
) -> None:
    (fix,), rejected = read(line)
    assert not rejected
    for name, value in wanted.items():
        assert getattr(fix, name) == value, name


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"class":"TPV","mode":"3"}',
        b'{"class":"TPV","mode":9}',
        tpv(lat=91.0),
        tpv(speed=-1.0),
        tpv(time="yesterday"),
        b'{"class":"SKY","satellites":[1]}',
        b"[" * 60_000,
        b"x" * 200_000,
    ],
)
def test_what_is_no_report_is_counted(line: bytes) -> None:
    fixes, rejected = read(line, tpv())
    assert len(fixes) == 1
    assert sum(rejected.values()) == 1


def test_the_same_time_is_given_once() -> None:
    assert len(read(tpv(), tpv(speed=2.0), tpv(time="2026-11-22T06:10:51.000Z"))[0]) == 2


def test_satellites_and_hdop_come_from_the_sky() -> None:
    sky = b'{"class":"SKY","hdop":0.8,"satellites":[{"PRN":1,"used":true},{"PRN":2}]}'
    (fix,), _ = read(sky, b'{"class":"SKY","vdop":1.0}', tpv())
    assert (fix.hdop, fix.satellites) == (0.8, 1)


DEVICES = b'{"class":"DEVICES","devices":[{"path":"/dev/a","driver":"u-blox","bps":9600}]}'


def test_gpsd_says_who_its_receiver_is() -> None:
    async def main() -> None:
        reader = asyncio.StreamReader(limit=gpsd.LINE_MAX)
        sky = b'{"class":"SKY","satellites":[{"used":true},{},{}]}'
        subtype = b'{"class":"DEVICE","path":"/dev/a","driver":"u-blox","subtype":"M8\\u001b[2J"}'
        reader.feed_data(b"\n".join([DEVICES, subtype, sky, tpv(), b""]))
        receiver = gpsd.GpsdReceiver(gpsd.Settings(), ManualClock(), reader)
        assert receiver.about.where == "gpsd 127.0.0.1:2947"
        await anext(aiter(receiver.fixes()))
        about = receiver.about
        assert (about.where, about.model, about.in_view) == (
            "gpsd 127.0.0.1:2947 /dev/a",
            "u-blox M8?[2J",
            3,
        )
        assert about.heard == {"other": 2, "SKY": 1, "TPV": 1}

    asyncio.run(main())


@pytest.mark.parametrize("gone", [b'"activated":0', b'"activated":"0"'])
def test_a_receiver_that_gpsd_has_lost_is_told_at_once(gone: bytes) -> None:
    async def main() -> None:
        reader = asyncio.StreamReader(limit=gpsd.LINE_MAX)
        lost = b'{"class":"DEVICE","path":"/dev/a",' + gone + b"}"
        reader.feed_data(b"\n".join([DEVICES, tpv(), lost, b""]))
        receiver = gpsd.GpsdReceiver(gpsd.Settings(), ManualClock(), reader)
        async for _ in receiver.fixes():
            pass

    with pytest.raises(DriverError, match="gpsd has lost its receiver /dev/a; plug it in again"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "has no news from its receiver; check"),
        ([b'{"class":"DEVICES","devices":[]}'], "has no receiver; plug it in"),
        ([DEVICES], "has no news from its receiver"),
        ([DEVICES, tpv(), tpv(), tpv()], "has had no new fix from its receiver for 0.5 s"),
    ],
)
def test_why_gpsd_is_silent_is_said(
    lines: list[bytes], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpsd, "FIRST_S", 0.5)

    async def main() -> None:
        reader = asyncio.StreamReader(limit=gpsd.LINE_MAX)
        reader.feed_data(b"".join(line + b"\n" for line in lines))
        receiver = gpsd.GpsdReceiver(gpsd.Settings(silence_s=0.5), SystemClock(), reader)
        async for _ in receiver.fixes():
            pass

    with pytest.raises(DriverError, match=words):
        asyncio.run(asyncio.wait_for(main(), 30))


def test_of_several_receivers_the_one_asked_for_is_heard() -> None:
    lines = (tpv(device="/dev/a", lat=1.0), tpv(device="/dev/b", lat=2.0))
    (fix,), _ = read(*lines, settings_=gpsd.Settings(device="/dev/b"))
    assert fix.lat == 2.0


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_NAMES = st.sampled_from(["mode", "lat", "lon", "time", "speed", "track", "hdop", "satellites"])


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b" ")),
            st.dictionaries(_NAMES, _JSON).map(lambda extra: tpv(**extra)),
            st.dictionaries(_NAMES, _JSON).map(
                lambda extra: msgspec.json.encode({"class": "SKY"} | extra)
            ),
        ),
        max_size=6,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_lines_give_fixes_or_counted_rejections(lines: list[bytes]) -> None:
    for fix in read(*lines)[0]:
        assert fix.mode < 2 or (fix.lat is not None and fix.lon is not None)


class Hurried(ManualClock):
    """A second passes with each look at it, and nobody waits."""

    def monotonic(self) -> float:
        self._now += 1.0
        return self._now


def test_a_gpsd_that_talks_without_end_and_has_no_fix_is_silent_too() -> None:
    async def main() -> None:
        reader = asyncio.StreamReader(limit=gpsd.LINE_MAX)
        reader.feed_data(b'{"class":"SKY"}\n' * 1000)  # there always is one more line
        receiver = gpsd.GpsdReceiver(gpsd.Settings(), Hurried(), reader)
        with pytest.raises(DriverError, match="no news from its receiver"):
            await anext(aiter(receiver.fixes()))
        assert receiver.about.heard["SKY"] < 100

    asyncio.run(main())
