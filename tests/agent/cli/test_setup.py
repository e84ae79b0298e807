"""Set-up as a technician meets it: at a terminal, interrupted, wrong, and from a file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import draft, main
from agent.config import check
from tests.agent.cli.terminal import CTRL_C, ENTER, at_terminal


def command(folder: Path, *more: str) -> list[str]:
    return ["setup", "--config", str(folder / "config.toml"), *more]


BEGINNING = [
    ("Language", "en\r"),
    ("what is this device", "kitchen\r"),
    ("answer with one of", "shop\r"),
    ("its id", "sh.7\r"),
    ("no dot or space", "sh-7\r"),
    ("belongs to", "site-1\r"),
    ("the broker", "mqtt:/x\r"),
    ("write mqtts://", "mqtt://127.0.0.1:1\r"),
    ("does not answer: Connection refused", ""),
    ("use it all the same", "y\r"),
    ("printer 1", "9\r"),
    ("a number of the list", "simulated://\r"),
    ("its name", ENTER),
    ("print a test page", "y\r"),
    ("two pieces of paper", "y\r"),
    ("ruler", "48\r"),
    ("printer 2", CTRL_C),
]


def test_a_person_is_interrupted_goes_on_in_chinese_and_has_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, screen = at_terminal(command(tmp_path), BEGINNING)
    assert status == 130, screen
    assert "nothing is written" in screen
    assert [path.name for path in tmp_path.iterdir()] == [".config.toml.setup"]
    assert (tmp_path / ".config.toml.setup").stat().st_mode & 0o777 == 0o600

    again = [
        ("接着上次继续", ""),
        ("[shop]", ENTER),
        ("[sh-7]", ENTER),
        ("[site-1]", ENTER),
        ("[mqtt://127.0.0.1:1]", ENTER),
        ("仍然使用它", ENTER),
        ("沿用上次试过的打印机：kitchen", ENTER),
        ("喇叭", "n\r"),
        ("写入", ENTER),
    ]
    status, screen = at_terminal(command(tmp_path, "--lang", "zh"), again)
    assert status == 0, screen
    assert "接下来" in screen
    path = tmp_path / "config.toml"
    assert [one.name for one in tmp_path.iterdir()] == ["config.toml"]
    assert path.stat().st_mode & 0o777 == 0o640
    assert main(["config", "check", "--config", str(path), "--lang", "en"]) == 0
    assert "good, for a shop sh-7" in capsys.readouterr().out
    written = tomllib.loads(path.read_text())
    assert written["printer"][0] | {"width_mm": 80} == written["printer"][0]
    assert written["device"] == {"id": "sh-7", "site": "site-1", "language": "zh"}


def test_an_existing_configuration_is_not_touched_without_a_yes(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("mine\n")
    status, _ = at_terminal(command(tmp_path, "--lang", "en"), [("go on [y/N]", ENTER)])
    assert (status, path.read_text()) == (1, "mine\n")
    status, screen = at_terminal(command(tmp_path, "--lang", "zh"), [("继续 [y/N]", "\x04")])
    assert (status, path.read_text()) == (130, "mine\n"), screen


ANSWERS = """
role = "rider"
language = "zh"
id = "rd-7"
url = "mqtts://broker.example:8883"
receiver = "/dev/ttyACM0"
consent = "elsewhere"
beacons = true
panel = true
sound = true
"""


def test_a_file_of_answers_asks_nobody_and_keeps_the_old_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers, path = tmp_path / "answers.toml", tmp_path / "etc" / "config.toml"
    answers.write_text(ANSWERS)
    arguments = ["setup", "--config", str(path), "--answers", str(answers)]
    assert main(arguments) == 0
    assert "edge-agent consent give" in capsys.readouterr().out
    written = tomllib.loads(path.read_text())
    assert written["position"] == {"driver": "serial", "serial": {"device": "/dev/ttyACM0"}}
    assert written["privacy"] == {"consent": "elsewhere"}
    assert main(["config", "check", "--config", str(path)]) == 0

    assert main([*arguments, "--id", "rd-8"]) == 1
    assert "--yes" in capsys.readouterr().err
    assert main([*arguments, "--id", "rd-8", "--yes"]) == 0
    assert tomllib.loads(path.read_text())["device"]["id"] == "rd-8"
    (old,) = path.parent.glob("config.toml.*.old")
    assert tomllib.loads(old.read_text())["device"]["id"] == "rd-7"


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        (["--yes", "--role", "shop"], 78, "a shop needs at least one"),
        (["--yes", "--role", "shop", "--id", "a.b", "--printer", "k=tcp://h"], 78, "no dot"),
        (["--yes", "--role", "shop", "--printer", "kitchen"], 78, "NAME=URI"),
        (["--yes", "--role", "shop", "--printer", "k=tcp://h", "--url", "x"], 78, "mqtts://HOST"),
        (["--yes", "--role", "rider", "--receiver", "usb"], 78, "/dev/ttyACM0"),
        (["--yes"], 78, "answer with one of"),
        (["--answers", "/none/here.toml"], 78, "No such file"),
        ([], 2, "no terminal"),
    ],
)
def test_what_is_wrong_with_given_answers_is_said_and_nothing_written(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert main(command(tmp_path, *more, "--lang", "en")) == status
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_unknown_answers_are_named_with_what_was_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = tmp_path / "a.toml"
    answers.write_text('rolle = "shop"\n')
    assert main(command(tmp_path, "--answers", str(answers))) == 78
    assert "did you mean 'role'" in capsys.readouterr().err


@given(
    site=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    language=st.sampled_from(["zh", "en"]),
    beacons=st.booleans(),
    sound=st.booleans(),
    role=st.sampled_from(["shop", "rider"]),
)
def test_whatever_is_answered_is_read_back_as_it_was(
    site: str, language: str, role: str, *, beacons: bool, sound: bool
) -> None:
    answers = {
        "role": role,
        "id": "d-1",
        "site": site,
        "url": "mqtt://127.0.0.1",
        "language": language,
        "beacons": beacons,
        "sound": sound,
        "printers": [{"name": "k", "uri": "tcp://h"}],
        "receiver": "gpsd" if role == "rider" else None,
    }
    written = tomllib.loads(draft.toml(answers))
    assert check(written) == []
    assert written["device"].get("site", "") == site
    assert ("sound" in written) == sound
    assert json.dumps(written)
