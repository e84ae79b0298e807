"""Releases on a real agent: one that is good, and three that are bad each in their own way.

    python bench/update.py --wheels FOLDER      # of all that the agent needs, for this Python

Real wheels, slots, signatures, updater, launcher, agent, mosquitto and consumer; only systemd is
played: who ends is started again after two seconds, behind the launcher.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from agent import __version__
from agent.fleet import building, slots
from agent.fleet.publishing import Repository
from agent.fleet.releases import Release
from bench.common import DEVICE, HOUSE, free_port, wait_port

RESTART_S = 2.0  # the unit's RestartSec
DEADLINE_S = 200.0
Edit = Callable[[str, str], str]
BROKEN = """
def _broken(*_: object) -> object:
    from drivers.base import DriverError

    raise DriverError("this release cannot open the receiver")


"""


def crashes(name: str, text: str) -> str:
    """Ends as soon as it has read its configuration."""
    if name != "agent/daemon.py":
        return text
    return text.replace("    app = App(", "    raise RuntimeError('bad release')\n    app = App(")


def hangs(name: str, text: str) -> str:
    """Says that it is ready, and never connects."""
    if name != "agent/uplink/dial.py":
        return text
    head = "async def dial(self, url: str) -> socket.socket:\n"
    return text.replace(head, f"{head}        await asyncio.Event().wait()\n")


def breaks(name: str, text: str) -> str:
    """Connects, but a room cannot be opened any more."""
    if name != "drivers/gps/simulated.py":
        return text
    return text.replace("DRIVER = Driver(", BROKEN + "DRIVER = Driver(").replace(
        "open=open_receiver", "open=_broken"
    )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--deadline", default="60s")
    wheels = sorted(parser.parse_args().wheels.glob("*.whl"))
    deadline = parser.parse_args().deadline
    with (
        tempfile.TemporaryDirectory(prefix="bench-update-") as folder,
        Site(Path(folder), wheels, deadline) as site,
    ):
        return site.measure()


class Site:
    def __init__(self, folder: Path, wheels: list[Path], deadline: str) -> None:
        self.folder, self.deadline = folder, deadline
        self.product = next(w for w in wheels if w.name.startswith("rider_edge_agent-"))
        self.others = [w for w in wheels if w is not self.product]
        self.slots = slots.Slots(folder / "opt", folder / "state")
        self.agent: subprocess.Popen[bytes] | None = None
        self.over = threading.Event()
        self.background: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.slots.state.mkdir()
        self.slots.folder.mkdir(parents=True)
        first = Release(__version__, f"{__version__}-first", [self.product, *self.others])
        building.build(self.slots, first)
        self.slots.switch(first.slot)
        shutil.copy(slots.__file__, self.folder / "launcher")
        self.repository = Repository(self.folder / "repo", self.folder / "keys", datetime.now(UTC))
        shutil.copy(self.repository.init(), self.folder / "root.json")
        handler = functools.partial(Quiet, directory=str(self.folder / "repo"))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.configure()
        for target in (self.systemd, self.path_unit):
            threading.Thread(target=target, daemon=True).start()
        return self

    def configure(self) -> None:
        port = free_port()
        (self.folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\n"
        )
        self.start("mosquitto", "-c", str(self.folder / "mosquitto.conf"))
        wait_port(port)
        url = f"mqtt://127.0.0.1:{port}"
        self.start(
            sys.executable, "-m", "agent", "consume", "--from", url,
            "--to", f"sqlite:///{self.folder}/events.db",
        )  # fmt: skip
        self.config = self.folder / "config.toml"
        self.config.write_text(
            f'role = "rider"\n[device]\nid = "{DEVICE}"\nclock = "trusted"\n'
            f'[store]\npath = "{self.folder}/agent/agent.db"\n[uplink]\nurl = "{url}"\n'
            f'[position]\ndriver = "simulated"\n'
            f'[position.simulated]\ntrack = "{HOUSE}/config/demo/ride.csv"\n'
            f'[update]\nurl = "http://127.0.0.1:{self.server.server_address[1]}"\n'
            f'root = "{self.folder}/root.json"\nslots = "{self.folder}/opt"\n'
            f'state = "{self.folder}/state"\ndeadline = "{self.deadline}"\n'
        )
        (self.folder / "agent").mkdir()

    def start(self, *command: str) -> None:
        log = (self.folder / f"{Path(command[0]).name}.log").open("ab")
        self.background.append(subprocess.Popen(command, cwd=HOUSE, stdout=log, stderr=log))

    def program(self) -> str:
        return str(self.slots.link / "bin" / "edge-agent")

    def systemd(self) -> None:
        """`edge-agent.service`: the launcher, then the agent; again whenever it ends."""
        opt, state = str(self.folder / "opt"), str(self.folder / "state")
        log = (self.folder / "agent.log").open("ab")
        while not self.over.is_set():
            launcher = [sys.executable, "-I", str(self.folder / "launcher"), opt, state]
            subprocess.run(launcher, check=True, stderr=log)
            self.agent = subprocess.Popen(
                [self.program(), "run", "--config", str(self.config)], stdout=log, stderr=log
            )
            (self.folder / "pid").write_text(str(self.agent.pid))
            self.agent.wait()
            self.over.wait(RESTART_S)

    def path_unit(self) -> None:
        """`edge-agent-update.path`: the updater runs while a request lies there."""
        restart = self.folder / "restart"
        restart.write_text(f"#!/bin/sh\nkill $(cat {self.folder}/pid)\n")
        restart.chmod(0o755)
        log = (self.folder / "updater.log").open("ab")
        while not self.over.wait(0.2):
            if (self.folder / "agent/update/request.json").exists():
                command = [self.program(), "update", "run", "--config", str(self.config)]
                command += ["--user", "", "--restart", str(restart)]
                subprocess.run(command, stdout=log, stderr=log, check=False)

    def told(self, request: str) -> Iterator[tuple[str, str | None]]:
        """State and reason of each event about this request that the back end has."""
        with contextlib.closing(sqlite3.connect(self.folder / "events.db")) as connection:
            rows = connection.execute("SELECT body FROM event WHERE kind = 'update' ORDER BY seq")
            for (text,) in rows:
                body = json.loads(text)
                if body["request"] == request:
                    yield body["state"], body.get("reason")

    def measure(self) -> int:
        plan: list[tuple[str, Edit | None, str]] = [
            ("0.9.1", None, "kept"),
            ("0.9.2", crashes, "rolled_back"),
            ("0.9.3", hangs, "rolled_back"),
            ("0.9.4", breaks, "rolled_back"),
            ("0.9.5", None, "kept"),
        ]
        failed = 0
        for version, edit, expected in plan:
            made = another(self.product, self.folder / "made", version, edit)
            self.repository.add(version, {"any": [made, *self.others]})
            began = time.monotonic()
            request = self.ask(version)
            state, reason, switched = self.await_end(request)
            ended = time.monotonic()
            what = (edit.__doc__ or "").split(".")[0] if edit else "Good"
            failed += state != expected
            print(
                f"{version}  {what}: {state} {ended - switched:.1f} s after the switch, which came"
                f" {switched - began:.1f} s after the request  {reason or ''}",
                flush=True,
            )
        return failed

    def ask(self, version: str) -> str:
        command = [self.program(), "update", "start", version, "--config", str(self.config)]
        end = time.monotonic() + DEADLINE_S
        while True:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return done.stdout.strip()
            if time.monotonic() > end:
                raise TimeoutError(done.stderr + (self.folder / "agent.log").read_text()[-2000:])
            time.sleep(0.5)

    def await_end(self, request: str) -> tuple[str, str | None, float]:
        """How it ended as the back end heard it, and the monotonic time of the switch."""
        end, switched = time.monotonic() + DEADLINE_S, 0.0
        while time.monotonic() < end:
            if not switched and self.slots.trial() is not None:
                switched = time.monotonic()
            for state, reason in self.told(request):
                if state in ("kept", "rolled_back", "failed"):
                    return state, reason, switched
            time.sleep(0.1)
        return "silence", (self.folder / "agent.log").read_text()[-2000:], switched

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for process in [*self.background, *([self.agent] if self.agent else [])]:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        self.server.shutdown()


def another(wheel: Path, folder: Path, version: str, edit: Edit | None) -> Path:
    """The same product as another release."""
    folder.mkdir(exist_ok=True)
    old = f"rider_edge_agent-{__version__}.dist-info"
    new = f"rider_edge_agent-{version}.dist-info"
    path = folder / f"rider_edge_agent-{version}-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            name = info.filename.replace(old, new)
            if name.endswith("/RECORD"):
                continue
            content = source.read(info)
            if name.endswith((".py", "/METADATA")):
                text = content.decode()
                if name == "agent/__init__.py":
                    text = text.replace(__version__, version)
                if name.endswith("/METADATA"):
                    text = re.sub(r"(?m)^Version: .*$", f"Version: {version}", text)
                content = (edit(name, text) if edit else text).encode()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{name},sha256={digest.decode()},{len(content)}\n")
            target.writestr(name, content)
        target.writestr(f"{new}/RECORD", "".join(record) + f"{new}/RECORD,,\n")
    return path


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = ""
    sys.exit(main())
