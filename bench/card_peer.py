"""Bytes that ThingsBoard Gateway's SQLite storage writes for a message, at its own pace.

    .cache/peers/bin/python bench/card_peer.py RATE SECONDS

Run by the environment that bench/peers.py makes. A reading of about 200 bytes is put RATE times a
second and, as its gateway does, taken in packs and confirmed; counted is `write_bytes` of
/proc/self/io, as in bench/bytes.py.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import threading
import time
from pathlib import Path

from thingsboard_gateway.storage.sqlite.sqlite_event_storage import SQLiteEventStorage


def written() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def reading(n: int) -> str:
    values = {"lat": 31.2304 + n / 1e5, "lon": 121.4737, "acc": 4.2, "speed": 6.1, "course": 93.5}
    telemetry = [{"ts": 1_800_000_000_000 + n, "values": values}]
    return json.dumps({"deviceName": "rd-007", "deviceType": "default", "telemetry": telemetry})


def main() -> None:
    rate, seconds = float(sys.argv[1]), float(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=".cache") as folder:
        stop = threading.Event()
        config = {"data_file_path": f"{folder}/", "max_read_records_count": 1000}
        log = logging.getLogger("peer")
        log.trace = log.debug  # its own logger has one more level
        storage = SQLiteEventStorage(config, log, stop)
        before, sent, taken = written(), 0, 0
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end or (taken < sent and now < end + 30):
            if now < end:
                storage.put(reading(sent))
                sent += 1
            if now >= end or sent % max(1, round(rate)) == 0:
                pack = storage.get_event_pack()
                if pack:
                    taken += len(pack)
                    storage.event_pack_processing_done()
            time.sleep(1 / rate)
        print(
            f"{rate:.0f} a second: {(written() - before) / sent:.0f} bytes a message,"
            f" {taken} of {sent} taken"
        )
        stop.set()
        storage.stop()


if __name__ == "__main__":
    main()
