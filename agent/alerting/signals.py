"""What lights and buzzer should show; the panel service brings it to a panel when there is one."""

from __future__ import annotations

from typing import Literal

from agent.core.changes import Changes

Light = Literal["off", "on", "blink"]


class Signals:
    """Wishes, not commands: a panel that was unplugged shows the newest ones when it is back."""

    def __init__(self) -> None:
        self.lights: dict[str, Light] = {}
        self._buzzers: set[str] = set()
        self.changes = Changes()

    def light(self, name: str, state: Light) -> None:
        if self.lights.get(name) != state:
            self.lights[name] = state
            self.changes.notify()

    @property
    def buzzing(self) -> bool:
        return bool(self._buzzers)

    def buzz(self, *, on: bool, by: str) -> None:
        """It is silent when nobody wants it any more."""
        before = self.buzzing
        (self._buzzers.add if on else self._buzzers.discard)(by)
        if self.buzzing != before:
            self.changes.notify()
