r"""Keeps a device's certificate young, and looks whether somebody else uses its identity.

    half of its life is over --ask--> answer --check--> next/ --tried with the broker--> current/
                                                          \--refused--> dropped; again in an hour

The next certificate is tried on a connection of its own before the old one ends, so neither a bad
answer nor a power cut leaves a device without one. Once a day the connection is made anew, because
brokers look at what is revoked only then. What needs cryptography runs in a process that ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

import agent
from agent.contract import topics
from agent.contract.enrolment import MAX_BYTES, EnrollAnswer, EnrollRequest
from agent.contract.errors import Rejected
from agent.contract.events import Audit
from agent.contract.wire import decode, encode
from agent.core.clock import BUILD_TIME, Clock
from agent.core.health import Condition, Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.fleet.identity import NEXT, About, Identity
from agent.store.inbox import Incoming
from agent.uplink.link import LinkDown, TlsFiles

log = logging.getLogger(__name__)

RENEW_AT, SPREAD = 0.5, 0.1  # of its life; each certificate has its own moment in the spread
WORRY_AT = 0.8  # of its life: people are told that it is not renewed
LOOK_S = 300.0  # for an identity that is not there yet, or a clock that is not set
RETRY_S = 3600.0
ANSWER_S = 20.0
ASKED = 3  # times, before it is tried again in an hour
AGE_MAX_S = 86400.0  # of a connection
WORK_S = 120.0  # of the process with the cryptography, on a slow board
TWIN = "identity.twin"


@dataclass(slots=True)
class IdentityService:
    device: str
    identity: Identity
    hardware: str  # serial number of this machine
    clock: Clock
    health: Health
    recorder: Recorder
    send: Callable[[str, bytes, None], Awaitable[None]]  # uplink.reply
    switch: Callable[[TlsFiles], Awaitable[None]]
    up_since: Callable[[], float | None]  # unix s
    name: str = "identity"
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _renew_now: bool = False
    _twin: bool = False
    _retry_at: float = 0.0  # monotonic s
    _connected_t: float | None = None  # monotonic s
    _waits_for: str | None = None  # id of the request
    _answer: asyncio.Queue[EnrollAnswer] = field(default_factory=lambda: asyncio.Queue(1))

    # --- what a connection asks -------------------------------------------------------------------

    def floor(self) -> float | None:
        """While nobody has set the clock: a time that has surely passed (unix s). The authority
        dated our certificate, and no machine that runs this release is older than it."""
        if self.clock.quality() in ("ntp", "rtc"):
            return None
        about = self.identity.about()
        made = about.not_before if about is not None else 0
        return max(BUILD_TIME, made, self.clock.wall())

    # --- what others tell -------------------------------------------------------------------------

    async def connected(self) -> None:
        """Of each new connection."""
        self._connected_t = self.clock.monotonic()
        self._wake.set()

    def heard(self, condition: Condition, raised: bool) -> None:  # noqa: FBT001 - Health's port
        if raised and condition.code == TWIN and not self._twin:
            self._twin = True
            self._wake.set()

    def renew_now(self) -> str:
        """Not at its time; raises Rejected where there is none to renew."""
        if not self.identity.enrolled:
            raise Rejected("not_enrolled", "this device was not enrolled: edge-agent enroll")
        self._renew_now, self._retry_at = True, 0.0
        self._wake.set()
        return "asks for the next certificate"

    def handle(self, _tx: sqlite3.Connection, message: Incoming) -> Callable[[], None]:
        answer = decode(message.payload, EnrollAnswer, max_bytes=MAX_BYTES)

        def take() -> None:
            if answer.id == self._waits_for and self._answer.empty():
                self._answer.put_nowait(answer)

        return take

    def refuse(
        self, _tx: sqlite3.Connection, _message: Incoming, rejected: Rejected
    ) -> Callable[[], None]:
        return lambda: log.warning("an answer of the authority cannot be read: %s", rejected)

    # --- the service ------------------------------------------------------------------------------

    async def run(self, heartbeat: Heartbeat) -> None:
        self.health.listen(self.heard)
        while True:
            if self._twin:
                self._twin = False
                await self._record("identity.twin", {"hardware": self.hardware})
            self._judge()
            if self.identity.trying and self._connected:
                await heartbeat.idle(self._try())
            elif self._due() <= 0.0 and self._connected:
                await heartbeat.idle(self._renew())
            elif self._age_left() <= 0.0:
                await heartbeat.idle(self._reconnect())
            await heartbeat.idle(self._wait())

    async def _wait(self) -> None:
        """Until something is due, or was told."""
        pause = min(self._due() if self._connected else LOOK_S, self._age_left(), RETRY_S)
        sleeping = asyncio.ensure_future(self.clock.sleep(max(1.0, pause)))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait([sleeping, waking], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
        self._wake.clear()

    @property
    def _connected(self) -> bool:
        return self.up_since() is not None

    def _due(self) -> float:
        """Seconds until the next certificate should be asked for."""
        about = self.identity.about()
        wait = max(0.0, self._retry_at - self.clock.monotonic())
        if about is None:
            return LOOK_S
        if self._renew_now or about.hardware != self.hardware:
            return wait
        if self.clock.quality() == "none":
            return LOOK_S
        return max(wait, _moment(about) - self.clock.wall())

    def _age_left(self) -> float:
        """Seconds for which this connection may go on."""
        if not (self._connected and self._connected_t is not None and self.identity.enrolled):
            return RETRY_S
        return self._connected_t + AGE_MAX_S - self.clock.monotonic()

    def _judge(self) -> None:
        """Say what is wrong with the identity, if anything is."""
        about = self.identity.about()
        if about is None:
            return
        if about.hardware != self.hardware:
            self.health.set(
                "identity.moved",
                f"this identity was made for the machine {about.hardware} and runs on"
                f" {self.hardware}: a new board, or a copied card? A copy must not run beside it",
            )
        else:
            self.health.clear("identity.moved")
        if self.clock.quality() == "none":
            return
        left = (about.not_after - self.clock.wall()) / (about.not_after - about.not_before)
        if left <= 0:
            self.health.set(
                "identity.expired",
                "the certificate has ended and brokers refuse it: edge-agent enroll, without a"
                " code within 90 days, else with one",
                severity="critical",
            )
        else:
            self.health.clear("identity.expired")
        if 0 < left <= 1 - WORRY_AT:
            days = (about.not_after - self.clock.wall()) / 86400
            self.health.set(
                "identity.renewal",
                f"the certificate ends in {days:.1f} days and was not renewed: does the authority"
                " run (edge-agent ca serve)?",
            )
        else:
            self.health.clear("identity.renewal")

    # --- renewing ---------------------------------------------------------------------------------

    async def _renew(self) -> None:
        self._retry_at = self.clock.monotonic() + RETRY_S
        before = self.identity.about()
        try:
            await self._ask_and_take()
        except Rejected as rejected:
            log.warning("no new certificate, next attempt in an hour: %s", rejected)
            return
        self.identity.adopt(trial=True)
        self._renew_now = False
        if before is not None and before.hardware != self.hardware:
            detail = {"from": before.hardware, "to": self.hardware}
            await self._record("identity.moved", detail)
        await self._try()

    async def _ask_and_take(self) -> None:
        asked = {"device": self.device, "hardware": self.hardware}
        request = msgspec.json.decode(await self._work("ask", encode(asked)), type=EnrollRequest)
        answer = await self._exchange(request)
        taken = {"device": self.device, "request": request, "answer": answer}
        await self._work("take", encode(taken))

    async def _exchange(self, request: EnrollRequest) -> EnrollAnswer:
        """Ask until there is an answer; Rejected when there is none."""
        self._waits_for = request.id
        while not self._answer.empty():
            self._answer.get_nowait()
        try:
            for _ in range(ASKED):
                await self.send(topics.enroll_request(self.device), encode(request), None)
                waiting = asyncio.ensure_future(self._answer.get())
                timer = asyncio.ensure_future(self.clock.sleep(ANSWER_S))
                try:
                    await asyncio.wait([waiting, timer], return_when=asyncio.FIRST_COMPLETED)
                    if waiting.done():
                        return waiting.result()
                finally:
                    waiting.cancel()
                    timer.cancel()
        finally:
            self._waits_for = None
        raise Rejected("silent", "the authority does not answer")

    async def _try(self) -> None:
        """Go over to the next certificate; back to the old one where the broker refuses it."""
        about = self.identity.about(NEXT)
        try:
            await self.switch(self.identity.files(NEXT))
        except LinkDown:
            return  # with the next connection
        except OSError as error:
            self.identity.drop()
            log.warning("the broker refuses the new certificate: %s", error)
            return
        self.identity.promote()
        if about is not None:
            detail = {"serial": about.serial, "until": about.not_after * 1000}
            await self._record("identity.renewed", detail)

    async def _reconnect(self) -> None:
        """A connection that is old enough ends; its certificate is looked at anew."""
        self._connected_t = self.clock.monotonic()  # if it fails: again in a day
        try:
            await self.switch(self.identity.files())
        except (LinkDown, OSError) as error:
            log.info("the connection goes on: %s", error)

    async def _record(
        self,
        action: Literal["identity.twin", "identity.moved", "identity.renewed"],
        detail: dict[str, Any],
    ) -> None:
        await self.recorder.record(Audit(action=action, by="agent", detail=detail))

    async def _work(self, what: Literal["ask", "take"], given: bytes) -> bytes:
        """See identity_work; raises Rejected."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agent.fleet.identity_work",
            what,
            self.identity.folder.absolute(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=Path(agent.__file__).parents[1],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        try:
            async with asyncio.timeout(WORK_S):
                made, said = await process.communicate(given)
        except TimeoutError:
            raise Rejected("device", f"no key within {WORK_S:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            code, _, text = said.decode("utf-8", "replace").strip().partition(": ")
            raise Rejected(code[:64], text[-500:])
        return made


def _moment(about: About) -> float:
    """Unix second at which it should be renewed: its own within the spread, also after a restart,
    so that a fleet that was enrolled on one day is not renewed in one minute."""
    share = int(about.serial[-8:], 16) / 0x1_0000_0000
    life = about.not_after - about.not_before
    return about.not_before + life * (RENEW_AT + SPREAD * share)
