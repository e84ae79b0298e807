"""`beacon learn` and `beacon floor`: walk about, and it is written where a place begins and how its
floor sounds."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import common
from drivers.errors import DriverError

if TYPE_CHECKING:
    from agent.arrival.floor import FloorModel
    from agent.config import Beacons
    from drivers.base import Advert, Clock

RESTART = "the agent reads it when it is started again"
FLOORS = "floors.json"  # beside places.toml, where that names no other


def add(sub: Any) -> None:
    learn = common.command(sub, "learn", "Find out where a place begins.", _learn)
    learn.add_argument("place", metavar="PLACE", help="its id, as of its fence")
    learn.add_argument("--floor", help="of the place")
    learn.add_argument("--beacon", metavar="ID", help="identity or address; else the loudest")
    _survey_options(learn, 30.0)
    floor = common.command(sub, "floor", "Find out how a floor sounds.", _floor)
    floor.add_argument("floor", metavar="FLOOR", help="as places.toml calls it")
    floor.add_argument("--add", action="store_true", help="to what was surveyed there before")
    _survey_options(floor, 120.0)


def _survey_options(command: argparse.ArgumentParser, default_s: float) -> None:
    command.add_argument("--seconds", type=seconds, default=default_s, metavar="N",
                         help=f"a survey each ({default_s:.0f})")  # fmt: skip
    command.add_argument("--places", type=Path, metavar="P.toml", help="else that of the settings")
    command.add_argument("--yes", action="store_true", help="ask nothing")


def seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 86400:
        raise argparse.ArgumentTypeError("must be 0.1 to 86400 seconds")
    return value


def section_of(arguments: argparse.Namespace) -> tuple[Beacons, Clock]:
    from agent.config import Beacons
    from agent.core.clock import SystemClock

    return common.load(arguments).config.beacons or Beacons(), SystemClock()


async def adverts(section: Beacons, clock: Clock, seconds: float | None) -> AsyncIterator[Advert]:
    """Until the time is over, or a recording ends."""
    from asyncio import timeout

    from agent import config as configuration
    from drivers import catalog

    driver = catalog.load("beacons", section.driver)
    settings = configuration.driver_settings("beacons", section)
    async with driver.open(settings, clock) as scanner:
        try:
            async with timeout(seconds):
                async for advert in scanner.adverts():
                    yield advert
        except TimeoutError:
            return


def _learn(arguments: argparse.Namespace) -> int:
    from agent.arrival import fingerprints, surveying
    from agent.arrival.places import PLACES, Place, Places, load

    section, clock = section_of(arguments)
    path = arguments.places or Path(section.places or PLACES)
    listed = load(path) if path.exists() else Places()  # ConfigError before anybody walks about
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if surveying.has(text, arguments.place) and not _agreed(
        arguments, f"{path} has {arguments.place} already; measure it anew?"
    ):
        return 1
    _wait(arguments, "Stand where the place begins, inside, and walk about there")
    inside = _survey(section, clock, arguments.seconds)
    _wait(arguments, "Now walk about outside, where nobody should count as arrived")
    outside = _survey(section, clock, arguments.seconds)
    rule = surveying.rule(inside, outside, arguments.beacon)
    if rule is None:
        raise DriverError(
            "too little was heard of a beacon that keeps its identity; see `edge-agent beacon scan`"
        )
    place = Place(id=arguments.place, floor=arguments.floor, beacon=[rule])
    new = surveying.merged(text, place)
    print(common.plain(f"{rule.identity or rule.address}: from {rule.enter_rssi} dBm on"))
    if not _agreed(arguments, f"Write it to {path}?"):
        return 1
    _replace(path, new)
    print(f"{path} is written; {RESTART}")
    if arguments.floor and listed.floor_model:
        model = fingerprints.surveyed(listed.floor_model, arguments.floor, inside, add=True)
        if model is not None:
            _write_model(path.parent / listed.floor_file, model)
    return 0


def _floor(arguments: argparse.Namespace) -> int:
    from agent.arrival import fingerprints, surveying
    from agent.arrival.places import PLACES, Places, load

    section, clock = section_of(arguments)
    path = arguments.places or Path(section.places or PLACES)
    listed = load(path) if path.exists() else Places()
    known = listed.floor_model is not None and arguments.floor in listed.floor_model.windows
    question = f"{arguments.floor} was surveyed already; replace that (--add keeps it)?"
    if known and not arguments.add and not _agreed(arguments, question):
        return 1
    _wait(arguments, f"Walk about the whole of {arguments.floor}")
    heard = _survey(section, clock, arguments.seconds)
    model = fingerprints.surveyed(listed.floor_model, arguments.floor, heard, add=arguments.add)
    if model is None:
        raise DriverError("too little was heard of beacons that keep their identity; walk for half"
                          " a minute at least, and see `edge-agent beacon scan`")  # fmt: skip
    _write_model(path.parent / (listed.floor_file or FLOORS), model)
    if not listed.floor_file:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        _replace(path, surveying.with_floor_model(text, FLOORS))
    if len(model.windows) < 2:
        print("one floor alone tells nothing: survey another one, too")
    return 0


def _write_model(path: Path, model: FloorModel) -> None:
    import msgspec

    floors = ", ".join(f"{floor} ({count})" for floor, count in model.windows.items())
    _replace(path, msgspec.json.encode(model).decode() + "\n")
    print(common.plain(f"{path} knows {len(model.beacons)} beacons on {floors}; {RESTART}"))


def _survey(section: Beacons, clock: Clock, seconds: float) -> list[Advert]:
    import asyncio

    async def collect() -> list[Advert]:
        return [advert async for advert in adverts(section, clock, seconds)]

    return asyncio.run(collect())


def _wait(arguments: argparse.Namespace, what: str) -> None:
    if not arguments.yes:
        _answer(f"{what} for {arguments.seconds:.0f} s; Enter begins: ")


def _agreed(arguments: argparse.Namespace, question: str) -> bool:
    return arguments.yes or _answer(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def _answer(question: str) -> str:
    try:
        return input(common.plain(question))
    except EOFError:
        raise DriverError("nobody answers; --yes asks nothing") from None


def _replace(path: Path, text: str) -> None:
    """Whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise DriverError(f"{path} cannot be written: {error.strerror}") from error
