"""`status`, `watch` and `doctor`: how the device is."""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli import common

CLEAR = "\x1b[H\x1b[2J"


def add(groups: common.Groups) -> None:
    common.reading(common.command(groups, "status", "How the running agent is.", _status))
    watch = common.command(groups, "watch", "The same, again and again.", _watch)
    watch.add_argument("--every", type=float, default=1.0, metavar="SECONDS")
    doctor = common.command(groups, "doctor", "Check this device and say what to do.", _doctor)
    common.reading(doctor).add_argument(
        "--only", action="append", default=[], metavar="CHECK", help="these checks; comma or again"
    )
    doctor.add_argument("--fix", action="store_true", help="set right what is safe to set right")
    doctor.add_argument("--yes", action="store_true", help="with --fix: do not ask")


def _status(arguments: argparse.Namespace) -> int:
    return common.show(arguments, common.ask(arguments, "status"), text)


def _watch(arguments: argparse.Namespace) -> int:
    import asyncio

    from agent.core.clock import SystemClock

    clock = SystemClock()
    while True:
        print(CLEAR if common.is_terminal() else "", text(common.ask(arguments, "status")), sep="")
        asyncio.run(clock.sleep(arguments.every))


def _doctor(arguments: argparse.Namespace) -> int:
    from agent.cli.doctor import main

    return main(arguments)


def text(status: dict[str, Any]) -> str:
    """The status as a person reads it."""
    lines = [
        f"{status['role']} {status['device']} at {status['site'] or '-'}, agent {status['agent']}",
        _link(status["link"]),
    ]
    lines += [
        f"printer {p['name']}: {p['state']}, {p['waiting']} waiting"
        + (f"; {p['fault']}" if p["fault"] else "")
        for p in status["printers"]
    ]
    if (rider := status.get("rider")) is not None:
        lines.append(f"rider: {rider['state']}, consent {rider['consent']}")
    lines += [f"alert {a['cause']}: {a['state']} {a['order_id'] or ''}" for a in status["alerts"]]
    lines += [f"{c['severity'].upper()} {c['code']}: {c['text']}" for c in status["health"]]
    return "\n".join(common.plain(line) for line in lines)


def _link(link: dict[str, Any]) -> str:
    """`back end: NOT connected since 12:01, 7 state waiting, the oldest from 12:03 (UTC)`"""
    how = "connected" if link["up"] else "NOT connected"
    waiting = ", ".join(f"{n} {name}" for name, n in link["backlog"].items() if n)
    oldest = min((t for t in link["oldest"].values() if t is not None), default=None)
    text = f"back end: {how}{_since(link['since'])}; waiting: {waiting or '-'}"
    if oldest is not None:
        text += f", the oldest from {common.utc(oldest)} UTC"
    if link["expired"]:
        gone = ", ".join(f"{n} {kind}" for kind, n in link["expired"].items())
        text += f"; given up because they waited too long: {gone}"
    return text


def _since(t: int | None) -> str:
    return "" if t is None else f" since {common.utc(t)} UTC"
