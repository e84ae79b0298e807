"""The updater: from a request to a release that is kept, or to the one before.

It is a process of its own (`edge-agent update run`), started by systemd when the agent leaves a
request, at a boot too, so that what a power cut broke off is taken up again:

    request -> fetch, verify -> build a slot -> try it out -> trial: switch, restart
            -> the agent in the new slot proves itself within the deadline -> kept
            -> it does not, or starts three times without                  -> rolled back

A broker that nobody reaches says nothing about a release: while it does not answer the old slot's
way either, the deadline waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.fleet import building
from agent.fleet.box import REQUEST, VERDICT, VERSION, Request, Verdict, left
from agent.fleet.releases import Releases, UpdateError
from agent.fleet.slots import Result, Slots, Trial

LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What the updater asks of the machine."""

    restart: Callable[[], None]  # the agent
    reachable: Callable[[], bool]  # does the broker's port answer, by the settings in force?
    clock_is_set: Callable[[], bool]
    monotonic: Callable[[], float]
    sleep: Callable[[float], object]


class Updating:
    def __init__(
        self,
        slots: Slots,
        releases: Releases,
        machine: Machine,
        *,
        box: Path,
        config: Path,
        user: str | None,
        deadline_s: float,
    ) -> None:
        """`box`: the agent's folder for requests and verdicts; `user`: whom the agent runs as."""
        self._slots = slots
        self._releases = releases
        self._machine = machine
        self._box = box
        self._config = config
        self._user = user
        self._deadline_s = deadline_s

    def run(self) -> Result | None:
        """Serve the request that is there; None without one."""
        request = self._request()
        trial = self._slots.trial()
        if trial is not None:
            result = self._watch(trial)
        elif request is None:
            return None
        else:
            result = self._serve(request)
        if result.outcome != "interrupted":
            (self._box / REQUEST).unlink(missing_ok=True)
            (self._box / VERDICT).unlink(missing_ok=True)
        return result

    def _serve(self, request: Request) -> Result:
        ended = self._slots.result()
        if ended is not None and ended.request == request.id and ended.outcome != "interrupted":
            return ended  # only the request was still there
        try:
            trial = self._prepare(request)
        except UpdateError as error:
            slot = self._slots.current() or ""
            result = Result(request.id, request.version, slot, "failed", f"{error.code}: {error}")
            self._slots.conclude(result)
            return result
        self._slots.begin(trial)
        self._machine.restart()
        return self._watch(trial)

    def _prepare(self, request: Request) -> Trial:
        """Everything that can be done while the old release goes on working."""
        if not self._machine.clock_is_set():
            raise UpdateError("clock", "nobody has set the clock; a signature's age is unknown")
        release = self._releases.fetch(request.version)
        current = self._slots.current()
        if current is None:
            raise UpdateError("no_slot", f"{self._slots.link} is no link to a slot")
        if release.slot == current:
            raise UpdateError("already", f"release {release.version} runs already")
        if (why := self._slots.refused().get(release.slot)) is not None:
            raise UpdateError("refused", f"it was tried on this device and taken back: {why}")
        building.build(self._slots, release)
        building.try_out(self._slots, release, self._config, self._user)
        building.sweep(self._slots, [current, release.slot])
        self._releases.forget_but(release)
        return Trial(release.slot, current, release.version, request.id)

    def _watch(self, trial: Trial) -> Result:
        """Until there is a verdict, the deadline has passed, or the launcher has gone back."""
        machine = self._machine
        ends = machine.monotonic() + self._deadline_s
        while True:
            if self._slots.trial() is None:  # the launcher ended it
                result = self._slots.result()
                assert result is not None
                return result
            if self._proven(trial):
                return self._slots.keep(trial)
            if machine.monotonic() >= ends:
                if machine.reachable():
                    reason = f"it did not prove itself within {self._deadline_s:.0f} s"
                    result = self._slots.give_up(trial, reason)
                    machine.restart()
                    return result
                ends = machine.monotonic() + self._deadline_s
            machine.sleep(LOOK_S)

    def _proven(self, trial: Trial) -> bool:
        verdict = left(self._box / VERDICT, Verdict)
        return verdict is not None and verdict == Verdict(trial.request, trial.slot)

    def _request(self) -> Request | None:
        request = left(self._box / REQUEST, Request)
        if request is None or not VERSION.fullmatch(request.version) or len(request.id) > 64:
            return None
        return request
