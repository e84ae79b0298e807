"""Finds the speed that a receiver talks at, and asks it to say less and faster.

    listen at each rate until two sentences come with a right checksum
    ask "who are you?" in the three dialects that can be told anything (ubx.py, mtk.py)
      nobody answers: the receiver is left as it is
      else: no GSV, one fix a second, then the faster rate
        two sentences at the new rate? it stays; else the former one, within seconds

Why: a second of a talkative receiver is 1.7 KB, at 9600 baud 1.8 s: its fixes come late, and later.
Every setting is one in RAM; without power the receiver forgets it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from drivers.base import Clock, DriverError
from drivers.gps import mtk, ubx
from drivers.gps.line import Line
from drivers.gps.nmea import Assembler

RATES = (115200, 38400, 9600, 57600, 19200, 4800, 230400)
LISTEN_S = 2.2  # on each rate; receivers speak once a second
ENOUGH = 2  # sentences with a good checksum
ANSWER_S = 1.2  # for an answer; it waits behind the sentences of a second
SETTLE_S = 0.2  # a receiver takes this long to change its rate
FAST = 115200


class Tuned(NamedTuple):
    """What came of it: the receiver in its own words, None where it said none, and what was set."""

    model: str | None
    done: tuple[str, ...]


Heard = tuple[list[ubx.Frame], list[mtk.Answer]]


async def find_rate(line: Line, first: int | None, clock: Clock) -> None:
    """Leaves the line open at the rate of its receiver; DriverError when there is none to be read.

    `first` is tried before the others.
    """
    heard = 0
    rates = dict.fromkeys((first, *RATES) if first else RATES)
    for rate in rates:
        await line.open(rate)
        sentences, count = await listen(line, clock)
        heard += count
        if sentences >= ENOUGH:
            return
    names = ", ".join(map(str, rates))
    if heard:
        raise DriverError(
            f"{line.device} sends {heard} bytes but no NMEA at {names} baud; switch the receiver to"
            " NMEA or set position.serial.baud"
        )
    raise DriverError(f"{line.device} sends nothing at {names} baud; check power and cable")


async def listen(line: Line, clock: Clock) -> tuple[int, int]:
    """Good sentences, until there are enough, and bytes within LISTEN_S."""
    assembler, end, count = Assembler(), clock.monotonic() + LISTEN_S, 0
    while clock.monotonic() < end and assembler.sentences < ENOUGH:
        data, t = await line.read()
        count += len(data)
        for _ in assembler.feed(data, t):
            pass
    return assembler.sentences, count


async def tune(line: Line, clock: Clock) -> Tuned:
    """Says less and faster, where the receiver can be told to; never raises for its refusal.

    DriverError only when the line breaks, or when nothing more can be read at any rate.
    """
    return await _Dialogue(line, clock).run()


class _Dialogue:
    def __init__(self, line: Line, clock: Clock) -> None:
        self._line = line
        self._clock = clock
        self._done: list[str] = []

    async def run(self) -> Tuned:
        who, model = await self._who()
        if isinstance(who, ubx.Frame):
            await self._ublox(ubx.protocol(who))
        elif who is not None and who.name.startswith("PMTK"):
            await self._pmtk()
        elif who is not None:
            await self._each(mtk.PAIR_QUIET, "no GSV")
            await self._each(mtk.PAIR_1_HZ, "1 Hz")
        return Tuned(model, tuple(self._done))

    async def _who(self) -> tuple[ubx.Frame | mtk.Answer | None, str | None]:
        questions = [ubx.encode(ubx.MON_VER), mtk.encode(mtk.WHO_PMTK), mtk.encode(mtk.WHO_PAIR)]
        found: list[tuple[ubx.Frame | mtk.Answer, str]] = []

        def done(frames: Sequence[ubx.Frame], answers: Sequence[mtk.Answer]) -> bool:
            found.extend((f, ubx.model(f)) for f in frames if f.kind == ubx.MON_VER)
            names = (mtk.PMTK_RELEASE, mtk.WHO_PAIR)
            found.extend((a, mtk.model(a)) for a in answers if a.name in names)
            return bool(found)

        await self._ask(b"".join(questions), done)
        return found[0] if found else (None, None)

    async def _ublox(self, protocol: float) -> None:
        line = self._line
        if protocol >= ubx.VALSET_SINCE:
            ports = (ubx.GSV_USB,) if line.usb else (ubx.GSV_UART1, ubx.GSV_UART2)
            quiet = [await self._ubx(ubx.CFG_VALSET, ubx.valset({port: 0})) for port in ports]
            rate = await self._ubx(
                ubx.CFG_VALSET, ubx.valset({ubx.RATE_MEAS: 1000, ubx.RATE_NAV: 1})
            )
            self._note(any(quiet), "no GSV")
            self._note(rate, "1 Hz")
            await self._faster(lambda baud: ubx.valset({ubx.UART1_BAUDRATE: baud}))
            return
        quiet_ = await self._ubx(ubx.CFG_MSG, ubx.message_rate(ubx.NMEA_GSV, 0))
        self._note(quiet_, "no GSV")
        self._note(await self._ubx(ubx.CFG_RATE, ubx.measurement_rate(1000)), "1 Hz")
        ports_: list[ubx.Frame] = []

        def done(frames: Sequence[ubx.Frame], _: Sequence[mtk.Answer]) -> bool:
            ports_.extend(frame for frame in frames if frame.kind == ubx.CFG_PRT)
            return bool(ports_)

        await self._ask(ubx.encode(ubx.CFG_PRT), done)
        if ports_:
            await self._faster(lambda baud: ubx.port_baud(ports_[0], baud))

    async def _pmtk(self) -> None:
        await self._each(mtk.PMTK_QUIET, "no GSV")
        await self._each(mtk.PMTK_1_HZ, "1 Hz")
        await self._faster(lambda baud: mtk.encode(mtk.pmtk_baud(baud)))

    async def _each(self, command: str, what: str) -> None:
        said: list[bool] = []

        def done(_: Sequence[ubx.Frame], answers: Sequence[mtk.Answer]) -> bool:
            verdicts = (mtk.verdict(answer, command) for answer in answers)
            said.extend(verdict for verdict in verdicts if verdict is not None)
            return bool(said)

        await self._ask(mtk.encode(command), done)
        self._note(bool(said) and said[0], what)

    async def _ubx(self, kind: tuple[int, int], message: bytes) -> bool:
        said: list[bool] = []

        def done(frames: Sequence[ubx.Frame], _: Sequence[mtk.Answer]) -> bool:
            verdicts = (ubx.verdict(frame, kind) for frame in frames)
            said.extend(verdict for verdict in verdicts if verdict is not None)
            return bool(said)

        await self._ask(message, done)
        return bool(said) and said[0]

    async def _ask(
        self,
        message: bytes,
        done: Callable[[Sequence[ubx.Frame], Sequence[mtk.Answer]], bool],
    ) -> None:
        """Write, and read until it is done or ANSWER_S is over."""
        await self._line.write(message)
        frames, answers = ubx.Frames(), mtk.Answers()
        end = self._clock.monotonic() + ANSWER_S
        while self._clock.monotonic() < end:
            data, _ = await self._line.read()
            if done(frames.feed(data), answers.feed(data)):
                return

    async def _faster(self, command: Callable[[int], bytes | None]) -> None:
        """To FAST, proven by sentences; else back to the former rate."""
        line, before = self._line, self._line.rate
        there, back = command(FAST), command(before)
        if line.usb or before >= FAST or there is None or back is None:
            return
        await self._change(line.write(there), FAST)
        if (await listen(line, self._clock))[0] >= ENOUGH:
            self._done.append(f"{FAST} baud")
            return
        await self._change(line.write(back), before)  # perhaps it hears us, and we do not hear it
        if (await listen(line, self._clock))[0] < ENOUGH:
            await find_rate(line, before, self._clock)

    async def _change(self, written: Awaitable[None], rate: int) -> None:
        await written
        await self._clock.sleep(SETTLE_S)
        await self._line.open(rate)

    def _note(self, done: bool, what: str) -> None:  # noqa: FBT001 - a verdict, not a switch
        if done:
            self._done.append(what)
