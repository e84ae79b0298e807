"""How busy the shop is: what waits, what is being made, how long accepting takes."""

from __future__ import annotations

import sqlite3

from agent.contract.events import Load
from agent.orders import table

DAY_MS = 24 * 3600 * 1000  # an order that never ended counts for a day
WINDOW_MS = 3600 * 1000
SAMPLES = 500  # acceptances at most


def measure(connection: sqlite3.Connection, now_ms: int) -> Load:
    counts = table.counts(connection, now_ms - DAY_MS)
    pending, preparing = counts.get("received", 0), counts.get("accepted", 0)
    took = table.latencies(connection, now_ms - WINDOW_MS, SAMPLES)
    if not took:
        return Load(pending=pending, preparing=preparing)
    from statistics import quantiles  # it brings fractions and decimals: for who has orders

    tenths = (
        quantiles([max(0, ms) / 1000 for ms in took], n=10, method="inclusive")
        if len(took) > 1
        else []
    )
    return Load(
        pending=pending,
        preparing=preparing,
        accepted=len(took),
        accept_p50_s=round(tenths[4] if tenths else took[0] / 1000, 1),
        accept_p90_s=round(tenths[8] if tenths else took[0] / 1000, 1),
    )
