"""The state of a running agent in lines that a person reads: for `status` and `watch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.cli.common import plain, utc
from agent.words import Words

READY = "ready to print"  # an order's `ready` is another word


def lines(status: Mapping[str, Any], words: Words) -> Iterator[str]:
    """Who it is, the link, what ails it, printers, alerts, the rider."""
    yield words.say(
        "{role} {device} at {site}, agent {agent}",
        role=status["role"],
        device=status["device"],
        site=status["site"] or "-",
        agent=status["agent"],
    )
    yield _link(status["link"], words)
    for condition in status["health"]:
        yield f"{condition['severity'].upper()} {condition['code']}: {words.of(condition['text'])}"
    for printer in status["printers"]:
        yield _printer(printer, words)
    for alert in status["alerts"]:
        text = words.say(
            "alert {cause}: {state} {order}",
            cause=alert["cause"],
            state=words.of(alert["state"]),
            order=alert["order_id"] or "",
        )
        yield text.rstrip()
    if (rider := status.get("rider")) is not None:
        yield words.say(
            "rider: {duty}, consent {consent}", duty=rider["state"], consent=rider["consent"]
        )


def _link(link: Mapping[str, Any], words: Words) -> str:
    """`back end: NOT connected since 12:01; waiting: 7 state, the oldest from 12:03 UTC`"""
    waiting = ", ".join(f"{n} {name}" for name, n in link["backlog"].items() if n)
    oldest = min((t for t in link["oldest"].values() if t is not None), default=None)
    up = "back end: connected{since}; waiting: {waiting}"
    down = "back end: NOT connected{since}; waiting: {waiting}"
    text = words.say(
        up if link["up"] else down,
        since="" if link["since"] is None else words.say(" since {t} UTC", t=utc(link["since"])),
        waiting=waiting or "-",
    )
    if oldest is not None:
        text += words.say(", the oldest from {t} UTC", t=utc(oldest))
    if link["expired"]:
        gone = ", ".join(f"{n} {kind}" for kind, n in link["expired"].items())
        text += words.say("; given up because they waited too long: {gone}", gone=gone)
    return text


def _printer(printer: Mapping[str, Any], words: Words) -> str:
    text = words.say(
        "printer {name}: {state}, {n} waiting",
        name=printer["name"],
        state=words.of(READY if printer["state"] == "ready" else printer["state"]),
        n=printer["waiting"],
    )
    if printer["fault"]:
        text += f"; {words.of(printer['fault'])}"
    return text


def orders(found: Sequence[Mapping[str, Any]], words: Words) -> Iterator[str]:
    """A line an order: number, id, stage, tickets."""
    for one in found:
        order = one["order"]
        tickets = ", ".join(sorted({words.of(job["state"]) for job in one["jobs"]}))
        number = f"#{order['day_seq']}" if "day_seq" in order else ""
        yield f"{number:<5} {order['order_id']}  {words.of(one['stage'])}  {tickets}".rstrip()


def whereabouts(view: Mapping[str, Any], words: Words) -> str:
    """What the receiver says now, for who stands beside it."""
    if view["fix_age_s"] is None:
        return words.say("receiver: no fix yet")
    return words.say(
        "receiver: {mode}, {age} s old, {lat}, {lon}, within {acc} m",
        mode=view["mode"],
        age=format(view["fix_age_s"], ".0f"),
        lat=_degrees(view["lat"]),
        lon=_degrees(view["lon"]),
        acc="-" if view["acc_m"] is None else format(view["acc_m"], ".0f"),
    )


def _degrees(value: float | None) -> str:
    return "-" if value is None else format(value, ".6f")


def text(status: Mapping[str, Any], words: Words) -> str:
    return "\n".join(plain(line) for line in lines(status, words))
