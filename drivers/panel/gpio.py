"""Buttons, lights and a buzzer on the lines of a GPIO chip, by libgpiod 2.

The kernel debounces the buttons and stamps their edges with the monotonic clock, so a busy event
loop makes a hold neither longer nor shorter. Lines are given by number or by name ("GPIO17").
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from drivers.base import Clock, Driver, DriverError, Press
from drivers.panel.holds import Holds

if TYPE_CHECKING:
    from gpiod import LineRequest, LineSettings

BLINK_S = 0.5  # half a period
WAITING = 64  # presses that nobody reads; further ones are dropped, nobody presses that fast

Line = int | str
State = Literal["off", "on", "blink"]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A button connects its line to ground and needs no resistor: the pull-up is switched on."""

    chip: str = "/dev/gpiochip0"
    buttons: dict[str, Line] = {}  # e.g. {ack = 17, sos = 27}
    lights: dict[str, Line] = {}  # e.g. {alert = 22, sos = 23}
    buzzer: Line | None = None
    buttons_active_low: bool = True
    outputs_active_low: bool = False
    debounce_ms: Annotated[int, Meta(ge=0, le=500)] = 20


class GpioPanel:
    def __init__(self, request: LineRequest, settings: Settings) -> None:
        self._request = request
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._names = {_offset(request, line): name for name, line in settings.buttons.items()}
        self._holds = Holds()
        self._presses: asyncio.Queue[Press | DriverError] = asyncio.Queue(WAITING)
        self._lights: dict[str, State] = {}
        self._blinker: asyncio.TimerHandle | None = None
        self._bright = False

    async def presses(self) -> AsyncIterator[Press]:
        """Raises DriverError when the chip is gone."""
        while True:
            press = await self._presses.get()
            if isinstance(press, DriverError):
                raise press
            yield press

    async def light(self, name: str, state: State) -> None:
        """A light that this panel does not have is ignored."""
        if name in self._settings.lights and self._lights.get(name) != state:
            self._lights[name] = state
            self._set(self._settings.lights[name], on=state != "off")
            if state == "blink" and self._blinker is None:
                self._bright = True
                self._blinker = self._loop.call_later(BLINK_S, self._blink)

    async def buzz(self, *, on: bool) -> None:
        if self._settings.buzzer is not None:
            self._set(self._settings.buzzer, on=on)

    def watch(self) -> None:
        self._loop.add_reader(self._request.fd, self._readable)

    def close(self) -> None:
        """Nothing shines or hums after us."""
        self._loop.remove_reader(self._request.fd)
        if self._blinker is not None:
            self._blinker.cancel()
        with contextlib.suppress(DriverError):  # the chip may be what went away
            for line in outputs(self._settings):
                self._set(line, on=False)

    def _readable(self) -> None:
        """The kernel has edges for us."""
        import gpiod

        try:
            edges = self._request.read_edge_events()
        except OSError as error:
            self._fail(DriverError(f"the GPIO chip went away: {error}; check its cable"))
            return
        for edge in edges:
            down = edge.event_type is gpiod.EdgeEvent.Type.RISING_EDGE
            name = self._names[edge.line_offset]
            press = self._holds.edge(name, edge.timestamp_ns / 1e9, down=down)
            if press is not None and not self._presses.full():
                self._presses.put_nowait(press)

    def _blink(self) -> None:
        self._bright = not self._bright
        blinking = [name for name, state in self._lights.items() if state == "blink"]
        try:
            for name in blinking:
                self._set(self._settings.lights[name], on=self._bright)
        except DriverError as error:
            self._fail(error)
            return
        again = self._loop.call_later(BLINK_S, self._blink) if blinking else None
        self._blinker = again

    def _set(self, line: Line, *, on: bool) -> None:
        from gpiod.line import Value

        with _explained(self._settings.chip):
            self._request.set_value(line, Value.ACTIVE if on else Value.INACTIVE)

    def _fail(self, error: DriverError) -> None:
        """Whoever reads the presses hears of it."""
        self._loop.remove_reader(self._request.fd)
        if self._presses.full():
            self._presses.get_nowait()
        self._presses.put_nowait(error)


def outputs(settings: Settings) -> list[Line]:
    lines = list(settings.lights.values())
    return lines if settings.buzzer is None else [*lines, settings.buzzer]


def _offset(request: LineRequest, line: Line) -> int:
    return int(request.offsets[list(request.lines).index(line)])


@contextmanager
def _explained(chip: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DriverError(
            f"there is no GPIO chip {chip} or no line of that name; look with: gpioinfo"
        ) from error
    except PermissionError as error:
        raise DriverError(f"{chip} may not be opened; add the user to the group gpio") from error
    except (OSError, ValueError) as error:
        raise DriverError(f"{chip}: {error}; is another program using the line?") from error


def _config(settings: Settings) -> dict[Iterable[Line] | Line, LineSettings | None]:
    import gpiod
    from gpiod.line import Bias, Direction, Edge, Value

    button = gpiod.LineSettings(
        direction=Direction.INPUT,
        edge_detection=Edge.BOTH,
        bias=Bias.PULL_UP if settings.buttons_active_low else Bias.PULL_DOWN,
        active_low=settings.buttons_active_low,
        debounce_period=timedelta(milliseconds=settings.debounce_ms),
    )
    output = gpiod.LineSettings(
        direction=Direction.OUTPUT,
        output_value=Value.INACTIVE,
        active_low=settings.outputs_active_low,
    )
    lines: dict[Iterable[Line] | Line, LineSettings | None] = {}
    lines |= dict.fromkeys(settings.buttons.values(), button)
    lines |= dict.fromkeys(outputs(settings), output)
    return lines


@asynccontextmanager
async def open_panel(settings: Settings, clock: Clock) -> AsyncIterator[GpioPanel]:  # noqa: ARG001 - the kernel stamps the edges
    try:
        import gpiod
    except ImportError as error:
        raise DriverError("gpiod is missing; install it: pip install 'gpiod>=2.2'") from error
    with _explained(settings.chip):
        request = gpiod.request_lines(
            settings.chip, config=_config(settings), consumer="edge-agent"
        )
    with request:
        panel = GpioPanel(request, settings)
        panel.watch()
        try:
            yield panel
        finally:
            panel.close()


DRIVER = Driver(
    name="gpio",
    summary="Buttons, lights and a buzzer on GPIO lines, by libgpiod 2.",
    settings=Settings,
    open=open_panel,
)
