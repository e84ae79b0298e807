"""The doctor: what it finds on a machine made for it, in both languages, and what it mends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent import checks
from agent.checks import CHECKS, Finding, devices, files, machine, network
from agent.cli import common, main
from agent.config import Config, load
from agent.fleet.identity import About, Identity
from tests.agent.cli.terminal import at_terminal

TEXT = """
role = "shop"
[device]
id = "sh-1"
[[printer]]
name = "kitchen"
uri = "file:///nowhere/lp0"
"""


def written(folder: Path, more: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(f'{TEXT}{more}\n[store]\npath = "{folder}/store/agent.db"\n')
    return path


def config(folder: Path, more: str = "") -> Config:
    return load(written(folder, more)).config


def only(findings: Iterator[Finding]) -> Finding:
    (found,) = findings
    return found


def test_each_check_can_be_asked_for_by_its_name(tmp_path: Path) -> None:
    assert all(callable(checks.named(name)) for name in CHECKS)
    names = ["folders", "database", "printers"]
    assert [found.check for found in checks.all_of(config(tmp_path), names)] == names


# --- the machine ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "ok", "said"),
    [
        ("0", True, "enough voltage"),
        ("50005", False, "too little voltage"),
        ("50000", False, "was too low"),
    ],
)
def test_the_power_supply_of_a_pi(tmp_path: Path, flags: str, said: str, *, ok: bool) -> None:
    folder = tmp_path / "devices/platform/soc/soc:firmware"
    folder.mkdir(parents=True)
    (folder / "get_throttled").write_text(f"{flags}\n")
    found = only(machine.power(config(tmp_path), tmp_path))
    assert (found.ok, said in found.text) == (ok, True)


def test_other_machines_say_nothing_of_their_power(tmp_path: Path) -> None:
    assert not list(machine.power(config(tmp_path), tmp_path))


@pytest.mark.parametrize(("milli", "ok"), [("45200", True), ("84000", False)])
def test_heat(tmp_path: Path, milli: str, *, ok: bool) -> None:
    zone = tmp_path / "class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text(milli)
    assert only(machine.heat(config(tmp_path), tmp_path)).ok == ok


@pytest.mark.parametrize(("dbm", "ok"), [("-56.", True), ("-81.", False)])
def test_the_wifi_says_how_well_it_hears(tmp_path: Path, dbm: str, *, ok: bool) -> None:
    (tmp_path / "net").mkdir()
    lines = f"Inter-| sta-|\n face | tus |\n wlan0: 0000   54.  {dbm}  -256        0\n"
    (tmp_path / "net/wireless").write_text(lines)
    found = only(network.wifi(config(tmp_path), tmp_path))
    assert (found.ok, found.text.startswith("wlan0")) == (ok, True)


def test_bluetooth_that_is_switched_off_says_how_to_switch_it_on(tmp_path: Path) -> None:
    shop = config(tmp_path, '[beacons]\ndriver = "bluez"')
    assert "no Bluetooth adapter" in only(devices.bluetooth(shop, tmp_path)).text
    (tmp_path / "class/bluetooth/hci0").mkdir(parents=True)
    assert only(devices.bluetooth(shop, tmp_path)).ok
    switch = tmp_path / "class/rfkill/rfkill0"
    switch.mkdir(parents=True)
    for name, value in (("type", "bluetooth"), ("soft", "1"), ("hard", "0")):
        (switch / name).write_text(value)
    assert "rfkill unblock" in only(devices.bluetooth(shop, tmp_path)).text


def test_a_missing_sound_card_and_receiver(tmp_path: Path) -> None:
    shop = config(tmp_path, '[sound]\n[position]\ndriver = "serial"')
    if shutil.which("aplay"):
        assert "no sound card" in only(devices.sound(shop, tmp_path)).text
    assert not only(devices.receiver(shop, tmp_path)).ok
    (tmp_path / "ttyACM0").touch()
    assert only(devices.receiver(shop, tmp_path)).ok


# --- files ----------------------------------------------------------------------------------------


def test_a_certificate_says_how_long_it_is_good(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    pem, key = tmp_path / "c.pem", tmp_path / "k.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    rest = ["-nodes", "-subj", "/CN=x", "-days", "5", "-out", str(pem), "-keyout", str(key)]
    subprocess.run([*command, *rest], check=True, capture_output=True)
    shop = config(tmp_path, f'[uplink]\ncert = "{pem}"\nkey = "{key}"\nca = "{tmp_path}/none"')
    own, authority = network.certificates(shop)
    assert "renew" in own.text
    assert not own.ok
    assert "no certificate" in authority.text


def test_a_certificate_that_the_agent_looks_after_is_found(tmp_path: Path) -> None:
    shop = config(tmp_path, '[uplink]\nurl = "mqtts://broker.example"')
    assert "edge-agent enroll" in only(network.certificates(shop)).text
    now = time.time()
    identity = Identity(tmp_path / "store" / "identity")
    for left_days, ok, words in (
        (12, True, "12 days more"),
        (3, False, "authority"),
        (-2, False, "ended"),
    ):
        identity.begin()
        end = int(now + left_days * 86400) + 60
        about = About("sh-1", "01", "board", end - 30 * 86400, end)
        identity.write("about.json", msgspec.json.encode(about))
        identity.write("key.pem", b"")
        identity.adopt(trial=False)
        found = only(network.certificates(shop))
        assert found.ok == ok
        assert words in found.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root sees everything")
def test_who_may_not_see_the_certificate_is_told_to_use_sudo(tmp_path: Path) -> None:
    shop = config(tmp_path, '[uplink]\nurl = "mqtts://127.0.0.1:1"')
    identity = Identity(tmp_path / "store" / "identity")
    identity.begin()
    identity.folder.chmod(0)
    assert "sudo" in only(network.broker(shop)).text
    assert list(network.certificates(shop)) == []


def test_the_database_is_looked_into_beside_the_agent(tmp_path: Path) -> None:
    shop = config(tmp_path)
    store = Path(shop.store.path)
    store.parent.mkdir()
    assert only(files.database(shop)).ok
    store.write_bytes(b"no database" * 500)
    assert not only(files.database(shop)).ok
    store.unlink()
    with contextlib.closing(sqlite3.connect(store)) as made, made:
        for stream in ("critical", "state", "telemetry"):
            made.execute(f"CREATE TABLE {stream} (t INTEGER)")
        made.execute("CREATE TABLE poison (t INTEGER)")
        made.execute("INSERT INTO poison VALUES (1800000000000)")
    assert only(files.database(shop)).ok
    waiting, poison = files.queue(shop)
    assert waiting.ok
    assert (poison.fix, poison.since) == ("retry", 1_800_000_000_000)


# --- the command ----------------------------------------------------------------------------------

NAMES = "folders,secrets,socket"


def broken(folder: Path) -> Path:
    """A key that all may read, no folder for the store, and a socket that nobody listens at."""
    key = folder / "key.pem"
    key.write_text("secret")
    key.chmod(0o644)
    return written(folder, f'[uplink]\nkey = "{key}"')


def test_it_mends_what_is_safe_and_then_all_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken(tmp_path)
    arguments = ["doctor", "--config", str(path), "--lang", "en", "--only", NAMES]
    assert main(arguments) == 1
    assert "edge-agent doctor --fix" in capsys.readouterr().out
    assert not (tmp_path / "store").exists()
    assert main([*arguments, "--fix", "--yes"]) == 0
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o640
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "store/agent.sock"))
    assert main([*arguments, "--fix", "--yes"]) == 0
    assert not (tmp_path / "store/agent.sock").exists()
    capsys.readouterr()
    assert main(arguments) == 0
    assert "all is well" in capsys.readouterr().out


def test_it_asks_before_each_and_does_not_where_nobody_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken(tmp_path)
    arguments = ["doctor", "--config", str(path), "--only", NAMES, "--fix"]
    talk = [("创建只有程序能用的目录", "n\r"), ("只有程序的用户和组能读", "y\r")]
    status, screen = at_terminal([*arguments, "--lang", "zh"], talk)
    assert status == 1
    assert "所有用户都能读" in screen
    assert not (tmp_path / "store").exists()
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o640
    (tmp_path / "key.pem").chmod(0o644)
    capsys.readouterr()


def test_json_is_for_programs_and_never_translated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken(tmp_path)
    arguments = ["doctor", "--json", "--config", str(path), "--lang", "zh", "--only", "secrets"]
    assert main(arguments) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["text"].endswith(f"chmod o-rwx {tmp_path}/key.pem")
    assert found | {"check": "secrets", "ok": False, "fix": "mode"} == found


def test_what_the_agent_says_of_itself_comes_with_since_when_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = {
        "agent": "1.2",
        "link": {"up": False, "since": 1_800_000_000_000},
        "health": [
            {
                "code": "printer.kitchen",
                "severity": "critical",
                "text": "printer kitchen: out of paper: open the lid and put in a new roll."
                " Since 08:00. What waits is printed as soon as it is back.",
                "since": 1_800_000_000_000,
            }
        ],
        "printers": [{"name": "kitchen", "state": "held", "waiting": 3}],
    }
    monkeypatch.setattr(common, "ask", lambda *_, **__: status)
    arguments = ["doctor", "--config", str(written(tmp_path)), "--only", "agent"]
    assert main([*arguments, "--lang", "en"]) == 1
    said = capsys.readouterr().out
    assert "✗ link: not connected; everything is kept (since 2027-01-15 08:00:00 UTC)" in said
    assert "printer resume kitchen" in said
    assert main([*arguments, "--lang", "zh"]) == 1
    said = capsys.readouterr().out
    assert "✗ printer.kitchen: 打印机 kitchen：缺纸：请打开上盖" in said
    assert "2027-01-15 08:00:00 UTC 起" in said


def test_a_group_that_the_hardware_needs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = config(tmp_path, "[sound]")
    nobody = devices._User("edge-agent", 4242, 4242)
    monkeypatch.setattr(devices, "_user", lambda: nobody)
    said = {found.text: found.ok for found in devices.groups(shop)}
    try:
        import grp

        grp.getgrnam("audio")
    except KeyError:
        pytest.skip("this system has no group audio")
    assert any("adduser edge-agent audio" in text and not ok for text, ok in said.items())
    assert os.getuid() >= 0
