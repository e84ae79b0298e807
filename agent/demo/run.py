"""Sets the stage up, on free loopback ports and in a folder of its own, and takes it down again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import webbrowser
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from agent.core.clock import Clock, SystemClock
from agent.demo import story, town, verdict
from agent.demo.broker import NoBroker, run_broker
from agent.demo.cable import Cable
from agent.demo.devices import Device, WillNotStart
from agent.demo.page import Page
from agent.demo.stage import Stage
from drivers.printer.simulated import serve
from drivers.printer.virtual import VirtualPrinter

PRINTER_DOTS = 384  # 58 mm paper
PRINTER_BYTES_PER_S = 24_000.0  # a brisk thermal printer: some 20 short tickets a second


@dataclass(frozen=True, slots=True)
class Options:
    headless: bool
    seconds: float
    port: int
    browser: bool
    broker: str | None = None


def main(options: Options) -> int:
    """The exit status: 0, or 1 when something was lost, printed twice or does not run here."""
    folder = Path(tempfile.mkdtemp(prefix="edge-agent-demo-"))
    status = 0
    try:
        status = asyncio.run(_perform(options, folder, SystemClock()))
    except* (KeyboardInterrupt, asyncio.CancelledError):
        pass  # Ctrl-C or SIGTERM is how a demo ends
    except* (NoBroker, WillNotStart, story.Stuck) as group:
        print("\n".join(f"demo: {error}" for error in _leaves(group)), file=sys.stderr)
        status = 1
    if status == 0:
        shutil.rmtree(folder)
    else:
        print(f"demo: databases and logs are kept in {folder}", file=sys.stderr)
    return status


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


async def _perform(options: Options, folder: Path, clock: Clock) -> int:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    async with _stage(options, folder, clock) as stage:
        if options.headless:
            return await _judge(stage, clock, options.seconds)
        return await _show(stage, clock, options)


@contextlib.asynccontextmanager
async def _stage(options: Options, folder: Path, clock: Clock) -> AsyncIterator[Stage]:
    """Everything runs while this is open; the agents are stopped in order at its end."""
    printer = VirtualPrinter(width_dots=PRINTER_DOTS)
    async with contextlib.AsyncExitStack() as stack:
        broker = await stack.enter_async_context(run_broker(folder, clock, options.broker))
        tcp = await stack.enter_async_context(serve(printer))
        slow = Cable(tcp, clock, bytes_per_s=PRINTER_BYTES_PER_S)
        await stack.enter_async_context(slow)
        cables = {role: Cable(broker.port, clock) for role in ("shop", "rider")}
        for cable in cables.values():
            await stack.enter_async_context(cable)
        ride = town.Ride(clock.wall())
        extra = {"shop": town.shop_settings(slow.port), "rider": ride.settings()}
        devices = {
            role: Device(
                id=town.device_id(role),
                role=role,
                config=town.FOLDER / f"{role}.toml",
                folder=folder,
                settings=[f'uplink.url="mqtt://127.0.0.1:{cable.port}"', *extra[role]],
                clock=clock,
            )
            for role, cable in cables.items()
        }
        stage = Stage(clock, broker.port, devices, cables, printer, ride.truth)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(stage.run(), name="stage")
            print(f"broker: {broker.name} on 127.0.0.1:{broker.port}; files in {folder}")
            yield stage
            running.cancel()


async def _judge(stage: Stage, clock: Clock, seconds: float) -> int:
    start = clock.monotonic()

    def say(text: str) -> None:
        print(f"{clock.monotonic() - start:6.1f} s  {text}", flush=True)

    await story.play(stage, clock, seconds, say)
    rows = verdict.judge(stage.facts())
    print(f"\n{verdict.table(rows)}\n")
    good = verdict.is_good(rows)
    bad = ", ".join(row.what for row in rows if row.good is False)
    print("verdict: nothing lost, nothing printed twice in silence" if good else f"verdict: {bad}")
    return 0 if good else 1


async def _show(stage: Stage, clock: Clock, options: Options) -> int:
    page = Page(stage, town.drawn(), clock, await _port(options.port))

    def listening(url: str) -> None:
        print(f"\n    {url}\n\nopen it in a browser; Ctrl-C ends the demo", flush=True)
        if options.browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            asyncio.get_running_loop().run_in_executor(None, webbrowser.open, url)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(story.visit(stage, clock), name="visit")
            await page.run(listening)
    finally:
        print(f"\n{verdict.summary(stage.facts())}")
    return 0


async def _port(wanted: int) -> int:
    """The wanted port, or any when somebody has it already."""
    try:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", wanted)
    except OSError:
        print(f"port {wanted} is taken; another one is used")
        return 0
    server.close()
    return wanted
