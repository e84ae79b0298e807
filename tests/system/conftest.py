"""What the tests of the whole agent share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Mosquitto
from tests.system.foreign import ForeignBackEnd
from tests.system.machines import Agent, Printer, Relay, shop_config


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def backend(broker: Mosquitto) -> Iterator[ForeignBackEnd]:
    with ForeignBackEnd(broker.port) as backend:
        yield backend


@pytest.fixture
def printer() -> Iterator[Printer]:
    printer = Printer(width_dots=384)
    yield printer
    printer.close()


@pytest.fixture
def relay(stack: contextlib.ExitStack) -> Callable[..., Relay]:
    """A cable to a port."""

    def make(target: int, **options: Any) -> Relay:
        made = Relay(target, **options)
        stack.callback(made.close)
        return made

    return make


@pytest.fixture
def agent(tmp_path: Path, stack: contextlib.ExitStack) -> Callable[..., Agent]:
    """Makes an agent; whatever runs at the end of the test is killed."""

    def make(port: int, config: str, name: str = "agent", **options: Any) -> Agent:
        made = Agent(tmp_path / name, port, config, **options)

        def end() -> None:
            if made.process is not None:
                made.kill()

        stack.callback(end)
        return made

    return make


@pytest.fixture
def shop(agent: Callable[..., Agent], broker: Mosquitto, printer: Printer) -> Agent:
    """A shop with one printer that talks, not started yet."""
    return agent(broker.port, shop_config(f"tcp://127.0.0.1:{printer.port}"))
