"""Other products, each set up as kindly as it allows.

ThingsBoard Gateway: SQLite storage prefilled with the same records (its storage thread starts
only after the first cloud connection, so it cannot be fed offline), its code's packs of 1000
records (the shipped file, made for the memory storage, says 10), statistics and remote
configuration off, no rate limits from the faked cloud (`cloud` and bench/sink.py).

    python bench/peers.py paho PORT RECORDS long|short queue|window    runs in the peers' venv
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.common import HOUSE, Broker, Child, compact, positions

VENV = HOUSE / ".cache" / "peers"
PACKAGES = ("thingsboard-gateway==3.8.5", "paho-mqtt==2.2.0", "setuptools")
DATA = """
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX idx_timestamp ON messages (timestamp);
"""


def cloud(folder: Path) -> Broker:
    """A broker that plays ThingsBoard's with bench/sink.py: it does not send attributes back.

    The gateway tells its configuration on the topic on which it is told a new one; on a plain
    broker it hears itself, and opens its storage anew again and again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "acl").write_text(
        "pattern write #\npattern read v1/gateway/telemetry\npattern read v1/devices/me/rpc/#\n"
    )
    return Broker(folder, lines=f"max_inflight_messages 0\nacl_file {folder}/acl")


def install() -> Path:
    """The peers' own virtual environment; its interpreter."""
    python = VENV / "bin" / "python"
    if not python.exists():
        print(f"installing {', '.join(PACKAGES)} into {VENV}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def thingsboard(
    folder: Path,
    port: int,
    records: list[dict[str, Any]],
    *,
    pack: int = 1000,
    opaque: bool = False,
) -> Child:
    """Started; it connects, and sends what lies in its storage.

    `opaque`: a record is one text value instead of ten numbers, which spares it much work.
    """
    (folder / "data").mkdir(parents=True)
    (folder / "config").mkdir()
    (folder / "logs").mkdir()
    shipped = VENV.glob("lib/python*/site-packages/thingsboard_gateway/config/*.json")
    config = json.loads(next(p for p in shipped if p.name == "tb_gateway.json").read_text())
    config["thingsboard"].update(
        host="127.0.0.1",
        port=port,
        remoteConfiguration=False,
        statistics={"enable": False},
        security={"type": "accessToken", "accessToken": "bench"},
        checkConnectorsConfigurationInSeconds=60,
        maxPayloadSizeBytes=65536,
    )
    config["storage"] = {
        "type": "sqlite",
        "data_file_path": f"{folder}/data/",
        "max_read_records_count": pack,
    }
    (folder / "config" / "tb_gateway.json").write_text(json.dumps(config))
    logs = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}
    (folder / "config" / "logs.json").write_text(json.dumps(logs))
    with sqlite3.connect(folder / "data" / "data.db") as database:
        database.executescript(DATA)
        database.executemany(
            "INSERT INTO messages (timestamp, message) VALUES (?, ?)",
            ((int(time.time() * 1000), _telemetry(body, opaque)) for body in records),
        )
    database.close()
    return Child(
        [VENV / "bin" / "thingsboard-gateway"],
        log=folder / "log",
        cwd=folder,
        env={"TB_GW_CONFIG_DIR": f"{folder}/config/"},
    )


def _telemetry(body: dict[str, Any], opaque: bool) -> str:
    """As its connectors store a reading."""
    values = {"record": compact(body).decode().replace('"', "'")} if opaque else body
    reading = {"ts": body["fix_t"], "values": values}
    return compact(
        {"deviceName": "rd-007", "deviceType": "default", "telemetry": [reading]}
    ).decode()


def paho(port: int, count: int, size: str, how: str) -> None:
    """paho as a program would use it: one record a PUBLISH, QoS 1, its own thread.

    `queue`: everything is handed to its own queue before it connects. `window`: 20 in flight (its
    default), the program keeps the rest.
    """
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    acknowledged = 0

    def on_publish(*_: object) -> None:
        nonlocal acknowledged
        acknowledged += 1

    client = Client(CallbackAPIVersion.VERSION2, client_id="paho", protocol=MQTTv5)
    client.on_publish = on_publish
    payloads = [compact(body) for body in positions(count, long=size == "long")]
    sent = 0
    if how == "queue":
        client.max_queued_messages_set(0)  # unlimited is 65,535 all the same
        client.connect_async("127.0.0.1", port)
        for payload in payloads:
            sent += client.publish("raw/position", payload, 1).rc != 15  # MQTT_ERR_QUEUE_SIZE
        say(event="started", queued=sent)
        client.loop_start()
    else:
        client.connect("127.0.0.1", port)
        client.loop_start()
        say(event="started")
        for payload in payloads:
            while sent - acknowledged >= 20:
                time.sleep(0.0002)
            client.publish("raw/position", payload, 1)
            sent += 1
    for _ in sys.stdin:
        pass


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    paho(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])
