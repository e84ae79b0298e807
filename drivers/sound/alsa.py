"""Sound through a child process of ALSA's `aplay`: no library to import, no gap, gone when killed.

A child that hangs in a dead USB sound card hangs alone. The samples go through its standard input,
so that several clips are one stream and the volume needs no mixer.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from drivers.base import Clock, Driver, DriverError
from drivers.sound.clips import Stream, scale, streams

SPARE_S = 5.0  # opening a slow card and emptying its buffer
REAP_S = 2.0  # a killed child that the kernel holds on to longer is left to it
BLOCK = 8192  # bytes that are scaled and handed over at once
PROBE = Stream(22_050, 1, bytes(2 * 441))  # 20 ms of silence


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device: str = "default"  # an ALSA PCM: default, plughw:0, ... (`aplay -L`)


class AlsaPlayer:
    def __init__(self, aplay: str, device: str) -> None:
        self._aplay = aplay
        self._device = device

    async def play(self, clips: Sequence[Path], volume: float = 1.0) -> None:
        """Raises DriverError: a clip is no WAV file, no device, device busy or stuck."""
        for stream in await asyncio.to_thread(streams, clips):
            await self.stream(stream, volume)

    async def stream(self, stream: Stream, volume: float = 1.0) -> None:
        shape = ("-f", "S16_LE", "-r", str(stream.rate), "-c", str(stream.channels))
        aplay = await asyncio.create_subprocess_exec(
            *(self._aplay, "-q", "-D", self._device, "-t", "raw", *shape, "-"),
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=PIPE,
        )
        try:
            async with asyncio.timeout(stream.seconds + SPARE_S):
                _, said = await asyncio.gather(_feed(aplay, stream, volume), _complaint(aplay))
                await aplay.wait()
        except TimeoutError as error:
            raise DriverError(
                f"sound device {self._device} is stuck; unplug and plug it, or choose another: "
                "aplay -L lists them"
            ) from error
        finally:
            await _end(aplay)
        if aplay.returncode != 0:
            raise DriverError(explain(self._device, said.decode(errors="replace")))


async def _feed(aplay: Process, stream: Stream, volume: float) -> None:
    """Block by block, so that the first one is heard while the others are still scaled."""
    assert aplay.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its complaint says why
        for at in range(0, len(stream.samples), BLOCK):
            aplay.stdin.write(scale(stream.samples[at : at + BLOCK], volume))
            await aplay.stdin.drain()
    aplay.stdin.close()


async def _complaint(aplay: Process) -> bytes:
    assert aplay.stderr is not None
    return await aplay.stderr.read()


async def _end(aplay: Process) -> None:
    """Kill and reap; the kernel drops what the card had not played yet."""
    if aplay.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            aplay.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REAP_S):
                await aplay.wait()


def explain(device: str, said: str) -> str:
    """What aplay's complaint means and what to do."""
    if "resource busy" in said:
        return f"sound device {device} is in use by another program; end it, or use a dmix device"
    if "Permission denied" in said:
        return f"sound device {device} may not be opened; add the agent's user to the group audio"
    if "No such" in said or "cannot find card" in said:
        return f"there is no sound device {device}; plug it in, or choose one of: aplay -L"
    last = said.strip().splitlines()[-1:] or ["no reason given"]
    return f"sound device {device} does not play: {last[0][:200]}"


@asynccontextmanager
async def open_player(settings: Settings, clock: Clock) -> AsyncIterator[AlsaPlayer]:  # noqa: ARG001 - the port's face
    """Plays 20 ms of silence, so that a missing card is known before the first order comes."""
    aplay = shutil.which("aplay")
    if aplay is None:
        raise DriverError("there is no aplay; install it: apt install alsa-utils")
    player = AlsaPlayer(aplay, settings.device)
    await player.stream(PROBE)
    yield player


DRIVER = Driver(
    name="alsa",
    summary="WAV files through ALSA's aplay, on any sound card that Linux knows.",
    settings=Settings,
    open=open_player,
)
