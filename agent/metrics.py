"""What `status` says, as Prometheus reads it (text format 0.0.4); pure.

Names and units follow https://prometheus.io/docs/practices/naming/. Nothing here says where a rider
is, or what stands in an order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "edge_agent_"
Labels = Mapping[str, object]


class Metric(NamedTuple):
    name: str  # without the prefix
    kind: str  # gauge, counter
    help: str


class Process(NamedTuple):
    """Of the agent itself."""

    resident_bytes: int
    cpu_seconds: float
    open_files: int
    started: float  # unix s


INFO = Metric("info", "gauge", "Who this is; always 1.")
LINK = Metric("link_up", "gauge", "Whether the broker is reached.")
LINK_SINCE = Metric("link_since_seconds", "gauge", "Unix time since when that is so.")
BACKLOG = Metric("backlog_events", "gauge", "Events that wait for the back end.")
OLDEST = Metric("oldest_event_seconds", "gauge", "Unix time of the event that waits for longest.")
LAST = Metric("stream_last_seq", "gauge", "The newest number given to an event.")
ACKED = Metric("stream_acked_seq", "gauge", "Up to it the back end has everything.")
EXPIRED = Metric("expired_events_total", "counter", "Given up because they waited too long.")
CONDITION = Metric("condition", "gauge", "What is wrong now; always 1.")
CONDITION_SINCE = Metric("condition_since_seconds", "gauge", "Unix time since when it is wrong.")
PRINTER = Metric("printer_state", "gauge", "How a printer is; always 1.")
PRINTER_WAITING = Metric("printer_waiting_tickets", "gauge", "Tickets that wait for it.")
ALERTS = Metric("alerts", "gauge", "Alerts that nobody has answered.")
ORDERS = Metric("orders", "gauge", "Orders of the last day by stage.")
ACCEPT = Metric("accept_seconds", "gauge", "From receipt to acceptance, in the last hour.")
SOS = Metric("sos_raised", "gauge", "Whether an SOS is raised.")
CLOCK = Metric("clock_quality", "gauge", "Who set the clock; always 1.")
RESIDENT = Metric("process_resident_bytes", "gauge", "Memory of the agent.")
CPU = Metric("process_cpu_seconds_total", "counter", "Processor time of the agent.")
FILES = Metric("process_open_files", "gauge", "File descriptors of the agent.")
START = Metric("process_start_seconds", "gauge", "Unix time at which the agent started.")

ALL = (
    INFO, LINK, LINK_SINCE, BACKLOG, OLDEST, LAST, ACKED, EXPIRED, CONDITION, CONDITION_SINCE,
    PRINTER, PRINTER_WAITING, ALERTS, ORDERS, ACCEPT, SOS, CLOCK, RESIDENT, CPU, FILES, START,
)  # fmt: skip

Sample = tuple[Metric, Labels, float]


def render(status: Mapping[str, Any], process: Process) -> str:
    """`status` as the command of that name answers it, in plain data."""
    samples = list(_samples(status, process))
    lines = []
    for metric in ALL:
        mine = [(labels, value) for of, labels, value in samples if of is metric]
        if not mine:
            continue
        lines.append(f"# HELP {PREFIX}{metric.name} {metric.help}")
        lines.append(f"# TYPE {PREFIX}{metric.name} {metric.kind}")
        lines += [f"{PREFIX}{metric.name}{_labels(labels)} {_number(v)}" for labels, v in mine]
    return "\n".join(lines) + "\n"


def _samples(status: Mapping[str, Any], process: Process) -> Iterator[Sample]:
    who = {key: status[key] for key in ("device", "site", "role", "agent", "epoch")}
    yield INFO, who, 1
    yield from _link(status["link"])
    yield CLOCK, {"quality": status["clock"]}, 1
    for found in status["health"]:
        code = {"code": found["code"]}
        yield CONDITION, code | {"severity": found["severity"]}, 1
        yield CONDITION_SINCE, code, found["since"] / 1000
    for printer in status["printers"]:
        name = {"printer": printer["name"]}
        yield PRINTER, name | {"state": printer["state"]}, 1
        yield PRINTER_WAITING, name, printer["waiting"]
    alerts = Counter((alert["cause"], alert["state"]) for alert in status["alerts"])
    for (cause, state), count in sorted(alerts.items()):
        yield ALERTS, {"cause": cause, "state": state}, count
    load = status["load"]
    yield ORDERS, {"stage": "pending"}, load["pending"]
    yield ORDERS, {"stage": "preparing"}, load["preparing"]
    for quantile, key in (("0.5", "accept_p50_s"), ("0.9", "accept_p90_s")):
        if load.get(key) is not None:
            yield ACCEPT, {"quantile": quantile}, load[key]
    yield SOS, {}, bool(status["sos"])
    yield RESIDENT, {}, process.resident_bytes
    yield CPU, {}, process.cpu_seconds
    yield FILES, {}, process.open_files
    yield START, {}, process.started


def _link(link: Mapping[str, Any]) -> Iterator[Sample]:
    yield LINK, {}, link["up"]
    if link["since"] is not None:
        yield LINK_SINCE, {}, link["since"] / 1000
    for stream, count in link["backlog"].items():
        yield BACKLOG, {"stream": stream}, count
    for stream, t in link["oldest"].items():
        if t is not None:
            yield OLDEST, {"stream": stream}, t / 1000
    for stream, state in link["streams"].items():
        yield LAST, {"stream": stream}, state["last"]
        yield ACKED, {"stream": stream}, state["first_unacked"] - 1
    for kind, count in link["expired"].items():
        yield EXPIRED, {"kind": kind}, count


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return "".join(c if c.isprintable() else "?" for c in text)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
