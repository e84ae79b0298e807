"""The back end's tools: signing, and where an audit chain breaks."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.cli import main
from agent.consumer.records import EventRow
from agent.consumer.sqlite import SqliteStore
from agent.contract.events import Audit
from agent.fleet import audit, signing
from agent.fleet.audit import Head
from agent.fleet.signing import Signed


def bodies(count: int) -> list[dict[str, Any]]:
    head, made = Head(), []
    for number in range(1, count + 1):
        body = audit.link("sh-1", Audit(action="act", by="cli", detail={"v": 1.5}), number, head)
        head = Head(number, str(body.hash))
        made.append(json.loads(msgspec.json.encode(body)))
    return made


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """As the reference consumer keeps it."""
    path = tmp_path / "events.db"
    made = SqliteStore(str(path))
    rows = [
        EventRow("sh-1", "e1", "critical", seq, "audit", 1000 + seq, "ntp",
                 msgspec.Raw(json.dumps(body).encode()))
        for seq, body in enumerate(bodies(4), 1)
    ]  # fmt: skip
    made.apply(rows, 5000)
    made.close()
    return path


def test_a_whole_chain_holds_and_its_end_is_kept(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = tmp_path / "heads.json"
    arguments = ["fleet", "audit", "verify", "--from", f"sqlite:///{store}"]
    assert main([*arguments, "--heads", str(heads)]) == 0
    assert "sh-1: 4 entries, holds" in capsys.readouterr().out
    assert json.loads(heads.read_text()) == {"sh-1": f"4:{bodies(4)[-1]['hash']}"}
    database = sqlite3.connect(store)
    (view,) = database.execute("SELECT n || ':' || hash FROM audit_head").fetchall()
    database.close()
    assert view[0] == json.loads(heads.read_text())["sh-1"]


def test_a_break_is_named_and_nothing_is_kept(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = tmp_path / "heads.json"
    database = sqlite3.connect(store)
    with database:
        database.execute("DELETE FROM event WHERE seq = 3")
    database.close()
    arguments = ["fleet", "audit", "verify", "--from", f"sqlite:///{store}", "--json"]
    assert main([*arguments, "--heads", str(heads)]) == 1
    (found,) = json.loads(capsys.readouterr().out).values()
    assert [(b["seq"], b["what"]) for b in found["breaks"]] == [(4, "numbers 3 to 3 are missing")]
    assert not heads.exists()


def test_a_chain_that_was_written_anew_is_found_by_the_end_that_was_kept(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = tmp_path / "heads.json"
    heads.write_text(json.dumps({"sh-1": "4:" + "0" * 64, "sh-2": "1:" + "0" * 64}))
    arguments = ["fleet", "audit", "verify", "--from", f"sqlite:///{store}"]
    assert main([*arguments, "--heads", str(heads)]) == 1
    said = capsys.readouterr().out
    assert "written anew" in said
    assert "sh-2: 0 entries, BREAKS" in said


def test_a_file_of_lines_is_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "events.ndjson"
    lines = [
        {"device": "sh-1", "epoch": "e1", "seq": n, "kind": "audit", "body": body}
        for n, body in enumerate(bodies(3), 1)
    ]
    lines.append({"device": "sh-1", "epoch": "e1", "seq": 9, "kind": "order", "body": {}})
    file.write_text("\n".join(map(json.dumps, lines)))
    assert main(["fleet", "audit", "verify", "--from", str(file)]) == 0
    assert "3 entries" in capsys.readouterr().out
    file.write_text("nonsense")
    assert main(["fleet", "audit", "verify", "--from", str(file)]) == 1
    assert f"{file}:1" in capsys.readouterr().err


def test_what_is_signed_on_the_command_line_is_what_a_device_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "ops-1"
    assert main(["fleet", "keygen", str(key)]) == 0
    public = capsys.readouterr().out.partition('key = "')[2].partition('"')[0]
    assert key.stat().st_mode & 0o777 == 0o600
    assert main(["fleet", "keygen", str(key)]) == 1
    sign = ["fleet", "sign", "sh-1", "--kid", "ops-1", "--key", str(key)]
    assert main([*sign, "shop.set", '{"status": "busy"}', "--id", "c1"]) == 0
    capsys.readouterr()
    assert main([*sign, "shop.set", '{"status": "busy"}', "--id", "c1"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["topic"] == "edge/v1/sh-1/cmd/shop.set/c1"
    signed = msgspec.json.decode(made["payload"], type=Signed)
    request = signing.check(signed, public=signing.key_bytes(public), purpose="cmd")
    assert (request.aud, request.params) == ("sh-1", {"status": "busy"})
    assert main([*sign, "config", '{"alert": {}}', "--version", "4"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["topic"], made["retain"]) == ("edge/v1/sh-1/config/desired", True)
    assert main([*sign, "config", "{}"]) == 2
    assert main(["fleet", "sign", "sh-1", "ping", "--kid", "k", "--key", "/nowhere"]) == 1
