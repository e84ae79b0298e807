"""Lives that are cut short, and what must be found afterwards.

Two ways to die. `live` runs a life that the shim kills at its n-th call: what it had written stays,
as after SIGKILL. `power_cuts` takes the log of a life and makes of it the folder as a power cut at
any call might leave it: of what was not synced, any part may be there, sector by sector.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from agent.contract.events import STREAMS, Audit, ErrorEvent, Fence, Gap, Stream
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.store.database import Database
from agent.store.outbox import Outbox, Row

HERE = Path(__file__).parent
HOUSE = HERE.parents[1]
ALL = 1 << 30
SECTOR = 512
_HEAD = struct.Struct("<c60sqq")


def build(folder: Path) -> Path | None:
    """The compiled shim; None without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "shim.so"
    flags = ["-O1", "-shared", "-fPIC", "-ldl", "-lpthread"]
    subprocess.run([compiler, HERE / "shim.c", "-o", library, *flags], check=True)
    return library


def live(
    shim: Path, folder: Path, seed: int, *, at: int = 0, tear: bool = False, log: Path | None = None
) -> bool:
    """One life, killed at its `at`-th call (0: never). Whether it was killed."""
    env = {**os.environ, "LD_PRELOAD": str(shim), "CRASH_DIR": str(folder), "PYTHONPATH": "."}
    env |= {"CRASH_AT": str(at)} if at else {}
    env |= {"CRASH_TEAR": "1"} if tear else {}
    env |= {"CRASH_LOG": str(log)} if log else {}
    command = [sys.executable, str(HERE / "life.py"), str(folder), str(seed)]
    code = subprocess.run(command, env=env, cwd=HOUSE, check=False).returncode
    assert code in (0, -signal.SIGKILL), f"the life ended with {code}"
    return code != 0


class Call(NamedTuple):
    op: str  # write, truncate, sync, unlink, rename: the first letter
    name: str
    offset: int
    data: bytes


def read_log(log: Path) -> list[Call]:
    calls, raw, at = [], log.read_bytes(), 0
    while at < len(raw):
        op, name, offset, size = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        calls.append(
            Call(op.decode(), name.rstrip(b"\0").decode(), offset, raw[at : at + size])
        )  # fmt: skip
        at += size
    return calls


@dataclass
class Disk:
    """Files as they are for sure, and what was done since that the disk may not have yet."""

    sure: dict[str, bytearray] = field(default_factory=dict)
    pending: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    names: list[Call] = field(default_factory=list)  # unlinked, renamed

    def do(self, call: Call) -> None:
        if call.op in "ur":  # names are the folder's, and its own fsync makes them sure
            self.names.append(call)
        elif call.op != "s":
            self.pending[call.name].append(call)
        else:
            for name in [n for n in self.names if call.name in (".", n.name)]:
                self.names.remove(name)
                _apply(self.sure, name, None)
            for waiting in self.pending.pop(call.name, []):
                _apply(self.sure, waiting, None)

    def cut(self, dice: random.Random) -> dict[str, bytearray]:
        """What is found after a power cut now."""
        found = {name: bytearray(data) for name, data in self.sure.items()}
        stayed = set()
        for call in self.names:
            if dice.random() < 0.5:
                _apply(found, call, None)
            else:
                stayed.add(call.name)  # the old file; what was written since was to a new one
        for calls in (calls for name, calls in self.pending.items() if name not in stayed):
            keep = dice.choice((0.0, 0.5, 0.9, 1.0))
            for call in calls:
                _apply(found, call, dice if keep < 1.0 else None, keep)
        return found


def _apply(
    files: dict[str, bytearray], call: Call, dice: random.Random | None, keep: float = 1.0
) -> None:
    """Do it; with dice only perhaps, and a write only in part."""
    if call.op == "w":
        data = files.setdefault(call.name, bytearray())
        step = SECTOR if dice else max(1, len(call.data))
        for begin in range(0, len(call.data), step):
            if dice is None or dice.random() < keep:
                part = call.data[begin : begin + step]
                at = call.offset + begin
                data.extend(b"\0" * (at - len(data)))
                data[at : at + len(part)] = part
    elif dice is not None and dice.random() >= keep:
        return
    elif call.op == "t":
        data = files.setdefault(call.name, bytearray())
        del data[call.offset :]
        data.extend(b"\0" * (call.offset - len(data)))
    elif call.op == "u":
        files.pop(call.name, None)
    elif call.op == "r" and call.name in files:
        files[call.data.decode()] = files.pop(call.name)


def power_cuts(
    calls: list[Call], folder: Path, dice: random.Random, *, each: int, share: float = 1.0
) -> Iterator[int]:
    """At each call (or a share of them) `each` folders as a power cut might leave them."""
    disk, said = Disk(), bytearray()
    for number, call in enumerate(calls):
        if dice.random() < share:
            for _ in range(each):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                for name, data in disk.cut(dice).items():
                    (folder / name).write_bytes(data)
                (folder / "promises").write_bytes(said)
                yield number
        if call.name == "promises":
            said += call.data  # the world has heard it
        else:
            disk.do(call)


# --- what must be found ---------------------------------------------------------------------------


@dataclass
class Promises:
    tried: set[str] = field(default_factory=set)
    given: dict[tuple[str, int], str] = field(default_factory=dict)
    fresh: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # of this life
    newest: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    kept: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    acked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    stopped: bool = False

    @classmethod
    def read(cls, folder: Path) -> Promises:
        self = cls()
        path = folder / "promises"
        text = path.read_text(encoding="ascii") if path.exists() else ""
        for line in text.splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # cut short with the life that wrote it
                self._hear(*json.loads(line))
        return self

    def _hear(self, what: str, *rest: Any) -> None:
        self.stopped = what == "stopped"
        match what:
            case "begin":
                self.fresh.clear()
            case "try":
                self.tried.add(rest[0])
            case "given":
                stream, seq, name = rest
                assert (stream, seq) not in self.given, f"{stream} {seq} was given out twice"
                self.given[stream, seq] = name
                self.newest[stream] = max(self.newest[stream], seq)
                self.fresh[stream].append(seq)
                if stream == "critical":
                    self.kept[stream].add(seq)
            case "kept":
                stream, upto = rest
                self.kept[stream].update(seq for seq in self.fresh[stream] if seq <= upto)
            case "ack":
                self.acked[rest[0]] = max(self.acked[rest[0]], rest[1])


def judge(folder: Path) -> None:
    """Open what is left, as the next life would, and hold it against the promises."""
    asyncio.run(_judge(folder, Promises.read(folder)))


async def _judge(folder: Path, promises: Promises) -> None:
    clock = ManualClock()
    health = Health(clock)
    logging.getLogger("agent").setLevel(logging.CRITICAL)
    database = Database(folder / "agent.db", clock, health)
    await database.open()
    assert not list(health.conditions()), "the file was set aside"
    outbox = Outbox(database, clock, health, max_mb=50)
    await outbox.open()
    for stream in STREAMS:
        rows = await outbox.fetch(stream, 0, max_bytes=ALL)
        _judge_stream(stream, rows, outbox.acked(stream), promises)
        event = {"critical": Audit(action="x", by="x"), "telemetry": ErrorEvent(source="x")}.get(
            stream, Fence(fence="x", event="enter", distance_m=1.0)
        )
        seq = await outbox.record(event)
        assert seq > promises.newest[stream], f"{stream} {seq} is given out again"
    verdict = await database.read(lambda c: c.execute("PRAGMA integrity_check").fetchall())
    assert verdict == [("ok",)]
    await database.close()


def _judge_stream(stream: Stream, rows: list[Row], acked: int, promises: Promises) -> None:
    assert acked <= promises.acked[stream], "acknowledged by nobody"
    upto, present = acked, set()
    for row in rows:
        if row.kind == Gap.KIND:
            gap = msgspec.json.decode(row.body, type=Gap)
            assert stream != "critical"
            assert gap.reason == "restart"
            assert upto < gap.first <= upto + 1 <= gap.last == row.seq
            assert not promises.stopped or gap.last < min(
                promises.fresh[stream], default=1 << 62
            ), "a clean stop lost something"
        else:
            assert row.seq == upto + 1, f"{stream}: a hole after {upto}"
            name = _name(row)
            known = promises.given.get((stream, row.seq))
            assert name == known if known else stream != "critical" or name in promises.tried
            present.add(row.seq)
        upto = row.seq
    gone = {seq for seq in promises.kept[stream] - present if seq > acked}
    assert not gone, f"{stream} {sorted(gone)} were promised and are gone"


def _name(row: Row) -> str:
    document = json.loads(row.body)
    return str(document.get("action") or document.get("fence") or document.get("source"))


def copy_of(folder: Path, to: Path) -> Path:
    """To be judged without touching what the next life goes on with."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*-shm", "*.reserve"))
    return to
