"""What a broker refuses is not overtaken by what follows and is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.contract import topics
from agent.contract.events import Audit
from agent.contract.presence import Presence
from agent.contract.wire import decode_batch
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.store.database import Database
from agent.store.inbox import Inbox
from agent.store.outbox import Outbox
from agent.uplink import service
from agent.uplink.link import Connected, Message
from agent.uplink.service import BATCH_FROM, Uplink
from agent.uplink.window import NOT_FOUND
from tests.agent.uplink.test_uplink import position
from tests.support import until

DEVICE = "sh-1"


class Broker:
    """A link to one whose consumer subscribes just after it refused `refuses` messages."""

    url = "mqtt://test"
    up = True
    contested = False

    def __init__(self, on_up: Callable[[Connected], None], refuses: int) -> None:
        self._on_up = on_up
        self._refuses = refuses
        self.arrived: list[int] = []

    async def run(self) -> None:
        self._on_up(Connected(session_present=False, receive_maximum=20))
        await asyncio.Event().wait()

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        on_ack: Callable[[int], None] | None = None,
        content_type: str | None = None,
        **_more: Any,
    ) -> None:
        address = topics.parse(topic)
        assert address is not None
        reason = 0
        if address.branch != "state":
            events = decode_batch(payload, content_type)
            if self._refuses:
                self._refuses -= 1
                reason = NOT_FOUND
            else:
                self.arrived += [event.seq for event in events]
        if on_ack is not None:
            asyncio.get_running_loop().call_later(0.01, on_ack, reason)


@pytest.mark.parametrize("waiting", [BATCH_FROM - 1, 20 * BATCH_FROM])
@pytest.mark.parametrize("refuses", [1, 2])
@pytest.mark.parametrize("stream", ["critical", "telemetry"])
def test_events_arrive_in_order_though_the_broker_refused_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: int, refuses: int, stream: str
) -> None:
    monkeypatch.setattr(service, "REFUSED_S", 0.0)
    clock = SystemClock()
    health = Health(clock)

    async def tell() -> list[int]:
        database = Database(tmp_path / "agent.db", clock, health)
        outbox = Outbox(database, clock, health, max_mb=50)
        made: list[Broker] = []

        def open_link(
            _message: Callable[[Message], None], up: Callable[[Connected], None], _down: Any
        ) -> Any:
            made.append(Broker(up, refuses))
            return made[0]

        async def presence(state: Any) -> Presence:
            return Presence(
                state=state, bd_seq=1, boot_id="b", agent="0", role="shop", site="s", since=0,
                epoch=outbox.epoch, streams={},
            )  # fmt: skip

        uplink = Uplink(
            DEVICE, "backend", open_link, outbox,
            Inbox(database, clock, health, outbox, {}), clock, health, presence,
        )  # fmt: skip
        await database.open()
        await outbox.open()
        for n in range(waiting):
            body = position(n) if stream == "telemetry" else Audit(action="a" * 200, by="test")
            await outbox.record(body)
        beat = partial(Heartbeat, clock=clock, health=health)
        running = asyncio.ensure_future(uplink.run(beat("uplink")))
        await until(lambda: made and len(made[0].arrived) >= waiting)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()
        return made[0].arrived

    assert asyncio.run(tell()) == list(range(1, waiting + 1))
