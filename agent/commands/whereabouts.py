"""Position, duty and consent of a rider; the own beacon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from agent.arrival.rotating import EPOCH_S
from agent.commands.params import Params
from agent.contract.errors import Rejected
from agent.core.clock import Clock
from agent.fleet.commands import CommandTable
from agent.positioning.privacy import Duty
from agent.positioning.profiles import CHOOSABLE, IDLE, PROFILES

if TYPE_CHECKING:  # a shop is spared them
    from agent.arrival.own_beacon import OwnBeacon
    from agent.arrival.service import ArrivalService
    from agent.positioning.duty_service import DutyService
    from agent.positioning.service import PositioningService
    from agent.positioning.watching import View


class SetDuty(Params, frozen=True):
    duty: Duty


class GiveConsent(Params, frozen=True):
    person: Annotated[str, Meta(min_length=1, max_length=64)]
    notice: Annotated[str, Meta(min_length=1, max_length=32)]  # version of the text that was shown


class SetProfile(Params, frozen=True):
    profile: str
    minutes: Annotated[float, Meta(gt=0, le=1440)] = 10.0


@dataclass(slots=True)
class WhereaboutsCommands:
    """Refused with a reason where the device locates nobody."""

    clock: Clock
    positioning: PositioningService | None
    duty: DutyService | None  # a rider's
    beacon: OwnBeacon | None
    arrival: ArrivalService | None = None

    def add_to(self, table: CommandTable) -> None:
        add = table.add
        # An exact place is for who stands at the device, whatever the back end may know.
        add("gps.view", "What the receiver says.", self.view, changes=False, remote=False)
        add("beacons.view", "What the radio hears.", self.hear, changes=False, remote=False)
        add(
            "position.report", "Report the position now.", self.report_position, nature="repeatable"
        )
        add(
            "position.profile",
            "Report by a profile for a while.",
            self.set_profile,
            SetProfile,
            nature="repeatable",
        )
        add(
            "duty.set", "Off duty, idle or delivering.", self.set_duty, SetDuty, nature="repeatable"
        )
        add("consent.show", "What the rider agreed to.", self.show_consent, changes=False)
        add("consent.give", "The rider agrees to be located.", self.give_consent, GiveConsent)
        add("consent.withdraw", "The rider takes it back.", self.withdraw_consent)
        add("beacon.key", "The key of this device's own beacon.", self.beacon_key, secret=True)

    async def hear(self, _params: Any, _by: str) -> dict[str, Any]:
        """`beacons`, the loudest first; the first look only begins to listen. `learned`: the
        thresholds that pick-ups moved."""
        rows = self.arrival.overview() if self.arrival else None
        if self.arrival is None or rows is None:
            raise Rejected("not_here", "this device has no [beacons] scanner")
        return {"beacons": rows, "learned": await self.arrival.learned()}

    async def view(self, _params: Any, _by: str) -> View:
        if self.positioning is None:
            raise Rejected("not_here", "this device has no receiver")
        return self.positioning.view()

    async def report_position(self, _params: Any, _by: str) -> dict[str, Any]:
        report = await self._located().report("heartbeat")
        if report is None:
            raise Rejected("no_position", "there is no position yet, or it may not be told exactly")
        return {"age_s": round(self.clock.monotonic() - report.t, 1), "acc": report.acc}

    async def set_profile(self, params: SetProfile, _by: str) -> dict[str, Any]:
        """Until the next start at most; `position.profile` in the configuration is for good."""
        if params.profile == IDLE:
            raise Rejected("invalid", "the duty makes a rider idle: send duty.set")
        if params.profile not in CHOOSABLE:
            raise Rejected("invalid", f"there is no such profile; there are {', '.join(CHOOSABLE)}")
        self._located().override(PROFILES[params.profile], params.minutes * 60)
        return {
            "profile": params.profile,
            "minutes": params.minutes,
            "exactly": self._rider().mode == "delivery",
            "survives_restart": False,
        }

    async def set_duty(self, params: SetDuty, by: str) -> dict[str, Any]:
        return await self._rider().set_duty(params.duty, by)

    async def show_consent(self, _params: Any, _by: str) -> dict[str, Any]:
        return self._rider().view()

    async def give_consent(self, params: GiveConsent, by: str) -> dict[str, Any]:
        return await self._rider().give(params.person, params.notice, by)

    async def withdraw_consent(self, _params: Any, by: str) -> dict[str, Any]:
        return await self._rider().withdraw(by)

    async def beacon_key(self, _params: Any, _by: str) -> dict[str, Any]:
        """For the back end, which hands it out with orders."""
        if self.beacon is None:
            raise Rejected("not_here", "this device has no [beacon]")
        return {"key": self.beacon.key().hex(), "epoch_s": EPOCH_S}

    def _located(self) -> PositioningService:
        if self.positioning is None:
            raise Rejected("no_position", "this device has no [position]")
        return self.positioning

    def _rider(self) -> DutyService:
        if self.duty is None:
            raise Rejected("no_rider", "this device locates nobody: it has no [position]")
        return self.duty
