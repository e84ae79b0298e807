"""What Prometheus reads, and that the dashboard shows what there is."""

from __future__ import annotations

import asyncio
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import metrics
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.metrics import ALL, PREFIX, Process
from agent.metrics_service import MetricsService
from tests.support import until

DASHBOARD = Path(__file__).parents[2] / "config" / "grafana" / "edge-agents.json"
# https://prometheus.io/docs/instrumenting/exposition_formats/
SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)'
)
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"')


def status(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "device": "sh-1", "site": "s", "role": "shop", "agent": "1.0", "epoch": "e",
        "clock": "ntp",
        "link": {
            "up": True, "since": 1_800_000_000_000, "backlog": {"critical": 0, "state": 2},
            "oldest": {"critical": None, "state": 1_800_000_000_500}, "expired": {"position": 7},
            "streams": {"critical": {"first_unacked": 8, "last": 9}},
        },
        "health": [{"code": "printer.kitchen", "severity": "warning", "text": "t", "since": 5000}],
        "printers": [{"name": "kitchen", "state": "fault", "waiting": 3, "parked": 0}],
        "alerts": [
            {"cause": "new_order", "state": "sounding"},
            {"cause": "new_order", "state": "sounding"},
        ],
        "load": {"pending": 2, "preparing": 1, "accept_p50_s": 30.5, "accept_p90_s": 60},
        "sos": None,
    }  # fmt: skip
    return made | changes


PROCESS = Process(36_000_000, 1.25, 20, 1_800_000_000.0)


def parse(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Strictly; each series once, each metric in one piece behind its TYPE."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    types: list[str] = []
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types
            assert kind in {"gauge", "counter"}
            assert (kind == "counter") == name.endswith("_total")
            types.append(name)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert match[1] == types[-1]
        key = match[1], frozenset(LABEL.findall(match[2] or ""))
        assert key not in found
        found[key] = float(match[3])
        assert math.isfinite(found[key])
    return found


def test_every_metric_is_there_once_in_its_unit() -> None:
    found = parse(metrics.render(status(), PROCESS))
    assert {name for name, _ in found} == {PREFIX + metric.name for metric in ALL}
    value = {
        (name.removeprefix(PREFIX), *sorted(v for _, v in labels)): v2
        for (name, labels), v2 in found.items()
    }
    assert value["alerts", "new_order", "sounding"] == 2
    assert value["oldest_event_seconds", "state"] == 1_800_000_000.5
    assert value["stream_acked_seq", "critical"] == 7
    assert value["accept_seconds", "0.5"] == 30.5
    assert value["process_resident_bytes",] == 36_000_000
    assert value["condition_since_seconds", "printer.kitchen"] == 5


@given(st.text())
def test_any_name_can_be_a_label(text: str) -> None:
    printers = [{"name": text, "state": "ready", "waiting": 0, "parked": 0}]
    parse(metrics.render(status(printers=printers, site=text), PROCESS))


def ask(request: bytes) -> tuple[str, str]:
    """The first line and the body of what is answered."""

    async def story() -> bytes:
        async def now() -> dict[str, Any]:
            return status()

        clock = ManualClock()
        service = MetricsService("127.0.0.1:0", now, 1.0)
        task = asyncio.ensure_future(service.run(Heartbeat("metrics", clock, Health(clock))))
        port = await until(lambda: service.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request.replace(b"PORT", str(port).encode()))
        if request:
            writer.write_eof()
        else:
            writer.close()
        answer = await reader.read()
        writer.close()
        task.cancel()
        await asyncio.wait([task])
        return answer

    head, _, body = asyncio.run(story()).decode().partition("\r\n\r\n")
    return head.partition("\r\n")[0], body


def test_it_is_served_to_who_asks_by_its_own_name() -> None:
    line, body = ask(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n")
    assert line == "HTTP/1.1 200 OK"
    assert parse(body)[PREFIX + "link_up", frozenset()] == 1


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: evil.example:PORT\r\n\r\n", "403"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", "403"),
        (b"GET / HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n", "404"),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n", "405"),
        (b"\xff\xfe\r\n\r\n", "403"),
        (b"x" * 20_000 + b"\r\n\r\n", ""),
        (b"GET /metrics", ""),
    ],
)
def test_anything_else_is_refused(request_: bytes, code: str) -> None:
    line, body = ask(request_)
    assert code in line
    assert PREFIX not in body


def test_the_dashboard_asks_for_what_there_is_and_leaves_nothing_out() -> None:
    text = DASHBOARD.read_text("utf-8")
    board = json.loads(text)
    asked = set(re.findall(rf"{PREFIX}\w+", text))
    known = {PREFIX + metric.name for metric in ALL}
    assert asked <= known, asked - known
    shown = {m for p in board["panels"] for t in p["targets"]
             for m in re.findall(rf"{PREFIX}\w+", t["expr"])}  # fmt: skip
    hidden = {"link_since_seconds", "stream_acked_seq", "process_open_files",
              "process_start_seconds", "condition"}  # fmt: skip
    assert known - shown <= {PREFIX + name for name in hidden}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        assert panel["type"] in {"stat", "table", "state-timeline", "timeseries"}
        assert 0 <= panel["gridPos"]["x"] <= 24 - panel["gridPos"]["w"]
        for target in panel["targets"]:
            assert target["expr"].count("(") == target["expr"].count(")")
            labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert labels <= labels_of(), labels


def labels_of() -> set[str]:
    found = parse(metrics.render(status(), PROCESS))
    return {name for _, labels in found for name, _ in labels}
