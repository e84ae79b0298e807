from __future__ import annotations

import asyncio

from agent.core.changes import Changes
from agent.core.clock import settle


def test_a_change_wakes_every_watcher():
    async def main() -> None:
        changes = Changes()
        watchers = [asyncio.ensure_future(changes.wait(0)) for _ in range(3)]
        await settle()
        assert not any(watcher.done() for watcher in watchers)
        changes.notify()
        assert await asyncio.gather(*watchers) == [1, 1, 1]

    asyncio.run(main())


def test_who_was_away_learns_of_all_changes_at_once():
    async def main() -> None:
        changes = Changes()
        for _ in range(5):
            changes.notify()
        assert await changes.wait(0) == 5
        late = asyncio.ensure_future(changes.wait(5))
        await settle()
        assert not late.done()
        changes.notify()
        assert await late == 6

    asyncio.run(main())
