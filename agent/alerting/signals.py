"""What lights and buzzer should show; the panel service brings it to a panel when there is one."""

from __future__ import annotations

from typing import Literal

from agent.core.changes import Changes

Light = Literal["off", "on", "blink"]
LIGHTS = ("alert", "sos")


class Signals:
    """Wishes, not commands: a panel that was unplugged shows the newest ones when it is back."""

    def __init__(self) -> None:
        self.lights: dict[str, Light] = {}
        self._buzzers: set[str] = set()
        self._marked = False
        self.changes = Changes()

    def light(self, name: str, state: Light) -> None:
        if self.lights.get(name) != state:
            self.lights[name] = state
            self.changes.notify()

    def mark(self, *, on: bool) -> None:
        """Everything blinks, so that a person finds the device among others."""
        if self._marked != on:
            self._marked = on
            self.changes.notify()

    def shown(self) -> dict[str, Light]:
        """What the lights are to show now; those that nobody has used are off."""
        off: Light = "off"
        blink: Light = "blink"
        wished = dict.fromkeys(LIGHTS, off) | self.lights
        return dict.fromkeys(wished, blink) if self._marked else wished

    @property
    def buzzing(self) -> bool:
        return bool(self._buzzers)

    def buzz(self, *, on: bool, by: str) -> None:
        """It is silent when nobody wants it any more."""
        before = self.buzzing
        (self._buzzers.add if on else self._buzzers.discard)(by)
        if self.buzzing != before:
            self.changes.notify()
