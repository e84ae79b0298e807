"""`queue` as a technician uses it: with and without an agent, as another user, on bad files."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from agent import store
from agent.cli import main
from tests.support import free_port
from tests.system.machines import Agent, shop_config

SCHEMA = Path(store.__file__).parent / "migrations" / "0001_base.sql"
SHOP = str(Path(__file__).parents[3] / "config" / "shop.toml")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """As an agent leaves it: two orders' events, one of them before the clock was set."""
    path = tmp_path / "agent.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA.read_text())
    body = json.dumps({"action": "received", "note": "=1+1 \x1b[2J"}).encode()
    row = "INSERT INTO critical VALUES (?, 'order', ?, ?, NULL, NULL, ?)"
    connection.execute(row, (1, 0, "none", body))
    connection.execute(row, (2, 1_790_000_000_000, "ntp", body))
    connection.commit()
    connection.close()
    return path


def queue(path: Path, *arguments: str) -> int:
    return main(["queue", *arguments, "--config", SHOP, "--set", f"store.path={path}"])


def test_stats_tell_rows_and_the_oldest_that_has_a_time(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert queue(database, "stats", "--json") == 0
    stats = json.loads(capsys.readouterr().out)
    assert stats["critical"] == {"rows": 2, "first": 1, "last": 2, "oldest_t": 1_790_000_000_000}
    assert stats["telemetry"] == {"rows": 0, "first": None, "last": None, "oldest_t": None}
    assert queue(database, "stats") == 0
    assert "2026-09-21 14:13:20" in capsys.readouterr().out


def test_an_empty_table_is_said_and_exported_with_its_header(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert queue(database, "list", "poison") == 0
    assert capsys.readouterr().out == "nothing in poison\n"
    assert queue(database, "list", "poison", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert queue(database, "export", "telemetry", "--csv") == 0
    assert capsys.readouterr().out.strip() == "seq,kind,t,tq,mono,boot,body"
    assert queue(database, "export", "telemetry") == 0
    assert capsys.readouterr().out == ""


def test_a_strangers_text_does_no_harm_in_a_terminal_and_is_whole_in_a_file(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert queue(database, "list", "critical") == 0
    assert "\x1b" not in capsys.readouterr().out
    out = tmp_path / "copy.csv"
    assert queue(database, "export", "critical", "--csv", "--out", str(out)) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8"))))
    assert json.loads(rows[0]["body"])["note"] == "=1+1 \x1b[2J"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "critical", "--limit", "0"],
        ["list", "critical", "--limit", "-1"],
        ["list", "critical; DROP TABLE orders"],
        ["retry", "x"],
        ["retry", "-3"],
        ["export"],
    ],
)
def test_bad_input_ends_with_2(database: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        queue(database, *arguments)
    assert ended.value.code == 2


def test_without_a_database_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert queue(tmp_path / "none.db", "stats") == 1
    assert "has the agent run?" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_a_file_that_is_no_database_of_ours_is_said(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "agent.db"
    path.write_bytes(content)
    assert queue(path, "list", "critical") == 1
    assert str(path) in capsys.readouterr().err


def test_an_export_never_overwrites_the_agents_own_files(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = database.read_bytes()
    for name in ("agent.db", "agent.db-wal", "agent.sock", "../" + tmp_path.name + "/agent.db"):
        assert queue(database, "export", "critical", "--out", str(tmp_path / name)) == 1
    assert database.read_bytes() == before
    assert "own file" in capsys.readouterr().err
    assert queue(database, "export", "critical", "--out", str(tmp_path / "no" / "f")) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_told_whose_it_is(database: Path, tmp_path: Path) -> None:
    database.chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/") and folder != Path("/tmp"):
            folder.chmod(0o755)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        os.close(read)
        os.setuid(65534)
        sys.stderr = os.fdopen(write, "w", encoding="utf-8")
        status = queue(database, "stats")
        sys.stderr.flush()
        os._exit(status)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as said:
        words = said.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1, words
    assert "run this as its owner (root)" in words


@pytest.mark.system
def test_beside_a_running_agent_it_reads_and_retries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = Agent(tmp_path / "shop", free_port(), shop_config("simulated://"))
    agent.start().ready()
    try:
        agent.ask("shop.set", status="busy")  # audited: a critical event
        assert queue(agent.store, "stats", "--json") == 0
        assert json.loads(capsys.readouterr().out)["critical"]["rows"] >= 1
        assert queue(agent.store, "retry", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"handled": 0, "again": 0}
        assert queue(agent.store, "retry", "7") == 1
        assert "no message 7" in capsys.readouterr().err
        assert agent.ask("uplink.spread", window_s=65) == 65
        arguments = ["--config", SHOP, "--set", f"store.path={agent.store}"]
        assert main(["status", *arguments]) == 0
        said = capsys.readouterr().out
        assert "NOT connected since" in said
        assert "the oldest from" in said
        assert main(["status", "--json", *arguments]) == 0
        link = json.loads(capsys.readouterr().out)["link"]
        assert link["oldest"]["critical"] is not None
        assert "refused" in link["trouble"].lower()
    finally:
        agent.kill()
    assert queue(agent.store, "retry") == 1
    assert "no agent answers" in capsys.readouterr().err
    assert queue(agent.store, "stats") == 0  # what a killed one left
