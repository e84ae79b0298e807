"""Power may fail between any two writes; a release that never proves itself goes back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.fleet import slots as module
from agent.fleet.slots import STARTS_MAX, Slots, Trial

TRIAL = Trial("b", "a", "2.0", "r1")


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    made = Slots(tmp_path / "opt", tmp_path / "state")
    made.state.mkdir()
    for name in "ab":
        made.path(name).mkdir(parents=True)
        made.seal(name)
    made.switch("a")
    return made


class PowerCutError(BaseException):
    pass


class Power:
    """Fails before the n-th operation that changes the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self.done = 0
        for owner, name in (
            (Path, "rename"),
            (Path, "unlink"),
            (Path, "symlink_to"),
            (module.os, "fsync"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            self.done += 1
            if self.left is not None:
                if self.left == 0:
                    raise PowerCutError
                self.left -= 1
            return real(*arguments, **named)

        return call


def test_a_release_that_proves_itself_stays(slots: Slots) -> None:
    slots.begin(TRIAL)
    slots.before_start()
    trial = slots.trial()
    assert trial is not None
    assert trial.starts == 1
    slots.keep(trial)
    assert (slots.current(), slots.trial(), slots.refused()) == ("b", None, {})
    assert slots.before_start() == "no trial"


def test_three_starts_without_proof_go_back_and_are_never_tried_again(slots: Slots) -> None:
    slots.begin(TRIAL)
    for _ in range(STARTS_MAX):
        slots.before_start()
        assert slots.current() == "b"
    slots.before_start()
    result = slots.result()
    assert result is not None
    assert (slots.current(), slots.trial()) == ("a", None)
    assert (result.outcome, result.version) == ("rolled_back", "2.0")
    assert "b" in slots.refused()


def test_an_incomplete_slot_is_not_switched_to(slots: Slots) -> None:
    slots.path("c").mkdir()
    with pytest.raises(ValueError, match="not complete"):
        slots.switch("c")
    assert slots.current() == "a"


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "-x", "x" * 65, "a\n"])
def test_a_name_cannot_leave_the_folder(slots: Slots, name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        slots.path(name)


def test_power_lost_at_any_step_of_a_trial_leaves_a_slot_that_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: set[tuple[str | None, str]] = set()
    power = Power(monkeypatch)
    for verdict in ("keep", "give_up"):
        steps = 0
        while True:
            power.left = None
            slots = Slots(tmp_path / f"{verdict}{steps}", tmp_path / f"{verdict}{steps}" / "state")
            slots.state.mkdir(parents=True)
            for name in "ab":
                slots.path(name).mkdir(parents=True)
                slots.seal(name)
            slots.switch("a")
            power.left = steps
            cut = False
            try:
                slots.begin(TRIAL)
                slots.before_start()
                trial = slots.trial()
                assert trial is not None
                slots.keep(trial) if verdict == "keep" else slots.give_up(trial, "bad")
            except PowerCutError:
                cut = True
            power.left = None
            slots.before_start()  # the next boot
            current, result = slots.current(), slots.result()
            assert current is not None
            assert slots.is_complete(current)
            if result is not None and result.outcome == "rolled_back":
                assert current == "a"
                assert slots.trial() is None
            elif result is not None and result.outcome == "kept":
                assert current == "b"
                assert slots.trial() is None
            elif result is not None:
                assert (result.outcome, current) == ("interrupted", "a")
            else:
                assert (slots.trial() is None) == (current == "a")
            ends.add((current, result.outcome if result else "open"))
            steps += 1
            if not cut:
                break
        assert steps > 10
    assert {("a", "interrupted"), ("b", "open"), ("b", "kept"), ("a", "rolled_back")} <= ends


def test_the_launcher_runs_by_itself_and_never_keeps_the_agent_from_starting(
    slots: Slots, tmp_path: Path
) -> None:
    alone = tmp_path / "slots"
    alone.write_text(Path(module.__file__).read_text())
    slots.begin(TRIAL)

    def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-S", str(alone), *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    ran = launch(str(slots.folder.parent), str(slots.state))
    assert (ran.returncode, ran.stderr) == (0, "edge-agent slots: b is on trial: start 1 of 3\n")
    (slots.state / "trial.json").write_text("{")
    assert launch(str(slots.folder.parent), str(slots.state)).returncode == 0
    assert launch().returncode == 0


def test_what_the_updater_writes_the_agent_may_read(slots: Slots) -> None:
    before = os.umask(0o077)
    try:
        slots.begin(TRIAL)
        slots.keep(TRIAL)
    finally:
        os.umask(before)
    assert (slots.state / "result.json").stat().st_mode & 0o777 == 0o644
