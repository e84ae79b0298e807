"""Something changed: a counter that wakes whoever watches. What changed is asked for, not told.

There is no queue: a watcher that was away sees one newer number, however much happened meanwhile.
"""

from __future__ import annotations

import asyncio


class Changes:
    """Of one event loop; `notify` must be called there."""

    def __init__(self) -> None:
        self.version = 0  # changes since the start
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Wake every watcher. Does not wait."""
        self.version += 1
        woken, self._next = self._next, asyncio.Event()
        woken.set()

    async def wait(self, last: int) -> int:
        """The version as soon as it is another than `last`."""
        while self.version == last:
            await self._next.wait()
        return self.version
