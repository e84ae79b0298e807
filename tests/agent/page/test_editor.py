from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import config
from agent.contract.errors import Rejected
from agent.layers import ConfigError
from agent.page.editor import HIDDEN, Editor, concealed, restored
from drivers.base import DriverError

SHOP = """role = "shop"
[device]
id = "sh-1"
[[printer]]
name = "kitchen"
uri = "simulated://"
"""


@pytest.fixture
def editor(tmp_path: Path) -> Editor:
    (tmp_path / "config.toml").write_text(SHOP)
    load = partial(config.load, tmp_path / "config.toml", environment={})

    def check(file: Path, text: str) -> list[str]:
        try:
            load(instead={file: text})
        except ConfigError as error:
            return error.problems
        return []

    return Editor(tmp_path / "config.toml", check)


def in_force(editor: Editor) -> Any:
    return config.load(editor.path.parents[1] / "config.toml", environment={}).config


def test_what_is_written_is_in_force_and_the_text_before_it_is_kept(editor: Editor) -> None:
    assert editor.look() == (str(editor.path), "", None, True)
    editor.write("[alert]\nrepeat_s = 5\n")
    assert in_force(editor).alert.repeat_s == 5
    editor.write("[alert]\nrepeat_s = 6\n")
    assert in_force(editor).alert.repeat_s == 6
    assert editor.look().before == "[alert]\nrepeat_s = 5\n"
    assert editor.path.stat().st_mode & 0o777 == 0o640
    assert {file.name for file in editor.path.parent.iterdir()} == {
        "90-page.toml",
        "90-page.before",
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[alert\n", "is not TOML"),
        ("[alert]\nrepeat = 5\n", "alert.repeat"),
        ("[alert]\nrepeat_s = -1\n", "alert.repeat_s"),
        ('role = "ship"\n', "role"),
        ('[[printer]]\nname = "a"\nuri = "tcp://x"\nbackup = "b"\n', "printer.a.backup"),
    ],
)
def test_what_the_validator_refuses_is_named_and_nothing_is_written(
    editor: Editor, text: str, problem: str
) -> None:
    assert any(problem in line for line in editor.problems(text))
    with pytest.raises(Rejected) as caught:
        editor.write(text)
    assert caught.value.code == "invalid"
    assert not editor.path.exists()


def test_secrets_are_never_shown_and_stay_when_their_lines_are_not_touched(editor: Editor) -> None:
    text = '[uplink]\nurl = "mqtt://shop:swordfish@192.0.2.1"\npassword_file = "/etc/pw"\n'
    editor.write(text)
    shown = editor.look().text
    assert "swordfish" not in shown
    assert "/etc/pw" in shown
    editor.write(shown + "keepalive_s = 30\n")
    assert in_force(editor).uplink.url == "mqtt://shop:swordfish@192.0.2.1"
    assert in_force(editor).uplink.keepalive_s == 30
    assert "swordfish" not in repr(editor.look())


def test_a_hidden_secret_that_was_changed_around_must_be_written_anew(editor: Editor) -> None:
    editor.write('[uplink]\nurl = "mqtt://shop:swordfish@192.0.2.1"\n')
    moved = editor.look().text.replace("192.0.2.1", "192.0.2.66")
    assert HIDDEN in moved
    assert HIDDEN in editor.problems(moved)[0], "it would be sent to another host"


def test_a_file_that_may_not_be_written_says_what_to_do(editor: Editor, tmp_path: Path) -> None:
    (tmp_path / "conf.d").write_text("in the way")
    with pytest.raises(DriverError, match="let the agent's user write"):
        editor.write("[alert]\nrepeat_s = 5\n")


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_as_it_was(text: str) -> None:
    if HIDDEN not in text:
        assert restored(concealed(text), text) == text


@pytest.mark.parametrize(
    "line",
    [
        'password = "swordfish"',
        'api_token="swordfish"',
        "a.secret = 'swordfish'",
        "PIN = swordfish",
    ],
)
def test_what_is_named_like_a_secret_is_hidden(line: str) -> None:
    assert "swordfish" not in concealed(line)
