"""What is wished, what the file says and what is in force, beside each other."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.cli import main
from agent.contract.commands import Desired
from agent.fleet.trial import Standing
from agent.store.database import migrate

CONFIG = """
role = "shop"
[device]
id = "sh-1"
[store]
path = "{store}"
[alert]
repeat_s = 8
[[printer]]
name = "kitchen"
uri = "simulated://"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(store=tmp_path / "agent.db"))
    return path


def wish(config: Path, standing: Standing) -> None:
    connection = sqlite3.connect(config.with_name("agent.db"), isolation_level=None)
    migrate(connection)
    if standing.in_force is not None:
        row = ("desired", msgspec.json.encode(standing.in_force).decode())
        connection.execute("INSERT INTO meta VALUES (?, ?)", row)
    rest = msgspec.structs.replace(standing, in_force=None)
    row = ("desired_trial", msgspec.json.encode(rest).decode())
    connection.execute("INSERT INTO meta VALUES (?, ?)", row)
    connection.close()


def diff(config: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main(["config", "diff", "--json", "--config", str(config), *more]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_what_is_wished_and_overridden_here_is_seen(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wish(config, Standing(Desired(4, {"alert": {"repeat_s": 5, "low_stock": 3}})))
    found = diff(config, capsys)
    assert (found["version"], found["state"]) == (4, "in force")
    assert found["settings"] == [
        {"setting": "alert.low_stock", "wished": 3, "file": None, "in_force": 3,
         "from": "remote desired"},
        {"setting": "alert.repeat_s", "wished": 5, "file": 8, "in_force": 5.0,
         "from": "remote desired"},
    ]  # fmt: skip
    monkeypatch.setenv("EDGE_AGENT_ALERT__REPEAT_S", "7")
    (row,) = (r for r in diff(config, capsys)["settings"] if r["setting"] == "alert.repeat_s")
    assert (row["wished"], row["file"], row["in_force"]) == (5, 8, 7)
    assert row["from"] == "EDGE_AGENT_ALERT__REPEAT_S"
    assert main(["config", "diff", "--config", str(config)]) == 0
    assert "EDGE_AGENT_ALERT__REPEAT_S" in capsys.readouterr().out


def test_where_nothing_is_wished_there_is_no_difference(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = diff(config, capsys)
    assert (found["version"], found["state"], found["settings"]) == (None, "nothing is wished", [])


def test_what_was_taken_back_says_why(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    standing = Standing(Desired(4, {"alert": {"repeat_s": 5}})).apply(Desired(5, {}), "b", 0)
    wish(config, standing.roll_back("the broker was not reached"))
    found = diff(config, capsys)
    assert (found["version"], found["state"]) == (4, "rolled_back")
    assert found["error"] == "the broker was not reached"
