"""`gps watch` as a user has it: a process, a receiver, a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import serial

from agent.cli.gps import one_line, screen
from agent.control import ControlService
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Supervisor
from agent.positioning.profiles import profile
from agent.positioning.watching import View, Watching
from drivers.base import About
from tests.drivers.gps.talker import Talker

ROOT = Path(__file__).parents[3]


@pytest.fixture
def talker() -> Iterator[Talker]:
    talker = Talker()
    yield talker
    talker.unplug()


def config(folder: Path, driver: str, **settings: object) -> Path:
    path = folder / "config.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    path.write_text(
        f'role = "rider"\n[device]\nid = "r1"\n[store]\npath = "{folder}/agent.db"\n'
        f'[position]\ndriver = "{driver}"\n[position.{driver}]\n' + "\n".join(lines)
    )
    return path


def command(path: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "agent", "gps", "watch", "--config", str(path), *more]


def run(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(path, *more), capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )


def test_a_receiver_that_is_free_is_read_here(talker: Talker, tmp_path: Path) -> None:
    path = config(tmp_path, "serial", device=talker.device, tune=False)
    done = run(path, "--json", "--every", "0.5", "--count", "4")
    views = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, len(views)) == (0, 4)
    assert views[-1]["mode"] == "3D"
    assert views[-1]["baud"] == 115200
    assert views[-1]["per_second"].keys() == {"RMC", "GGA", "GSA", "GSV"}
    assert views[-1]["messages"] >= 1
    assert views[-1]["source"] == "driver serial, read here"


def test_a_port_in_use_is_said_to_be(talker: Talker, tmp_path: Path) -> None:
    path = config(tmp_path, "serial", device=talker.device)
    with serial.Serial(talker.device, exclusive=True):
        done = run(path, "--every", "0.5", "--count", "2")
    assert "does nothing else (gpsd?) hold it?" in done.stdout
    assert "\x1b" not in done.stdout  # no terminal, no escapes


def test_the_running_agent_is_asked_for_what_it_holds(tmp_path: Path) -> None:
    watching = Watching(profile("seed"))

    async def main() -> subprocess.CompletedProcess[str]:
        async def ask(do: str, _params: dict[str, Any], _by: str) -> View:
            assert do == "gps.view"
            return watching.view(1.0, 2.0)

        clock = SystemClock()
        control = ControlService(tmp_path / "agent.sock", ask)
        task = asyncio.create_task(Supervisor(clock, Health(clock)).run([control]))
        path = config(tmp_path, "serial", device="/dev/nowhere")
        while not (tmp_path / "agent.sock").exists():
            await asyncio.sleep(0.01)
        done = await asyncio.to_thread(run, path, "--json", "--count", "1")
        task.cancel()
        await asyncio.wait([task])
        return done

    done = asyncio.run(main())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["source"] == "the running agent"
    assert json.loads(done.stdout)["why"] == "nothing is sent: there is no receiver"


def test_a_terminal_is_drawn_upon_and_a_dumb_one_is_not(talker: Talker, tmp_path: Path) -> None:
    path = config(tmp_path, "serial", device=talker.device, tune=False)
    shown = {
        term: _on_a_terminal(command(path, "--every", "0.3", "--count", "4"), term)
        for term in ("xterm", "dumb")
    }
    assert shown["xterm"].count(b"\x1b[H") == 4
    assert b"satellites" in shown["xterm"]
    assert b"\x1b" not in shown["dumb"]
    assert shown["dumb"].count(b"\n") == 4


def _on_a_terminal(arguments: list[str], term: str) -> bytes:
    master, slave = pty.openpty()
    with subprocess.Popen(
        arguments, stdout=slave, cwd=ROOT, env={**os.environ, "TERM": term}
    ) as process:
        os.close(slave)
        shown = b""
        while chunk := _read(master):
            shown += chunk
        process.wait(30)
    os.close(master)
    return shown


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError:  # the far end is closed
        return b""


def test_hostile_words_do_not_reach_the_terminal() -> None:
    class Hostile:
        rejected: ClassVar = Counter({"\x1b]0;pwned\x07": 1})
        about = About("\x1b[2J", "\u202e\x9b31m", 9600, ("\r\n",), 1, Counter({"\x1b[31m\n": 1}))

    watching = Watching(profile("seed"))
    watching.receiver = Hostile()  # type: ignore[assignment]
    view = watching.view(1.0, 2.0, "\x1b[8m")
    for text in (screen(view, {"\x1b[31m\n": 1.0}, "here"), one_line(view, {})):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert len(screen(view, {"\x1b[31m\n": 1.0}, "here").splitlines()) == 13
