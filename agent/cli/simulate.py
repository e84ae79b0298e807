"""`sim`: recordings of the radio for `replay`, and thousands of devices on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agent.cli import common, surveys
from drivers.errors import DriverError


def add(groups: common.Groups) -> None:
    sim = common.group(groups, "sim", "Recordings for `replay`, and simulated fleets.")
    record = common.command(sim, "record", "What the radio hears, as CSV.", _record)
    record.add_argument("out", type=Path, metavar="ADVERTS.csv")
    record.add_argument("--seconds", type=surveys.seconds, default=60.0, metavar="N")
    _add_fleet(sim)


def _add_fleet(sim: common.Groups) -> None:
    help_ = "Many light devices against a real mosquitto: commands, chaos, and a verdict."
    fleet = common.tool(sim, "fleet", help_, _fleet)
    fleet.add_argument("-n", "--devices", type=int, default=300, metavar="N")
    fleet.add_argument("--crowds", type=int, default=4, metavar="N", help="processes they share")
    fleet.add_argument("--plain", action="store_true", help="without TLS")
    fleet.add_argument("--commands", type=int, default=3000, metavar="N", help="under chaos")
    fleet.add_argument("--rate", type=float, default=500.0, metavar="HZ", help="of them")
    fleet.add_argument("--online", type=int, default=2000, metavar="N", help="without a fault")
    fleet.add_argument("--online-rate", type=float, default=200.0, metavar="HZ", help="of those")
    fleet.add_argument("--seed", type=int, default=1)
    common.reading(fleet)


def _record(arguments: argparse.Namespace) -> int:
    import asyncio

    count = asyncio.run(_write(arguments))
    common.complain(f"{count} adverts in {arguments.out}")
    return 0 if count else 1


async def _write(arguments: argparse.Namespace) -> int:
    from drivers.beacons import recording

    section, clock = surveys.section_of(arguments)
    offset, count = clock.wall() - clock.monotonic(), 0
    try:
        file = arguments.out.open("w", encoding="utf-8")
    except OSError as error:
        text = f"{arguments.out} cannot be written: {error.strerror}"
        raise DriverError(text) from error
    with file:
        file.write(",".join(recording.COLUMNS) + "\n")
        async for advert in surveys.adverts(section, clock, arguments.seconds):
            file.write(recording.line(advert, advert.t + offset) + "\n")
            count += 1
    return count


def _fleet(arguments: argparse.Namespace) -> int:
    import asyncio
    import tempfile

    import msgspec

    from agent.core.clock import SystemClock
    from agent.swarm.conductor import Conductor, Verdict

    async def play(folder: Path) -> Verdict:
        conductor = Conductor(
            folder,
            SystemClock(trusted=True),
            count=arguments.devices,
            crowds=min(arguments.crowds, arguments.devices),
            tls=not arguments.plain,
            seed=arguments.seed,
            port=_free_port(),
        )
        async with conductor.open():
            await conductor.measure_commands(arguments.online, arguments.online_rate)
            await conductor.measure_reconnect()
            await conductor.chaos(arguments.commands, arguments.rate)
            return conductor.judge()

    with tempfile.TemporaryDirectory(prefix="swarm-") as folder:
        verdict = asyncio.run(play(Path(folder)))
    common.show(arguments, msgspec.to_builtins(verdict), _text)
    return 0 if verdict.good else 1


def _text(verdict: dict[str, Any]) -> str:
    rows: list[list[object]] = []
    for name, value in verdict.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {number}" for key, number in value.items())  # noqa: PLW2901
        elif isinstance(value, float):
            value = round(value, 2)  # noqa: PLW2901
        rows.append([name, value])
    return common.table(rows, ["what", ""])


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
