"""A panel without wires: tests and the demo press its buttons and look at its lights."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import msgspec

from drivers.base import Clock, Driver, DriverError, Press

REMEMBERED = 1000  # changes; older ones are forgotten


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class SimulatedPanel:
    def __init__(self, clock: Clock) -> None:
        self.lights: dict[str, str] = {}
        self.buzzing = False
        self.history: deque[tuple[float, str, str]] = deque(maxlen=REMEMBERED)  # t, part, state
        self._clock = clock
        self._pressed: asyncio.Queue[Press | DriverError] = asyncio.Queue()

    def hold(self, button: str) -> None:
        """Pressed, and not let go; `press` says for how long, and lets go."""
        self._pressed.put_nowait(Press(self._clock.monotonic(), button, 0.0, released=False))

    def press(self, button: str, held_s: float = 0.1) -> None:
        self._pressed.put_nowait(Press(self._clock.monotonic(), button, held_s))

    def unplug(self) -> None:
        self._pressed.put_nowait(DriverError("the panel was unplugged; plug it in"))

    async def presses(self) -> AsyncIterator[Press]:
        while True:
            press = await self._pressed.get()
            if isinstance(press, DriverError):
                raise press
            yield press

    async def light(self, name: str, state: Literal["off", "on", "blink"]) -> None:
        self.lights[name] = state
        self.history.append((self._clock.monotonic(), name, state))

    async def buzz(self, *, on: bool) -> None:
        self.buzzing = on
        self.history.append((self._clock.monotonic(), "buzzer", "on" if on else "off"))


@asynccontextmanager
async def open_panel(settings: Settings, clock: Clock) -> AsyncIterator[SimulatedPanel]:  # noqa: ARG001 - the port's face
    yield SimulatedPanel(clock)


DRIVER = Driver(
    name="simulated",
    summary="Buttons pressed by a program, lights that are only remembered; for demos and tests.",
    settings=Settings,
    open=open_panel,
)
