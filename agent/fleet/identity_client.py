"""Asks the authority for a certificate while no agent runs, or none that has an identity yet."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from pathlib import Path

from agent.contract import topics
from agent.contract.enrolment import MAX_BYTES, EnrollAnswer, EnrollRequest
from agent.contract.errors import Rejected
from agent.contract.wire import decode, encode
from agent.core.clock import Clock
from agent.uplink.link import Connected, Link, LinkDown, LinkSettings, Message
from drivers.base import DriverError

AGAIN_S = 5.0
GIVE_UP_S = 60.0


def claim(
    url: str, device: str, ca: Path | None, username: str | None, password: str | None
) -> LinkSettings:
    """A connection that may do nothing but ask. Its client id is nobody's, and nothing of it stays
    at the broker."""
    return LinkSettings(
        url=url,
        client_id=f"enroll-{secrets.token_hex(4)}",
        subscriptions=(topics.enroll_answer(device),),
        session_expiry_s=0,
        username=username,
        password=password,
        ca=ca,
        retry_max_s=5.0,
    )


async def exchange(
    settings: LinkSettings, clock: Clock, device: str, request: EnrollRequest
) -> EnrollAnswer:
    """The answer to a request; DriverError when none came within a minute."""
    answers: asyncio.Queue[EnrollAnswer] = asyncio.Queue(1)
    troubles = ["the authority does not answer: does `edge-agent ca serve` run?"]

    def take(message: Message) -> None:
        link.acknowledge(message)
        with contextlib.suppress(Rejected, asyncio.QueueFull):
            answer = decode(message.payload, EnrollAnswer, max_bytes=MAX_BYTES)
            if answer.id == request.id:
                answers.put_nowait(answer)

    def ask(_connected: Connected | None = None) -> None:
        with contextlib.suppress(LinkDown):
            link.publish(topics.enroll_request(device), encode(request))

    link = Link(
        settings, clock, on_message=take, on_up=ask, on_down=lambda why: troubles.append(why)
    )

    async def again() -> None:
        while True:
            await clock.sleep(AGAIN_S)
            ask()

    tasks = [asyncio.ensure_future(link.run()), asyncio.ensure_future(again())]
    try:
        async with asyncio.timeout(GIVE_UP_S):
            return await answers.get()
    except TimeoutError:
        raise DriverError(f"no answer within {GIVE_UP_S:.0f} s: {troubles[-1]}") from None
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
