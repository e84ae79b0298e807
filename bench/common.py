"""What the benchmarks share: records, processes and what they cost, medians, the table."""

from __future__ import annotations

import ctypes
import json
import os
import random
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parents[1]
DEVICE = "rd-007"
LONG_BYTES = 200
SILENCE_S = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_port(port: int, deadline_s: float = 10.0) -> None:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.005)
    raise TimeoutError(f"nobody listens on {port}")


def positions(count: int, *, long: bool = False) -> Iterator[dict[str, Any]]:
    """Bodies of a ride, one fix in about 10 s; `long`: with more readings, 200 bytes each."""
    rng = random.Random(1)
    lat, lon, t = 31.2304, 121.4737, 1_795_000_000_000
    for _ in range(count):
        lat += rng.gauss(0, 3e-4)
        lon += rng.gauss(0, 3e-4)
        t += rng.randrange(9_000, 11_000)
        body = {
            "lat": round(lat, 7),
            "lon": round(lon, 7),
            "acc": round(rng.uniform(2, 12), 1),
            "speed": round(rng.uniform(0, 12), 2),
            "course": round(rng.uniform(0, 360), 1),
            "fix_t": t,
            "reason": rng.choice(("moved", "moved", "turned", "heartbeat")),
            "profile": "seed",
            "datum": "wgs84",
        }
        if long:
            body["sats"] = rng.randrange(4, 16)
            body["alt"] = round(rng.uniform(2, 40), 1)
            body["hdop"] = round(rng.uniform(0.6, 3), 2)
            body["trip"] = ""
            room = LONG_BYTES - len(compact(body))
            body["trip"] = str(rng.randrange(10**8, 10**9)).rjust(room, "0")[:room]
        yield body


def compact(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


class Child:
    """A process that speaks JSON lines, and what the kernel says of it."""

    def __init__(self, command: Sequence[str | Path], *, log: Path | None = None, **options: Any):
        environ = {**os.environ, "PYTHONPATH": str(HOUSE), **options.pop("env", {})}
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("ab") if log else subprocess.DEVNULL,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads of ours hold locks by then
            env=environ,
            **options,
        )
        self.pid = self.process.pid
        self._said = b""

    def hear(self) -> dict[str, Any]:
        """The next line that it says. Raises TimeoutError when it stays silent."""
        assert self.process.stdout is not None
        file = self.process.stdout.fileno()
        while b"\n" not in self._said:
            if not select.select([file], [], [], SILENCE_S)[0]:
                raise TimeoutError(f"{self.process.args} says nothing for {SILENCE_S:.0f} s")
            data = os.read(file, 65536)
            if not data:
                raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
            self._said += data
        line, self._said = self._said.split(b"\n", 1)
        return json.loads(line)

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self, what: str = "VmHWM") -> float:
        """VmHWM: the peak; VmRSS: now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1024
        raise ValueError(what)

    def reset_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def wakeups(self) -> dict[str, int]:
        """Voluntary switches so far, by thread."""
        found: dict[str, int] = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            text = (task / "status").read_text()
            switches = next(line for line in text.splitlines() if line.startswith("voluntary"))
            found[f"{task.name} {(task / 'comm').read_text().strip()}"] = int(switches.split()[1])
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Broker(Child):
    """A real mosquitto on loopback, with nothing in its way.

    A bridge must leave `max_inflight_messages` alone: 0 is sent as MQTT 5's Receive Maximum, which
    the other broker refuses as a protocol error, for ever.
    """

    def __init__(
        self, folder: Path, *, port: int | None = None, lines: str = "max_inflight_messages 0"
    ) -> None:
        self.port = port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / f"mosquitto-{self.port}.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
            f"max_queued_messages 0\nset_tcp_nodelay true\n{lines}\n"
        )
        binary = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if binary is None:
            sys.exit("mosquitto is not installed (apt install mosquitto)")
        super().__init__([binary, "-c", config], log=folder / "mosquitto.log")
        wait_port(self.port)


def python(script: str, *arguments: object) -> list[str]:
    return [sys.executable, str(HOUSE / "bench" / script), *map(str, arguments)]


def rounds(count: int, candidates: dict[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Take turns: A B C A B C ..., so that the machine's noise hits all of them."""
    found: dict[str, list[Any]] = {name: [] for name in candidates}
    for number in range(count):
        for name, run in candidates.items():
            result = run()
            found[name].append(result)
            print(f"round {number + 1} {name}: {result} (load {load()})", file=sys.stderr)
    return found


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def median_ratio(over: Sequence[float], under: Sequence[float]) -> str:
    """Round by round; the median, and the range in brackets."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print(f"\n### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(f"\nLoad average {load()}.", flush=True)
