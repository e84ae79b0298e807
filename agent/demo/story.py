"""Who presses the buttons: a visitor's first minutes, or the whole story unattended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent.contract.errors import NotRunning, Rejected
from agent.core.clock import Clock
from agent.demo.stage import Stage

FIRST_ORDER_S = 4.0
NEXT_ORDER_S = 14.0
OPEN_MAX = 5  # an unattended page does not fill up

READY_S = 30.0
DRAIN_S = 60.0  # beyond the story's own time
LAST_WORDS_S = 5.0  # from the broker to the back end
LOOK_S = 0.1
RUSH_A_MINUTE = 100
BURST = 20


class Stuck(Exception):
    """Something that must happen did not; the text says what."""


async def visit(stage: Stage, clock: Clock) -> None:
    """Orders come by themselves, until cancelled."""
    await stage.started.wait()
    await clock.sleep(FIRST_ORDER_S)
    while True:
        if len(stage.open_orders()) < OPEN_MAX and not stage.witness.rush:
            stage.order()
        await clock.sleep(NEXT_ORDER_S)


async def play(stage: Stage, clock: Clock, seconds: float, say: Callable[[str], None]) -> None:
    """Everything that goes wrong in a bad week, in `seconds`; returns when the rest is drained."""
    await _until(clock, lambda: all(local.up for local in stage.local.values()), READY_S, "start")
    story = _Story(stage, clock, seconds, say)
    start = clock.monotonic()
    for share, act in story.acts():
        await clock.sleep(start + share * seconds - clock.monotonic())
        await act()
    say("the story is over; waiting until everything is printed and delivered")
    left = start + seconds + DRAIN_S - clock.monotonic()
    await _until(clock, lambda: stage.drained() and stage.witness.all_printed(), left, None)
    await clock.sleep(2.0)  # a ticket too many would come out now
    await stage.stop_agents()
    await _until(clock, stage.witness.complete, LAST_WORDS_S, None)


class _Story:
    def __init__(
        self, stage: Stage, clock: Clock, seconds: float, say: Callable[[str], None]
    ) -> None:
        self._stage = stage
        self._clock = clock
        self._say = say
        self._rush = max(10, round(RUSH_A_MINUTE * seconds / 60))

    def acts(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        """When, as a share of the whole time, and what."""
        acts: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (0.06, self._bad_order),
            (0.085, self._change),
            (0.10, self._again),
            (0.12, self._cut),
            (0.27, self._restore),
            (0.33, self._sos),
            (0.36, self._paper_out),
            (0.43, self._refill),
            (0.46, self._burst),
            (0.54, self._kill_rider),
            (0.58, self._go_rush),
        ]
        acts += [(0.02 + n * 0.035, self._order) for n in range(16)]
        acts += [(0.10 + n * 0.09, self._accept) for n in range(6)]
        return sorted(acts, key=lambda act: act[0])

    async def _order(self) -> None:
        self._stage.order()

    async def _bad_order(self) -> None:
        self._say("a malformed order")
        self._stage.bad_order()

    async def _change(self) -> None:
        self._say("an order is changed after its ticket was printed")
        self._stage.change(self._stage.witness.orders[0])

    async def _again(self) -> None:
        self._say("an order is delivered a second time")
        self._stage.again(self._stage.witness.orders[-1])

    async def _cut(self) -> None:
        self._say("the network is cut; orders keep coming in at the back end")
        self._stage.cut()

    async def _restore(self) -> None:
        self._say("the network is back")
        self._stage.restore()

    async def _sos(self) -> None:
        self._say("the rider holds the SOS button")
        await self._try(self._stage.sos())

    async def _paper_out(self) -> None:
        self._say("the printer is out of paper")
        self._stage.paper_out()

    async def _refill(self) -> None:
        self._say("new paper")
        self._stage.refill()

    async def _burst(self) -> None:
        self._say(f"{BURST} orders at once, and kill -9 of the shop's agent while it prints them")
        before = self._stage.witness.tickets.pieces
        self._stage.order(BURST)
        printing = lambda: self._stage.witness.tickets.pieces >= before + BURST // 4  # noqa: E731
        await _until(self._clock, printing, 5.0, None)
        self._stage.kill("shop")

    async def _kill_rider(self) -> None:
        self._say("kill -9 of the rider's agent")
        self._stage.kill("rider")

    async def _go_rush(self) -> None:
        self._say(f"a rush of {self._rush} orders")
        self._stage.rush(self._rush)

    async def _accept(self) -> None:
        for order_id in self._stage.open_orders()[:2]:
            await self._try(self._stage.accept(order_id))

    async def _try(self, asking: Awaitable[None]) -> None:
        try:
            await asking
        except (Rejected, NotRunning) as error:
            self._say(f"not done: {error}")


async def _until(clock: Clock, done: Callable[[], bool], within_s: float, what: str | None) -> None:
    """Raises Stuck when it must have happened (`what`) and did not."""
    deadline = clock.monotonic() + within_s
    while not done():
        if clock.monotonic() >= deadline:
            if what is not None:
                raise Stuck(f"the agents did not {what} within {within_s:.0f} s")
            return
        await clock.sleep(LOOK_S)
