"""The agent's commands as processes, in a shop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from agent.cli import main
from agent.contract.errors import NotRunning
from agent.contract.local import socket_path
from agent.control import ask
from tests.security.broker import SecureBroker
from tests.support import wait

ROOT = Path(__file__).parents[2]
CONFIG = """
role = "shop"
[device]
id = "{device}"
clock = "trusted"
[store]
path = "{store}/agent.db"
[uplink]
url = "{url}"
confirm = "broker"
keepalive_s = 5
retry_max_s = 2
enroll_url = "{claim_url}"
enroll_ca = "{ca}"
enroll_username = "claim"
enroll_password_file = "{password}"
[[printer]]
name = "kitchen"
uri = "{printer}"
"""


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def command(*words: object) -> Done:
    """`edge-agent WORDS`, until it ends; in this process, which has everything imported."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        status = main([str(word) for word in words])
    return Done(status, out.getvalue(), err.getvalue())


class Process:
    """`edge-agent WORDS`, until it is killed."""

    def __init__(self, log: Path, *words: object) -> None:
        self._log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "agent", *map(str, words)],
                cwd=ROOT,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                stdout=out,
                stderr=out,
            )
        self.pid = self._process.pid

    def words(self) -> str:
        return self._log.read_text("utf-8", "replace")[-3000:]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=30)


class Shop:
    """A device with its folder and its configuration."""

    def __init__(
        self, folder: Path, secure: SecureBroker, device: str, printer: str = "simulated://"
    ) -> None:
        folder.mkdir()
        self.device, self.folder = device, folder
        self.config = folder / "config.toml"
        self.config.write_text(
            CONFIG.format(
                device=device,
                store=folder,
                url=secure.url,
                claim_url=secure.claim_url,
                ca=secure.ca,
                password=secure.folder / "claim.password",
                printer=printer,
            )
        )
        self.identity = folder / "identity"
        self._process: Process | None = None

    def start(self) -> Process:
        self._process = Process(self.folder / "log", "run", "--config", self.config)
        return self._process

    def enroll(self, *words: str) -> Done:
        return command("enroll", *words, "--config", self.config)

    def status(self) -> dict[str, Any]:
        """As the running agent says it; empty where none runs."""
        try:
            found: dict[str, Any] = asyncio.run(
                ask(socket_path(self.folder / "agent.db"), "status")
            )
        except NotRunning:
            return {}
        return found

    def health(self) -> set[str]:
        return {condition["code"] for condition in self.status().get("health", [])}

    def about(self) -> dict[str, Any]:
        path = self.identity / "current" / "about.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def online(self) -> bool:
        return bool(self.status().get("link", {}).get("up"))

    def trouble(self) -> str:
        """Why it is not connected."""
        return str(self.status().get("link", {}).get("trouble"))

    def wait_online(self) -> None:
        assert self._process is not None
        wait(self.online, f"{self.device} is online; {self._process.words()}")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
