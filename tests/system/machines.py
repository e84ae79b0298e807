"""Agents as processes, printers behind TCP ports, and cables that fail; all on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from drivers.printer.simulated import serve
from drivers.printer.virtual import VirtualPrinter
from tests.support import wait

HOUSE = Path(__file__).parents[2]
BANNER = "POSSIBLE DUPLICATE"
ORDER = re.compile(r"sys-\d{5}")
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Agent:
    """`python -m agent run` with a configuration of its own; the test is its systemd."""

    def __init__(
        self,
        folder: Path,
        broker_port: int,
        config: str,
        *,
        device: str = "sh-1",
        store: Path | None = None,
        wrapper: Sequence[str] = (),
        retry_max_s: float = 1,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.device = device
        self.store = store or folder / "agent.db"
        self.config = folder / "config.toml"
        self.log = folder / "agent.log"
        self.config.write_text(
            f"{config}\n[device]\nid = '{device}'\nsite = 'shop-1'\n"
            f"[store]\npath = '{self.store}'\n"
            f"[uplink]\nurl = 'mqtt://127.0.0.1:{broker_port}'\nkeepalive_s = 5\n"
            f"retry_max_s = {retry_max_s}\n",
            encoding="utf-8",
        )
        self.wrapper = list(wrapper)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Agent:
        command = [*self.wrapper, sys.executable, "-m", "agent", "run", "--config", self.config]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=HOUSE,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it only asks the kernel
            )
        return self

    def ready(self, *, online: bool = False) -> Agent:
        """Its control socket answers; online: its session at the broker is there too."""
        wait(lambda: self.alive and self.answers(), f"the agent answers; {self.words()}")
        if online:
            wait(lambda: self.ask("status")["link"]["up"], f"it is online; {self.words()}")
        return self

    @property
    def alive(self) -> bool:
        assert self.process is not None
        return self.process.poll() is None

    def kill(self) -> None:
        """As a power cut would end it."""
        self.signal(signal.SIGKILL)
        self.ended()

    def stop(self, deadline_s: float = 15.0) -> int:
        """SIGTERM; its exit status."""
        self.signal(signal.SIGTERM)
        return self.ended(deadline_s)

    def signal(self, number: int) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def ended(self, deadline_s: float = 15.0) -> int:
        assert self.process is not None
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end; {self.words()}") from None

    def ask(self, do: str, **params: Any) -> Any:
        """Over the control socket, as the command line does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix:
            unix.settimeout(20)
            unix.connect(str(self.store.with_suffix(".sock")))
            unix.sendall(json.dumps({"do": do, "params": params}).encode() + b"\n")
            with unix.makefile("rb") as lines:
                reply = json.loads(lines.readline())
        assert reply["ok"], reply
        return reply.get("result")

    def answers(self) -> bool:
        try:
            self.ask("status")
        except (OSError, ValueError):
            return False
        return True

    def health(self) -> dict[str, str]:
        """What is wrong now, by code."""
        return {c["code"]: c["text"] for c in self.ask("status")["health"]}

    def words(self, size: int = 3000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else "no log"


def _die_with_parent() -> None:
    """Also when the test run is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Printer:
    """The virtual printer behind a TCP port, in a thread of its own."""

    def __init__(self, **options: Any) -> None:
        self.virtual = VirtualPrinter(**options)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)
        self._thread.start()
        wait(lambda: self.port, "the printer listens")

    def _run(self) -> None:
        async def main() -> None:
            async with serve(self.virtual) as port:
                self.port = port
                await self._stop.wait()

        self._loop.run_until_complete(main())
        self._loop.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def text(self) -> list[str]:
        """Each piece of paper that was cut off, and what hangs in the printer."""
        pieces = [paper.plain for paper in list(self.virtual.paper)]
        return [*pieces, self.virtual.strip.plain]

    def tickets(self) -> dict[str, list[bool]]:
        """By order, for each time that its id stands on paper: whether a banner is above it."""
        found: dict[str, list[bool]] = {}
        for piece in self.text:
            begin = 0
            for match in ORDER.finditer(piece):
                above = piece[begin : match.start()]
                found.setdefault(match[0], []).append(BANNER in above)
                begin = match.end()
        return found


class Relay:
    """A cable: it can be slow, swallow everything without a word, or be pulled."""

    def __init__(self, target: int, *, bytes_per_s: float | None = None) -> None:
        self.dead = False  # swallows: neither data nor RST nor FIN passes
        self.refuses = False
        self.down = 0  # bytes towards the client
        self._target = target
        self._rate = bytes_per_s
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._thread("accept", self._accept)

    def blackhole(self) -> None:
        """What is connected stays dead for ever; new connections hang until `restore`."""
        self.dead = True

    def pull(self) -> None:
        """Connections break now; new ones are refused."""
        self.refuses = True
        for pair in self._pairs:
            for end in pair:
                _hang_up(end)
        self._pairs.clear()

    def restore(self) -> None:
        self.dead = self.refuses = False

    def close(self) -> None:
        self._server.close()
        self.pull()

    def _thread(self, name: str, run: Callable[..., None], *args: Any) -> None:
        threading.Thread(target=run, args=args, name=f"relay {name}", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self.refuses:
                near.close()
                continue
            state = {"dead": self.dead}
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._pairs.append((near, far))
            self._thread("up", self._pump, near, far, state)
            self._thread("down", self._pump, far, near, state)

    def _pump(self, source: socket.socket, sink: socket.socket, state: dict[str, bool]) -> None:
        size = 65536 if self._rate is None else 256
        with contextlib.suppress(OSError):
            while data := source.recv(size):
                state["dead"] = state["dead"] or self.dead
                if state["dead"]:
                    continue
                sink.sendall(data)
                if self._rate is not None:
                    time.sleep(len(data) / self._rate)
        if not (state["dead"] or self.dead):
            _hang_up(source)
            _hang_up(sink)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
    end.close()


def shop_config(*uris: str, **settings: Any) -> str:
    """A shop with a printer at each URI: kitchen, bar, third."""
    lines = ["role = 'shop'"]
    for name, uri in zip(("kitchen", "bar", "third"), uris, strict=False):
        more = "\n".join(f"{k} = {json.dumps(v)}" for k, v in settings.get(name, {}).items())
        lines.append(f"[[printer]]\nname = '{name}'\nuri = '{uri}'\nwidth_mm = 58\n{more}")
    return "\n".join(lines)


@contextlib.contextmanager
def sink() -> Iterator[tuple[int, bytearray]]:
    """A printer port that takes bytes and never says anything."""
    got = bytearray()
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                while data := connection.recv(65536):
                    got.extend(data)

    threading.Thread(target=run, name="sink", daemon=True).start()
    try:
        yield int(server.getsockname()[1]), got
    finally:
        server.close()
