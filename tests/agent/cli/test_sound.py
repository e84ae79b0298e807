from __future__ import annotations

import pytest

from agent.cli import common, main


@pytest.mark.parametrize(
    ("terminal", "answer", "status", "said"),
    [
        (True, "y", 0, ""),
        (True, "n", 1, "sound.device"),
        (True, "", 1, "sound.device"),
        (False, None, 0, "played"),
    ],
)
def test_who_tests_the_sound_is_asked_whether_it_was_heard(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    terminal: bool,
    answer: str | None,
    status: int,
    said: str,
) -> None:
    monkeypatch.setattr(common, "ask", lambda *_, **__: "played")
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert main(["sound", "test"]) == status
    assert said in capsys.readouterr().out
