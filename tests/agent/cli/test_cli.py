"""The command line as a person or a script meets it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import main
from tests.support import free_port

ROOT = Path(__file__).parents[3]


def test_importing_it_brings_nothing_heavy() -> None:
    code = "import sys, agent.cli; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"PIL", "escpos", "bleak", "msgspec", "paho", "asyncio", "sqlite3", "microdot"}
    assert heavy.isdisjoint(modules)


def test_a_bad_configuration_ends_with_78_and_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text('role = "shop"\nx = 1\n')
    assert main(["config", "check", "--config", str(path)]) == 78
    said = capsys.readouterr().err
    assert "x: there is no such setting" in said
    assert "device: is missing" in said


def test_run_with_a_bad_configuration_ends_with_78(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("role = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "agent", "run", "--config", str(path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 78
    assert "role" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_an_agent_a_request_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = str(ROOT / "config" / "shop.toml")
    arguments = ["--config", shop, "--set", f"store.path={tmp_path}/none.db"]
    assert main(["status", *arguments]) == 1
    assert "no agent answers" in capsys.readouterr().err


def test_show_names_the_source_of_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    shop = str(ROOT / "config" / "shop.toml")
    arguments = ["config", "show", "--json", "--config", shop, "--set", "alert.repeat_s=3"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["alert.repeat_s"] == 3
    assert told["origin"]["alert.repeat_s"] == "--set"
    assert told["origin"]["alert.escalate_s"] == shop
    assert told["origin"]["uplink.keepalive_s"] == "default"


@pytest.mark.parametrize("arguments", [[], ["order"], ["nonsense"], ["queue", "list", "nonsense"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_doctor_tries_each_broker_as_the_agent_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = str(ROOT / "config" / "shop.toml")
    urls = [f"mqtt://127.0.0.1:{free_port()}", f"mqtts://127.0.0.1:{free_port()}"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        urls.append(f"mqtt://127.0.0.1:{server.getsockname()[1]}")
        sets = [f"uplink.url={urls[0]}", f"uplink.fallbacks={json.dumps(urls[1:])}"]
        arguments = [part for one in sets for part in ("--set", one)]
        assert main(["doctor", "--only", "broker", "--config", shop, *arguments]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines] == ["✗", "✗", "✓"]
    assert "Connection refused" in lines[0]


def test_doctor_finds_that_no_agent_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = str(ROOT / "config" / "shop.toml")
    arguments = ["--config", shop, "--set", f"store.path={tmp_path}/none.db"]
    assert main(["doctor", "--only", "agent", *arguments]) == 1
    assert "✗ agent" in capsys.readouterr().out
    assert main(["doctor", "--only", "config", *arguments]) == 0
    assert main(["doctor", "--only", "nonsense", *arguments]) == 2
