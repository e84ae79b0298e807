from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.core.timedaemon import KEPT_S, STUCK_S, WAITING_S, TimeDaemon


def answered(daemon: TimeDaemon, now: float) -> bool:
    """The answer, once the program that is running has ended."""
    daemon.keeps(now)
    if daemon._child is not None:
        daemon._child.wait(10)
    return daemon.keeps(now)


@pytest.fixture
def asked(tmp_path) -> Callable[[str], TimeDaemon]:
    """A time daemon that says what stands in a file."""

    def make(said: str) -> TimeDaemon:
        (tmp_path / "said").write_text(said)
        return TimeDaemon(("cat", str(tmp_path / "said")))

    return make


@pytest.mark.parametrize(
    ("said", "kept"), [("yes\n", True), ("no\n", False), ("", False), ("n/a", False)]
)
def test_only_a_yes_is_a_yes(asked, said: str, kept: bool) -> None:
    assert answered(asked(said), 0.0) is kept


def test_nothing_is_known_before_the_answer(asked) -> None:
    daemon = asked("yes")
    assert daemon.keeps(0.0) is False
    answered(daemon, 0.0)


def test_a_clock_that_is_not_kept_yet_is_asked_for_again_soon(asked, tmp_path) -> None:
    daemon = asked("no")
    assert not answered(daemon, 0.0)
    (tmp_path / "said").write_text("yes")
    assert not answered(daemon, WAITING_S - 1)
    assert answered(daemon, WAITING_S)


def test_a_kept_clock_is_asked_for_seldom_and_its_loss_is_noticed(asked, tmp_path) -> None:
    daemon = asked("yes")
    assert answered(daemon, 0.0)
    (tmp_path / "said").write_text("no")
    assert answered(daemon, KEPT_S - 1)
    assert not answered(daemon, KEPT_S)


def test_while_it_is_asked_again_the_last_answer_holds(asked) -> None:
    daemon = asked("yes")
    assert answered(daemon, 0.0)
    assert daemon.keeps(KEPT_S) is True
    answered(daemon, KEPT_S)


@pytest.mark.parametrize("command", [("false",), ("/nonexistent/timedatectl",)])
def test_a_program_that_fails_or_is_missing_knows_nothing(command: tuple[str]) -> None:
    assert answered(TimeDaemon(command), 0.0) is False


def test_a_program_that_hangs_is_ended() -> None:
    daemon = TimeDaemon(("sleep", "1000"))
    assert daemon.keeps(0.0) is False
    child = daemon._child
    assert child is not None
    assert daemon.keeps(STUCK_S - 1) is False
    assert child.poll() is None
    assert daemon.keeps(STUCK_S) is False
    assert child.returncode == -9
