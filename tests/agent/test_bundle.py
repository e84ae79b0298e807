"""The support bundle: what explains a fault is in it; secrets and orders are not; it is small."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import bundle, checks
from agent.bundle import Told, collect
from agent.cli import main
from agent.config import Config, load
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.store.database import Database

PLAIN = st.text(st.sampled_from("abcdefghjkmnpqrstuvwxyz23456789"), min_size=10, max_size=30)
PHONE = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)


def shop(folder: Path, *sets: str) -> Config:
    path = folder / "config.toml"
    path.write_text(
        'role = "shop"\n[device]\nid = "sh-1"\n[[printer]]\nname="k"\nuri="simulated://"\n'
    )
    return load(path, overrides=[f"store.path={folder}/agent.db", *sets]).config


def files(packed: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {
            member.name.rpartition("/")[2]: read.read().decode()
            for member in tar
            if (read := tar.extractfile(member)) is not None
        }


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor's checks are tested elsewhere, and wait for a broker that is not there."""
    monkeypatch.setattr(checks, "all_of", lambda _: [checks.Finding("disk", False, "full")])


def silent(_command: Any) -> str:
    return ""


@pytest.mark.usefixtures("quick")
def test_it_holds_what_support_asks_for_first(tmp_path: Path) -> None:
    config = shop(tmp_path)

    async def store() -> None:
        clock = ManualClock()
        database = Database(Path(config.store.path), clock, Health(clock))
        await database.open()
        await database.close()

    asyncio.run(store())
    line = {"t": 1, "level": "WARNING", "text": "printer kitchen: out of paper"}
    told = Told({"device": "sh-1", "health": []}, [line])
    found = files(collect(config, ManualClock(), told=told, tools=lambda c: " ".join(c)))
    assert {"versions.json", "config.json", "status.json", "doctor.json", "system.txt"} <= set(
        found
    )
    assert "out of paper" in found["log.txt"]
    assert "journalctl -u edge-agent" in found["journal.txt"]
    stored = json.loads(found["database.json"])
    assert stored["integrity"] == ["ok"]
    assert stored["tables"]["critical"]["rows"] == 0
    assert not [table for table in stored["tables"].values() if "error" in table]
    assert json.loads(found["doctor.json"])[0]["text"] == "full"


@pytest.mark.usefixtures("quick")
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(secret=PLAIN, phone=PHONE, lat=st.floats(10, 80).map(lambda x: round(x, 6)))
def test_what_was_planted_anywhere_does_not_get_out(
    tmp_path: Path, secret: str, phone: str, lat: float
) -> None:
    secret = f"zq{secret}7"  # so that it does not occur by chance
    config = shop(
        tmp_path,
        f"uplink.fallbacks=['mqtts://user:{secret}@b.example:8883']",
        f"uplink.username='{secret}@mail.example'",
        f"fence=[{{id='f', lat={lat}, lon=121.473701}}]",
    )
    planted = [
        f"token={secret}",
        f"password: '{secret}' for {phone}",
        f'{{"customer": {{"phone": "{phone}", "address": "人民路{secret}号"}}}}',
        f"fix lat={lat} lon=121.473701",
        f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----",
        f"https://x:{secret}@host/",
    ]
    lines = [{"t": n, "level": "INFO", "text": text} for n, text in enumerate(planted)]
    status = {"sos": {"position": {"lat": lat, "lon": 121.473701}}, "note": phone, "pin": secret}
    told = Told(status, lines, trouble=planted[1])
    packed = collect(config, ManualClock(), told=told, tools=lambda _: "\n".join(planted))
    everything = "\n".join(files(packed).values())
    assert secret not in everything
    assert phone not in everything
    assert "121.4737" not in everything
    assert f"{lat:.6f}".rstrip("0") not in everything or len(str(lat).partition(".")[2]) <= 2


@pytest.mark.usefixtures("quick")
def test_a_broken_configuration_is_what_support_must_see(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('role = "shop\npassword = "geheim99"\n')
    found = files(
        collect(None, ManualClock(), config_file=file, problems=["is not TOML"], tools=silent)
    )
    assert "is not TOML" in found["config.json"]
    assert 'role = "shop' in found["config.toml"]
    assert "geheim99" not in found["config.toml"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("limit", [20_000, 200_000])
def test_it_never_grows_beyond_its_bound_and_the_newest_lines_stay(
    tmp_path: Path, limit: int
) -> None:
    import random

    chance = random.Random(1)  # text that cannot be packed well
    noise = "\n".join(f"line {n} {chance.randbytes(30).hex(' ')}" for n in range(3000))
    packed = collect(shop(tmp_path), ManualClock(), tools=lambda _: noise, max_bytes=limit)
    assert len(packed) <= limit
    found = files(packed)
    assert "config.json" in found
    if limit > 20_000:
        assert "line 2999 " in found["journal.txt"]


def test_a_damaged_database_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    path.write_bytes(b"not a database at all" * 100)
    assert "error" in bundle.database(path)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE x (y)")
    assert bundle.database(tmp_path / "other.db")["tables"]["orders"]["error"]


@pytest.mark.usefixtures("quick")
def test_the_command_writes_it_for_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "TOOLS", {})
    shop(tmp_path)
    out = tmp_path / "b.tar.gz"
    arguments = ["--config", str(tmp_path / "config.toml"), "--set", f"store.path={tmp_path}/a.db"]
    assert main(["bundle", "--out", str(out), *arguments]) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert "no agent answers" in files(out.read_bytes())["status.json"]
    assert "KB" in capsys.readouterr().out
    assert main(["bundle", "--out", str(tmp_path / "none" / "b.tgz"), *arguments]) == 1
    assert "cannot be written" in capsys.readouterr().err
