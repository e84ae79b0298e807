"""One file for a support engineer: how the device is, without what is nobody's business.

Made even where the configuration is broken or no agent runs: then it is needed most. Everything
passes through redact.py; of orders there are only counts. Bounded: logs give way first.
"""

from __future__ import annotations

import io
import json
import platform
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from agent import __version__, redact
from agent.config import Config
from agent.core.clock import Clock

MAX_BYTES = 2 * 1024 * 1024
PART_BYTES = 256 * 1024  # of one file, before it is packed
LOG_BYTES = 1024 * 1024
TOOL_S = 10.0
TABLES = (
    *("critical", "state", "telemetry", "orders", "jobs", "alerts", "commands", "poison", "stock"),
)
# What Linux says of itself; a star stands for each that there is.
FACTS = (
    "/etc/os-release",
    "/proc/device-tree/model",
    "/proc/version",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/mounts",
    "/proc/net/dev",
    "/proc/net/route",
    "/proc/net/wireless",
    "/proc/asound/cards",
    "/sys/class/thermal/thermal_zone*/temp",
    "/sys/devices/platform/soc/soc:firmware/get_throttled",
    "/sys/bus/usb/devices/*/product",
    "/sys/bus/usb/devices/*/idVendor",
    "/sys/bus/usb/devices/*/idProduct",
    "/sys/class/net/*/operstate",
    "/sys/class/rfkill/rfkill*/soft",
    "/sys/class/rfkill/rfkill*/hard",
)
LISTS = (
    *("/dev/serial/by-id/*", "/dev/ttyACM*", "/dev/ttyUSB*", "/dev/usb/lp*", "/dev/gpiochip*"),
    *("/sys/class/bluetooth/*", "/sys/class/net/*", "/usr/share/fonts/*/*"),
)
TOOLS = {
    "journal.txt": (
        "journalctl",
        "-u",
        "edge-agent",
        "-n",
        "3000",
        "-o",
        "short-iso",
        "--no-pager",
    ),
    "kernel.txt": ("journalctl", "-k", "-n", "500", "-o", "short-iso", "--no-pager"),
    "unit.txt": ("systemctl", "show", "edge-agent", "--no-pager"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What the running agent said; nothing where none runs."""

    status: Mapping[str, Any] | None = None
    log: Sequence[Mapping[str, Any]] = ()  # as `log.tail` answers
    trouble: str = ""  # why there is nothing


def collect(
    config: Config | None,
    clock: Clock,
    *,
    config_file: Path | None = None,
    problems: Sequence[str] = (),
    told: Told = Told(),
    max_bytes: int = MAX_BYTES,
    tools: Callable[[Sequence[str]], str] | None = None,
) -> bytes:
    """A .tar.gz of at most `max_bytes`. Blocks for some seconds; call it in a thread."""
    run = tools or _run
    parts = {name: redact.text(text) for name, text in _parts(config, config_file, problems, told)}
    logs = {"log.txt": _log(told)} | {name: run(command) for name, command in TOOLS.items()}
    room = LOG_BYTES // len(logs)
    logs = {name: redact.text(_last(text, room)) for name, text in logs.items() if text}
    parts["README.txt"] = _readme([*parts, *logs], clock)
    budget = LOG_BYTES
    while True:
        kept = (
            {name: _last(text, budget // len(logs)) for name, text in logs.items()} if logs else {}
        )
        packed = _packed(parts | kept, int(clock.wall()))
        if len(packed) <= max_bytes:
            return packed
        if budget < 1024:  # what remains is the rest, cut too
            parts = {name: text[: len(text) // 2] for name, text in parts.items()}
        budget //= 2


# --- the parts ------------------------------------------------------------------------------------


def _parts(
    config: Config | None, file: Path | None, problems: Sequence[str], told: Told
) -> Iterator[tuple[str, str]]:
    yield "versions.json", _json(_versions())
    yield "config.json", _json(_config(config, problems))
    if config is None and file is not None:
        yield "config.toml", _read(file)
    yield "status.json", _json(redact.value("", told.status or {"none": told.trouble}))
    if config is not None:
        yield "doctor.json", _json([asdict(finding) for finding in _doctor(config)])
        yield "database.json", _json(database(Path(config.store.path)))
    yield "system.txt", "\n".join(_facts())


def _versions() -> dict[str, Any]:
    found = ((d.metadata["Name"], d.version) for d in metadata.distributions())
    return {
        "agent": __version__,
        "python": sys.version,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "packages": dict(sorted(found)),
    }


def _config(config: Config | None, problems: Sequence[str]) -> dict[str, Any]:
    if config is None:
        return {"problems": list(problems)}
    import msgspec

    found: dict[str, Any] = redact.value("", msgspec.to_builtins(config))
    return found


def _doctor(config: Config) -> list[Any]:
    from agent import checks

    return checks.all_of(config)


def database(path: Path) -> dict[str, Any]:
    """Counts, ages, sizes and whether it is whole; nothing of what stands in it."""
    from agent.checks.files import opened

    told: dict[str, Any] = {"path": str(path), "bytes": _sizes(path)}
    if not path.exists():
        return told
    try:
        with opened(path) as connection:
            for pragma in ("user_version", "page_count", "freelist_count", "page_size"):
                (told[pragma],) = connection.execute(f"PRAGMA {pragma}").fetchone()
            told["integrity"] = [row[0] for row in connection.execute("PRAGMA quick_check(10)")]
            told["tables"] = {table: _table(connection, table) for table in TABLES}
    except sqlite3.Error as error:
        told["error"] = str(error)
    return told


def _table(connection: sqlite3.Connection, table: str) -> dict[str, Any]:
    try:
        (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - ours
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        told = {"rows": rows}
        if "t" in columns:
            query = f"SELECT min(t), max(t) FROM {table}"  # noqa: S608 - ours
            told["oldest"], told["newest"] = connection.execute(query).fetchone()
    except sqlite3.Error as error:
        return {"error": str(error)}
    return told


def _sizes(path: Path) -> dict[str, int]:
    try:
        beside = sorted(path.parent.glob(path.stem + "*"))
        return {file.name: file.stat().st_size for file in beside}
    except OSError:
        return {}


def _facts() -> Iterator[str]:
    root = Path("/")
    for pattern in FACTS:
        for path in sorted(root.glob(pattern.lstrip("/"))):
            yield f"# {path}\n{_read(path).strip()}"
    for pattern in LISTS:
        for path in sorted(root.glob(pattern.lstrip("/"))):
            yield f"# {path}" + (f" -> {path.readlink()}" if path.is_symlink() else "")


def _log(told: Told) -> str:
    return "\n".join(f"{line['t']} {line['level']} {line['text']}" for line in told.log)


def _readme(names: Sequence[str], clock: Clock) -> str:
    return (
        f"Support bundle of edge-agent {__version__}, made at unix time {clock.wall():.0f} (clock:"
        f" {clock.quality()}).\n\nTaken out: passwords, keys, PINs, tokens, phone numbers, mail and"
        " street addresses; positions are rounded\nto 0.01 degrees. Nothing of any order is in it."
        "\n\n" + "\n".join(names) + "\n"
    )


# --- tools ----------------------------------------------------------------------------------------


def _run(command: Sequence[str]) -> str:
    """What a tool of the system says; why not, where it says nothing."""
    try:
        done = subprocess.run(  # noqa: S603 - the constants above
            command, capture_output=True, timeout=TOOL_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    said = done.stdout or done.stderr
    return said[-LOG_BYTES:].decode("utf-8", "replace")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(PART_BYTES).decode("utf-8", "replace").replace("\0", "")
    except OSError as error:
        return f"({error.strerror})"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)[:PART_BYTES]


def _last(text: str, budget: int) -> str:
    """The newest lines are the last ones."""
    return text if len(text) <= budget else "…\n" + text[-budget:].partition("\n")[2]


def _packed(parts: Mapping[str, str], mtime: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in sorted(parts.items()):
            data = text.encode("utf-8", "replace")
            entry = tarfile.TarInfo(f"edge-agent-bundle/{name}")
            entry.size, entry.mtime, entry.mode = len(data), mtime, 0o640
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()
