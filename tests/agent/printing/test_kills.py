"""The agent dies at every step of printing: no ticket is lost, no second copy goes unmarked."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from agent.core.supervisor import Heartbeat


class Killed(Exception):
    """The process is gone at this step; only the disk and the printer remember."""


class Fate:
    """Counts steps and strikes at one of them."""

    def __init__(self, strike: int) -> None:
        self.left = strike

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


class MortalStore:
    """Dies before a transaction, or when it is committed but nobody has heard of it."""

    def __init__(self, database, fate: Fate) -> None:
        self._database = database
        self._fate = fate

    async def read(self, run):
        return await self._database.read(run)

    async def write(self, run):
        self._fate.step()
        result = await self._database.write(run)
        self._fate.step()
        return result


class MortalPrinter:
    """Dies before, within and after each exchange with the printer."""

    def __init__(self, session, fate: Fate) -> None:
        self._session = session
        self._fate = fate

    def __getattr__(self, name):
        return getattr(self._session, name)

    async def deliver(self, data: bytes, token: str):
        self._fate.step()
        for part in (data[: len(data) // 2], data):
            try:
                self._fate.step()
            except Killed:
                await self._session.write(part)
                raise
        proof = await self._session.deliver(data, token)
        self._fate.step()
        return proof

    async def barrier(self):
        proof = await self._session.barrier()
        self._fate.step()
        return proof

    async def resync(self) -> None:
        self._fate.step()
        await self._session.resync()
        self._fate.step()


async def live(shop, strikes: list[int]) -> list[bool]:
    """One life for each strike and a last one to the end; whether each was struck."""
    real, opened = shop.database, shop.open_printer
    struck = []
    for strike in [*strikes, 10**9]:
        fate = Fate(strike)

        @asynccontextmanager
        async def mortal(config, clock, fate=fate):
            async with opened(config, clock) as session:
                yield MortalPrinter(session, fate)

        shop.open_printer, shop.database = mortal, MortalStore(real, fate)
        shop.build()
        shop.database = real
        (service,) = shop.services
        life = asyncio.ensure_future(service.run(Heartbeat(service.name, shop.clock, shop.health)))
        while not life.done() and set(await shop.states()) != {"printed"}:
            await shop.clock.advance(0.1)
        life.cancel()
        outcome = (await asyncio.gather(life, return_exceptions=True))[0]
        assert isinstance(outcome, Killed | asyncio.CancelledError), outcome
        struck.append(isinstance(outcome, Killed))
    shop.open_printer = opened
    return struck


async def clear(shop) -> None:
    """The next run finds the same folder."""
    await shop.database.write(lambda tx: tx.execute("DELETE FROM jobs"))


def copies(shop, number: str) -> list[bool]:
    """For each time that the ticket begins on paper: whether a banner stands above it."""
    papers = [*shop.papers("kitchen"), shop.virtual["kitchen"].strip.plain]
    found = []
    for paper in papers:
        lines = paper.splitlines()
        for n, line in enumerate(lines):
            if line == number:
                above = lines[max(0, n - 3) : n]
                found.append(any("POSSIBLE DUPLICATE" in text for text in above))
    return found


def cut(shop, number: str) -> list[str]:
    """The tickets that were cut off whole: half of one may hang before it."""
    return [
        paper
        for paper in shop.papers("kitchen")
        if number in paper.splitlines() and "宫保" in paper
    ]


def test_killed_at_every_step_nothing_is_lost_or_doubled_silently(make_shop, given):
    async def main(strike: int) -> bool:
        async with make_shop([given.printer()]) as shop:
            await clear(shop)
            for n in (1, 2):
                await shop.order(given.order(n))
            struck = await live(shop, [strike])
            for number in ("#1", "#2"):
                found = copies(shop, number)
                assert found, (strike, "lost")
                assert found.count(False) <= 1, (strike, found)
            return struck[0]

    strike = 1
    while asyncio.run(main(strike)):
        strike += 1
    assert strike > 13  # steps of two tickets: take, deliver, within, proof, done


def test_a_cutter_that_counts_spares_every_needless_reprint(make_shop, given):
    async def main(strike: int) -> bool:
        async with make_shop([given.printer(evidence="counter")]) as shop:
            await clear(shop)
            for n in (1, 2):
                await shop.order(given.order(n))
            struck = await live(shop, [strike])
            for number in ("#1", "#2"):
                found = copies(shop, number)
                assert len(cut(shop, number)) == 1, (strike, "lost, or printed again needlessly")
                assert found.count(False) <= 1, (strike, found)
            return struck[0]

    strike = 1
    while asyncio.run(main(strike)):
        strike += 1
    assert strike > 13


def test_killed_within_a_picture_the_next_ticket_is_whole(make_shop, given):
    async def main(strike: int) -> bool:
        async with make_shop([given.printer(charset="raster")]) as shop:
            await clear(shop)
            await shop.order(given.order(1))
            struck = await live(shop, [strike])
            doubts = sum(job.duplicate for job in await shop.desk.jobs())
            papers = shop.virtual["kitchen"].paper
            assert 1 <= len(papers) <= 1 + doubts
            whole = max(len(paper.elements) for paper in papers)
            assert len(papers[-1].elements) >= whole - 2 * doubts
            return struck[0]

    strike = 1
    while asyncio.run(main(strike)):
        strike += 1


def test_killed_again_while_recovering(make_shop, given):
    async def main(strikes: list[int]) -> None:
        async with make_shop([given.printer()]) as shop:
            await clear(shop)
            await shop.order(given.order(1))
            assert (await live(shop, strikes))[0]
            found = copies(shop, "#1")
            assert found, (strikes, "lost")
            assert found.count(False) <= 1, (strikes, found)

    for first in (1, 2, 3, 4, 5, 6, 7):
        for second in (1, 2, 3, 4, 5, 6, 7, 8, 9):
            asyncio.run(main([first, second]))
