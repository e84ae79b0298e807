"""The demo's two agents: real processes with real stores, started again when they die.

Each is `python -m agent run` with the demo's configuration and the run's own ports and folder, just
as systemd would start it; nothing of the agent runs inside the demo's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.core.clock import Clock
from agent.demo.children import die_with_parent

RESTART_S = 2.0  # as the unit's RestartSec
STOP_S = 10.0
FAILURES_MAX = 5  # ends in a row without ever being up; then something is wrong with this machine


class WillNotStart(Exception):
    """An agent ends at once each time; the text carries the end of its log."""


@dataclass(slots=True)
class Device:
    """One agent process. `run()` keeps it alive until cancelled, then stops it in order."""

    id: str
    role: str
    config: Path
    folder: Path
    settings: Sequence[str]  # KEY=VALUE for --set
    clock: Clock
    pid: int | None = None
    starts: int = 0
    kills: int = 0
    _seen_up: bool = False

    @property
    def store(self) -> Path:
        return self.folder / f"{self.role}.db"

    @property
    def socket(self) -> Path:
        return self.store.with_suffix(".sock")

    @property
    def log(self) -> Path:
        return self.folder / f"{self.role}.log"

    def is_up(self) -> None:
        """Somebody had an answer from it."""
        self._seen_up = True

    def kill(self) -> bool:
        """SIGKILL: no good-bye, no flush; False when there is nothing to kill."""
        if self.pid is None:
            return False
        self.kills += 1
        signal_process(self.pid, signal.SIGKILL)
        return True

    async def run(self) -> None:
        failures = 0
        while True:
            self._seen_up = False
            await self._once()
            failures = 0 if self._seen_up else failures + 1
            if failures >= FAILURES_MAX:
                raise WillNotStart(f"the {self.role} agent does not start:\n{self._last_words()}")
            await self.clock.sleep(RESTART_S)

    async def _once(self) -> None:
        command = [sys.executable, "-m", "agent", "run", "--config", str(self.config)]
        for setting in (f'store.path="{self.store}"', *self.settings):
            command += ["--set", setting]
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.pid = process.pid
        self.starts += 1
        try:
            await process.wait()
        except asyncio.CancelledError:
            await self._stop(process)
            raise
        finally:
            self.pid = None

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        signal_process(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            signal_process(process.pid, signal.SIGKILL)
            await process.wait()

    def _last_words(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-1500:].strip()


def signal_process(pid: int, number: signal.Signals) -> None:
    """Nothing when it has ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
