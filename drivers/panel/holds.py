"""Edges of buttons -> presses; pure.

The kernel debounces and stamps the edges. Edges may be lost when its buffer overflows: a second
`down` starts anew, an `up` without a `down` is no press.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.base import Press


@dataclass(slots=True)
class Holds:
    _down: dict[str, float] = field(default_factory=dict)  # button -> monotonic s

    def edge(self, button: str, t: float, *, down: bool) -> Press | None:
        """The press that this edge begins or completes; `t` in monotonic seconds."""
        if down:
            self._down[button] = t
            return Press(t, button, 0.0, released=False)
        since = self._down.pop(button, None)
        return None if since is None else Press(t, button, max(0.0, t - since))
