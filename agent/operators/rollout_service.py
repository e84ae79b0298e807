"""Drives a roll-out: asks, listens, and writes down each step before the next.

What a device is now counts for more than what was heard of it: its retained state and its reported
configuration are read at every step, so that nothing is lost while nobody drives.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.operators import rollout_file
from agent.operators.fleet import Fleet
from agent.operators.rollout import Member, Rollout

LOOK_S = 0.5
ASK_S = 3600  # a device that is away may still get the command for so long
GONE = frozenset({"lost", "offline"})


class RolloutService:
    """`tell`: called after each step."""

    def __init__(self, path: Path, fleet: Fleet, tell: Callable[[Rollout], None]) -> None:
        self._path = path
        self._fleet = fleet
        self._tell = tell
        self._task, self._rollout = rollout_file.read(path)

    async def run(self) -> Rollout:
        """Until it is done or aborted."""
        with rollout_file.driven(self._path):
            while self._rollout.phase not in ("done", "aborted"):
                await self._step()
                if self._rollout.phase not in ("done", "aborted"):
                    await self._fleet.clock.sleep(LOOK_S)
        return self._rollout

    async def _step(self) -> None:
        rollout, now = self._rollout, self._fleet.clock.wall()
        rollout.paused = rollout_file.pause_mark(self._path).exists()
        for device, member in rollout.members.items():
            if member.progress != "waiting":
                self._look(device, member, now)
        for device in rollout.step(now):
            rollout.asked(device, "", now)
            self._save()  # before: a device that is asked twice answers that it is on its way
            if not self._is_there(device):
                rollout.members[device].request = await self._ask(device)
        self._save()
        self._tell(rollout)

    def _save(self) -> None:
        rollout_file.write(self._path, self._task, self._rollout)

    async def _ask(self, device: str) -> str:
        task = self._task
        if task.update is not None:
            outcome = await self._fleet.command(
                device, "update.start", {"version": task.update}, expiry_s=ASK_S
            )
            return outcome.cmd_id
        assert task.version is not None
        await self._fleet.wish(device, task.version, task.settings or {})
        return ""

    def _look(self, device: str, member: Member, now: float) -> None:
        """What is known of the device that was asked."""
        rollout, task = self._rollout, self._task
        presence = self._fleet.devices.get(device)
        if member.progress == "succeeded":
            if rollout.phase == "soaking" and member.ring == rollout.ring:
                if presence is None or presence.state in GONE:
                    rollout.note(device, "failed", now, "it went away after that")
                elif not self._is_there(device):
                    rollout.note(device, "failed", now, "it went back after that")
            return
        if self._is_there(device):
            rollout.note(device, "succeeded", now)
        elif task.update is not None:
            self._look_for_failure(device, member, now)
        elif (said := self._refusal(device)) is not None:
            rollout.note(device, "failed", now, said)

    def _refusal(self, device: str) -> str | None:
        """Of the settings that are brought out."""
        reported = self._fleet.reported.get(device)
        if reported is None or reported.version != self._task.version:
            return None
        if reported.state not in ("refused", "rolled_back"):
            return None
        return reported.error or reported.state

    def _look_for_failure(self, device: str, member: Member, now: float) -> None:
        outcome = self._fleet.outcomes.get(member.request)
        if outcome is None:
            return
        if outcome.over and outcome.status != "succeeded":
            reason = f"{outcome.status}: {outcome.reason or ''} {outcome.result or ''}".strip()
            self._rollout.note(device, "failed", now, reason)
        elif isinstance(outcome.result, dict):
            _, update = self._fleet.updates.get(str(outcome.result.get("request")), (None, None))
            if update is not None and update.state in ("rolled_back", "failed"):
                reason = f"{update.state}: {update.reason or ''}"
                self._rollout.note(device, "failed", now, reason)

    def _is_there(self, device: str) -> bool:
        """Whether it runs what is brought out, and proved it."""
        task, presence = self._task, self._fleet.devices.get(device)
        if presence is None or presence.state in GONE:
            return False
        if task.update is not None:
            kept = any(
                of == device and update.version == task.update and update.state == "kept"
                for of, update in self._fleet.updates.values()
            )
            return presence.agent == task.update and (kept or not presence.trying)
        reported = self._fleet.reported.get(device)
        return reported is not None and reported.in_force == task.version
