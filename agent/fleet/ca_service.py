"""The authority at work: answers requests over MQTT, and ends connections of who was revoked.

A broker's list of revoked certificates only keeps new connections out. Who is connected stays, so
the authority connects once as the revoked device itself, with a certificate good for ten minutes:
every broker ends the older connection of a client id, and this one leaves no session behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from agent.contract import enrolment, topics
from agent.contract.enrolment import EnrollAnswer, EnrollRequest
from agent.contract.errors import Rejected
from agent.contract.wire import decode, encode
from agent.core.clock import Clock
from agent.fleet.ca import Authority, replace
from agent.uplink.link import Link, LinkDown, LinkSettings, Message, TlsFiles
from drivers.base import DriverError

log = logging.getLogger(__name__)

NAME = "ca"  # of its own certificate and in the broker's access list
QUEUE = 200  # requests that wait; more are not acknowledged, and the broker sends them again
KICK_S = 10.0
RELOAD_S = 30.0
LISTS_S = 7 * 86400.0  # the list of revoked certificates is made anew, long before it expires


class CaService:
    """`run()` until cancelled."""

    def __init__(self, authority: Authority, clock: Clock, url: str) -> None:
        self._authority = authority
        self._clock = clock
        self._url = url
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(QUEUE)
        self._link = Link(
            LinkSettings(
                url=url,
                client_id=NAME,
                subscriptions=(topics.enroll_request("+"),),
                files=self._files,
            ),
            clock,
            on_message=self._take,
            on_up=lambda _: log.info("answers at %s", url),
            on_down=lambda why: log.warning("no connection: %s", why),
        )

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run())
            group.create_task(self._answer())
            group.create_task(self._renew_lists())

    def _take(self, message: Message) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait(message)

    async def _answer(self) -> None:
        while True:
            message = await self._waiting.get()
            if (address := topics.parse(message.topic)) is not None:
                answer = await self._answer_to(address.device, message.payload)
                if answer is not None:
                    with contextlib.suppress(LinkDown):  # it asks again
                        topic = topics.enroll_answer(address.device)
                        self._link.publish(topic, encode(answer), expiry_s=enrolment.KEEP_S)
            self._link.acknowledge(message)

    async def _answer_to(self, device: str, payload: bytes) -> EnrollAnswer | None:
        """None for what names no request."""
        try:
            request = decode(payload, EnrollRequest, max_bytes=enrolment.MAX_BYTES)
        except Rejected as rejected:
            log.warning("a request of %s cannot be read: %s", device, rejected)
            return None
        try:
            decision = await asyncio.to_thread(
                self._authority.decide, device, request, self._clock.wall()
            )
        except Rejected as rejected:
            log.warning("%s of %s refused: %s", request.kind, device, rejected)
            return EnrollAnswer(id=request.id, code=rejected.code, error=str(rejected))
        log.info("%s of %s: a certificate for %s", request.kind, device, request.hardware)
        if decision.moved:
            log.warning("%s is in another machine than before: %s", device, request.hardware)
        if decision.revoked:
            try:
                await shut_out(self._authority, self._clock, self._url, device)
            except DriverError as error:
                log.error("the earlier certificate of %s: %s", device, error)  # noqa: TRY400
        return decision.answer

    def _files(self) -> TlsFiles:
        """A certificate of its own for each connection: nothing to be renewed."""
        at = self._authority.folder
        key, chain = self._authority.stand_in(NAME, self._clock.wall())
        replace(at / "client.key", key, 0o600)
        replace(at / "client.pem", chain.encode())
        return TlsFiles(at / "trust.pem", at / "client.pem", at / "client.key")

    async def _renew_lists(self) -> None:
        while True:
            try:
                await asyncio.to_thread(publish_lists, self._authority, self._clock.wall())
            except DriverError as error:
                log.error("%s", error)  # noqa: TRY400
            await self._clock.sleep(LISTS_S)


def publish_lists(authority: Authority, now: float) -> None:
    """Write what is revoked and let the broker read it. Raises DriverError when it cannot."""
    authority.write_lists(now)
    command = authority.setting("reload")
    if not command:
        return
    try:
        subprocess.run(  # noqa: S602 - the authority's own setting, given by who made it
            command, shell=True, check=True, timeout=RELOAD_S, capture_output=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise DriverError(f"the broker was not told of the list: {error}") from error


async def shut_out(authority: Authority, clock: Clock, url: str, device: str) -> bool:
    """The list first, so that it cannot come back; then its connection. Whether that was reached:
    False says that no broker took us within 10 s."""
    await asyncio.to_thread(publish_lists, authority, clock.wall())
    return await kick(authority, clock, url, device)


async def kick(authority: Authority, clock: Clock, url: str, device: str) -> bool:
    """Take over the session of a device and end it, with everything that waits in it."""
    key, chain = authority.stand_in(device, clock.wall())
    with tempfile.TemporaryDirectory() as folder:  # mode 0700
        files = Path(folder)
        (files / "key.pem").write_bytes(key)
        (files / "cert.pem").write_text(chain, "ascii")
        settings = LinkSettings(
            url=url,
            client_id=device,
            session_expiry_s=0,
            ca=authority.folder / "trust.pem",
            cert=files / "cert.pem",
            key=files / "key.pem",
        )
        return await _connect_once(settings, clock)


async def _connect_once(settings: LinkSettings, clock: Clock) -> bool:
    up = asyncio.Event()
    link = Link(
        settings,
        clock,
        on_message=lambda _: None,  # what waited for the device is not acknowledged, and lost
        on_up=lambda _: up.set(),
        on_down=partial(log.warning, "the connection in its place: %s"),
    )
    running = asyncio.ensure_future(link.run())
    try:
        async with asyncio.timeout(KICK_S):
            await up.wait()
    except TimeoutError:
        return False
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    return True
