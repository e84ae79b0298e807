"""The slots that hold releases, and the trial of a new one; also the launcher that guards a start.

A slot is a folder that is never changed once it is complete; `current` is a symlink to the one that
runs. A new release is on trial until the agent in it has proven itself:

    begin --> (every start counts) --> keep       current stays, `result.json` says kept
      |                |
      |                +------------> give_up     current goes back, the slot is refused for ever
      +--> power lost before the link was swapped: interrupted, begin again

Each step is one file, written beside, synchronised and renamed, so that power may fail between any
two of them: doing a step again ends where it would have ended.

This file is also installed by itself, outside all slots, and runs before each start of the agent
with the system's Python: a release that does not even start cannot keep itself. Therefore it needs
nothing but the standard library. What cannot be read raises OSError, ValueError or TypeError.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

STARTS_MAX = 3
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
COMPLETE = ".complete"  # written last into a slot

Outcome = Literal["kept", "rolled_back", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    slot: str
    previous: str
    version: str
    request: str  # id of who asked
    starts: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    request: str
    version: str
    slot: str
    outcome: Outcome
    reason: str = ""


class Slots:
    def __init__(self, root: Path, state: Path) -> None:
        """`root` has `slots/` and `current`; `state` is root's own folder, readable for all."""
        self.folder = root / "slots"
        self.link = root / "current"
        self.state = state

    # --- what is there ----------------------------------------------------------------------------

    def path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a slot")
        return self.folder / name

    def current(self) -> str | None:
        try:
            return self.link.readlink().name
        except OSError:
            return None

    def is_complete(self, name: str) -> bool:
        return (self.path(name) / COMPLETE).exists()

    def trial(self) -> Trial | None:
        found = _read(self.state / "trial.json")
        return Trial(**found) if found else None

    def result(self) -> Result | None:
        found = _read(self.state / "result.json")
        return Result(**found) if found else None

    def refused(self) -> dict[str, str]:
        """Slots that failed, and why; they are never tried again."""
        return _read(self.state / "refused.json") or {}

    # --- steps ------------------------------------------------------------------------------------

    def seal(self, name: str) -> None:
        """What was written into a slot is on the disk, and it is complete."""
        os.sync()  # thousands of small files: one call costs less than one a file
        _write(self.path(name) / COMPLETE, {})

    def switch(self, name: str) -> None:
        if not self.is_complete(name):
            raise ValueError(f"slot {name} is not complete")
        beside = self.link.with_name("current.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(Path("slots") / name)
        beside.rename(self.link)
        _sync_folder(self.link.parent)

    def begin(self, trial: Trial) -> None:
        _write(self.state / "trial.json", asdict(trial))
        self.switch(trial.slot)

    def keep(self, trial: Trial) -> Result:
        return self._end(trial, "kept", "")

    def give_up(self, trial: Trial, reason: str) -> Result:
        """Back to the slot before; this one is never tried again."""
        refused = self.refused()
        _write(self.state / "refused.json", {trial.slot: reason, **refused})
        self.switch(trial.previous)
        return self._end(trial, "rolled_back", refused.get(trial.slot, reason))

    def _end(self, trial: Trial, outcome: Outcome, reason: str) -> Result:
        result = Result(trial.request, trial.version, trial.slot, outcome, reason)
        self.conclude(result)
        self._forget_trial()
        return result

    def conclude(self, result: Result) -> None:
        _write(self.state / "result.json", asdict(result))

    def _forget_trial(self) -> None:
        (self.state / "trial.json").unlink(missing_ok=True)
        _sync_folder(self.state)

    def before_start(self) -> str:
        """Called before each start of the agent, whatever it starts; says what was decided."""
        trial = self.trial()
        if trial is None:
            return "no trial"
        ended = self.result()
        if ended is not None and ended.request == trial.request and ended.slot == trial.slot:
            self._forget_trial()  # power was lost in the last step
            return f"the trial of {trial.slot} is over: {ended.outcome}"
        if trial.slot in self.refused():
            return _said(self.give_up(trial, ""))
        if self.current() != trial.slot:
            return _said(self._end(trial, "interrupted", "power was lost before the switch"))
        if trial.starts >= STARTS_MAX:
            return _said(self.give_up(trial, f"started {trial.starts} times without proof"))
        counted = Trial(**{**asdict(trial), "starts": trial.starts + 1})
        _write(self.state / "trial.json", asdict(counted))
        return f"{trial.slot} is on trial: start {counted.starts} of {STARTS_MAX}"


def _said(result: Result) -> str:
    return f"{result.slot}: {result.outcome}: {result.reason}"


def _read(path: Path) -> dict[str, Any] | None:
    """None where there is no such file. What cannot be read was never written whole by us."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{path} has no object in it")  # noqa: TRY004 - a damaged file
    return found


def _write(path: Path, value: dict[str, Any]) -> None:
    beside = path.with_name(path.name + ".new")
    with beside.open("w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)  # the agent reads it, whatever the umask is
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def main(arguments: list[str]) -> int:
    """`slots ROOT STATE`: the launcher. The agent is started whatever is wrong here."""
    try:
        said = Slots(Path(arguments[0]), Path(arguments[1])).before_start()
    except (OSError, ValueError, TypeError, IndexError) as error:
        sys.stderr.write(f"edge-agent slots: {error}\n")
        return 0
    if said != "no trial":
        sys.stderr.write(f"edge-agent slots: {said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
