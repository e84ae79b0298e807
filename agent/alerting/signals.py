"""What lights and buzzer should show; the panel service brings it to a panel when there is one."""

from __future__ import annotations

from typing import Literal

from agent.core.changes import Changes

Light = Literal["off", "on", "blink"]


class Signals:
    """Wishes, not commands: a panel that was unplugged shows the newest ones when it is back."""

    def __init__(self) -> None:
        self.lights: dict[str, Light] = {}
        self.buzzing = False
        self.changes = Changes()

    def light(self, name: str, state: Light) -> None:
        if self.lights.get(name) != state:
            self.lights[name] = state
            self.changes.notify()

    def buzz(self, *, on: bool) -> None:
        if self.buzzing != on:
            self.buzzing = on
            self.changes.notify()
