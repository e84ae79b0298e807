"""Whether and how exactly the rider may be located now: consent, duty, live orders, SOS.

What makes it stricter holds at once and is then written down; what makes it looser is written down
first. Every change of precision is an `audit` event, in one transaction with the precision that was
told last: a restart tells nothing twice and leaves nothing out.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from agent.contract.errors import Rejected
from agent.contract.events import Audit
from agent.contract.wire import encode
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.positioning.privacy import DUTY_OF, Consent, Duty, Mode, mode_of
from agent.store.database import Database, StoreError

NO_CONSENT = "privacy.consent"
AUDIT = "privacy.precision"
SECRET_BYTES = 32
STRICTNESS: tuple[Duty, ...] = ("off", "idle", "delivering")

_GET = "SELECT value FROM meta WHERE key = ?"
_PUT = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_DUTY, _CONSENT, _TOLD, _SECRET = "duty", "consent", "precision", "blur_secret"

Question = Callable[[sqlite3.Connection], bool]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the fleet has decided."""

    required: bool  # without a consent on this device, nothing
    notice: str  # version of the text that has to be agreed to
    start: Duty  # of a rider who has not said any


@dataclass(frozen=True, slots=True)
class _Facts:
    duty: Duty
    consent: Consent | None = None
    live_orders: bool = False
    sos: bool = False


class DutyService:
    """`mode` is what holds now, `changes` wakes who waits for another one."""

    name = "duty"

    def __init__(
        self,
        rules: Rules,
        database: Database,
        clock: Clock,
        health: Health,
        recorder: Recorder,
        *,
        live_orders: Question,
        sos: Question,
        around: Changes,
        changed: Callable[[], Awaitable[None]],
        forget: Callable[[], Awaitable[int]],
    ) -> None:
        """`live_orders` and `sos` are asked in the store's thread, anew whenever `around` notifies.
        `changed` is awaited when the precision is another one, and that is written down;
        `forget` drops whereabouts that nobody has received yet, and says how many."""
        self.mode: Mode = "off"
        self.changes = Changes()
        self.secret = b""  # of the device; blurred places are made with it
        self._rules = rules
        self._database = database
        self._clock = clock
        self._health = health
        self._recorder = recorder
        self._live_orders = live_orders
        self._sos = sos
        self._around = around
        self._changed = changed
        self._forget = forget
        self._facts = _Facts(rules.start)
        self._audited: Mode = "off"
        self._untold: list[Audit] = []  # one a change; only while the disk refuses more than one

    # --- what people ask for ----------------------------------------------------------------------

    async def set_duty(self, duty: Duty, by: str) -> dict[str, Any]:
        """The rider's own switch, or the back end's; returns the `view`."""
        if STRICTNESS.index(duty) < STRICTNESS.index(self._facts.duty):
            self._adopt(replace(self._facts, duty=duty), by)
        await self._database.write(lambda tx: tx.execute(_PUT, (_DUTY, duty)))
        self._adopt(replace(self._facts, duty=duty), by)
        await self._tell()
        return self.view()

    async def toggle(self, by: str) -> None:
        """What the button does: off duty, or back to what the fleet starts with."""
        on: Duty = "idle" if self._rules.start == "off" else self._rules.start
        await self.set_duty(on if self._facts.duty == "off" else "off", by)

    async def give(self, person: str, notice: str, by: str) -> dict[str, Any]:
        """The rider agreed to that version of the text; Rejected when another one is in force."""
        if notice != self._rules.notice:
            raise Rejected(
                "wrong_notice",
                f"version {self._rules.notice} of the text is in force, not {notice}; show it",
            )
        consent = Consent(True, person, notice, by, self._now())
        await self._keep(consent)
        self._adopt(replace(self._facts, consent=consent), by)
        await self._tell()
        return self.view()

    async def withdraw(self, by: str) -> dict[str, Any]:
        """Nothing is collected any more; what nobody has received yet is forgotten."""
        old = self._facts.consent
        person, notice = (old.person, old.notice) if old else ("", self._rules.notice)
        consent = Consent(False, person, notice, by, self._now())
        self._adopt(replace(self._facts, consent=consent), by)
        await self._keep(consent)
        await self._tell()
        return self.view() | {"forgotten": await self._forget()}

    def view(self) -> dict[str, Any]:
        """For `status` and people."""
        consent = self._facts.consent
        return {
            "precision": self.mode,
            "duty": self._facts.duty,
            "state": self.state,
            "consent": self._word(),
            "notice": self._rules.notice,
            "record": None if consent is None else msgspec.to_builtins(consent),
        }

    @property
    def state(self) -> Duty:
        """What the rider does, as far as it concerns the back end."""
        return DUTY_OF[self.mode]

    def _word(self) -> str:
        consent = self._facts.consent
        if consent is not None and not consent.given:
            return "withdrawn"
        if not self._rules.required:
            return "elsewhere"
        return "given" if self._agreed(self._facts) else "missing"

    # --- the service ------------------------------------------------------------------------------

    async def open(self) -> None:
        """Reads what was decided before; until then nothing is allowed."""
        kept = await self._database.write(self._read)
        self.secret = bytes.fromhex(kept[_SECRET])
        consent = kept.get(_CONSENT)
        self._audited = msgspec.convert(kept.get(_TOLD, "off"), Mode)
        facts = _Facts(
            msgspec.convert(kept.get(_DUTY, self._rules.start), Duty),
            msgspec.json.decode(consent, type=Consent) if consent else None,
            *await self._database.read(self._ask),
        )
        self._adopt(facts, "start")

    async def run(self, heartbeat: Heartbeat) -> None:
        if self._word() == "withdrawn":
            await self._forget()  # a power cut may have come before it
        while True:
            seen = self._around.version
            live_orders, sos = await self._database.read(self._ask)
            by = "orders" if sos == self._facts.sos else "sos"
            self._adopt(replace(self._facts, live_orders=live_orders, sos=sos), by)
            await self._tell()
            await heartbeat.idle(self._around.wait(seen))

    def _ask(self, connection: sqlite3.Connection) -> tuple[bool, bool]:
        return self._live_orders(connection), self._sos(connection)

    def _read(self, tx: sqlite3.Connection) -> dict[str, str]:
        if tx.execute(_GET, (_SECRET,)).fetchone() is None:
            tx.execute(_PUT, (_SECRET, secrets.token_hex(SECRET_BYTES)))
        found = (
            (key, tx.execute(_GET, (key,)).fetchone()) for key in (_DUTY, _CONSENT, _TOLD, _SECRET)
        )
        return {key: row[0] for key, row in found if row is not None}

    async def _keep(self, consent: Consent) -> None:
        text = encode(consent).decode()
        await self._database.write(lambda tx: tx.execute(_PUT, (_CONSENT, text)))

    # --- deciding and telling ---------------------------------------------------------------------

    def _agreed(self, facts: _Facts) -> bool:
        """A withdrawal counts here wherever consents are kept."""
        if facts.consent is None:
            return not self._rules.required
        if not self._rules.required:
            return facts.consent.given
        return facts.consent.covers(self._rules.notice)

    def _adopt(self, facts: _Facts, by: str) -> None:
        """From here on these facts hold."""
        self._facts = facts
        agreed = self._agreed(facts)
        if agreed:
            self._health.clear(NO_CONSENT)
        else:
            self._health.set(
                NO_CONSENT,
                f"no position is taken, because the rider has not agreed to version"
                f" {self._rules.notice} of the text. Show it; then: edge-agent consent give"
                " --person ID",
            )
        mode = mode_of(
            consent=agreed, duty=facts.duty, live_orders=facts.live_orders, sos=facts.sos
        )
        if mode != self._audited:
            detail = {
                "from": self._audited,
                "to": mode,
                "duty": facts.duty,
                "consent": self._word(),
            }
            self._untold.append(Audit(action=AUDIT, by=by, detail=detail))
            self._audited = mode
        if mode != self.mode:
            self.mode = mode
            self.changes.notify()

    async def _tell(self) -> None:
        untold, self._untold = self._untold, []
        if not untold:
            return

        def write(tx: sqlite3.Connection) -> None:
            for audit in untold:
                self._recorder.put(tx, audit)
            tx.execute(_PUT, (_TOLD, untold[-1].detail["to"]))

        try:
            await self._database.write(write)
        except StoreError:
            self._untold = [*untold, *self._untold]
            raise
        await self._changed()

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)
