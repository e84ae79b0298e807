"""Where the key and the certificate lie: whole after a power cut, for the agent alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.fleet.identity import Identity, hardware
from drivers.base import DriverError

FILES = {"key.pem": b"key", "cert.pem": b"cert", "ca.pem": b"ca"}


class PowerCut(Exception):
    pass


def ask(identity: Identity, mark: bytes) -> None:
    identity.begin()
    for name, content in FILES.items():
        identity.write(name, content + mark)


def pair(identity: Identity) -> set[bytes]:
    """The marks in the files in use: one, where they belong together."""
    files = identity.files()
    return {path.read_bytes()[-1:] for path in files if path is not None}


def test_a_power_cut_at_any_step_leaves_a_pair_that_belongs_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = 0
    while cut_at(tmp_path / str(cut), monkeypatch, cut):
        cut += 1
    assert cut > 15  # the last one found nothing left to cut


def cut_at(folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> bool:
    """The power goes after so many steps of a change; whether it was under way still."""
    folder.mkdir()
    identity = Identity(folder / "identity")
    ask(identity, b"1")
    identity.adopt(trial=False)
    left = steps
    for name in ("fsync", "symlink", "rename", "unlink", "open"):
        real = getattr(os, name)

        def cutting(*words: object, real: Callable[..., object] = real, **more: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise PowerCut
            return real(*words, **more)

        monkeypatch.setattr(os, name, cutting)
    try:
        ask(identity, b"2")
        identity.adopt(trial=True)
        identity.promote()
        was_cut = False
    except PowerCut:
        was_cut = True
    monkeypatch.undo()
    after = Identity(identity.folder)  # the next start
    assert pair(after) in ({b"1"}, {b"2"})
    if after.trying:
        after.promote()
    ask(after, b"3")
    after.adopt(trial=True)
    after.promote()
    assert pair(after) == {b"3"}
    assert len([at for at in after.folder.iterdir() if at.name.isdigit()]) == 1
    return was_cut


def test_the_key_is_for_the_agent_alone(tmp_path: Path) -> None:
    identity = Identity(tmp_path / "identity")
    ask(identity, b"1")
    identity.adopt(trial=False)
    for path in identity.folder.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_enrols_belongs_to_the_agents_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 4321)
    identity = Identity(tmp_path / "identity")
    ask(identity, b"1")
    identity.adopt(trial=False)
    owners = {path.stat().st_uid for path in [identity.folder, *identity.folder.rglob("*.pem")]}
    assert owners == {4321}


def test_what_was_tried_in_vain_leaves_nothing(tmp_path: Path) -> None:
    identity = Identity(tmp_path / "identity")
    ask(identity, b"1")
    identity.adopt(trial=False)
    ask(identity, b"2")
    identity.adopt(trial=True)
    assert identity.trying
    identity.drop()
    assert not identity.trying
    assert pair(identity) == {b"1"}
    assert sorted(path.name for path in identity.folder.iterdir()) == ["1", "current"]


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "identity").write_text("a file where the folder should be")
    with pytest.raises(DriverError, match="cannot be written"):
        Identity(tmp_path / "identity").begin()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"device":1}'])
def test_a_torn_note_is_no_note(tmp_path: Path, content: bytes) -> None:
    identity = Identity(tmp_path / "identity")
    identity.begin()
    identity.write("about.json", content)
    identity.adopt(trial=False)
    assert identity.about() is None


@pytest.mark.parametrize(
    ("files", "serial"),
    [
        ({"proc/device-tree/serial-number": b"10000000abcdef01\0"}, "10000000abcdef01"),
        ({"proc/device-tree/serial-number": b"0000000000000000\0",
          "etc/machine-id": b"3d1219c7c4c5404aaa1f\n"}, "3d1219c7c4c5404aaa1f"),
        ({"sys/class/dmi/id/product_serial": b"MJ 0/3 4\n"}, "MJ034"),
        ({"etc/machine-id": b"\x1b[31m7\n"}, "31m7"),
        ({}, "unknown"),
    ],
)  # fmt: skip
def test_the_serial_number_is_the_boards_or_the_systems(
    tmp_path: Path, files: dict[str, bytes], serial: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert hardware(tmp_path) == serial
