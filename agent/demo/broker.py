"""The demo's MQTT broker: a child process on a free loopback port.

mosquitto where it is installed, because that is what small sites run; else the broker that came
with `requirements/demo.txt`. Both are told to listen on 127.0.0.1 only and to keep nothing on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from agent.core.clock import Clock
from agent.demo.children import die_with_parent

READY_S = 10.0

MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
user {user}
log_dest stdout
log_type warning
log_type error
"""

# rumqttd's format; its defaults would listen on every interface and refuse MQTT 5.
IOTCORE = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "demo"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = 500
"""


class NoBroker(Exception):
    """Neither broker can run; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Broker:
    name: str
    port: int
    process: asyncio.subprocess.Process


def find_mosquitto() -> str | None:
    """Debian installs it where users' PATH does not look."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def run_broker(
    folder: Path, clock: Clock, prefer: str | None = None
) -> AsyncIterator[Broker]:
    """A broker that answers; raises NoBroker. `prefer` is "mosquitto" or "iotcore"."""
    mosquitto = None if prefer == "iotcore" else find_mosquitto()
    port = free_port()
    config = folder / "broker.toml"  # iotcore goes by the suffix, mosquitto by what is inside
    if mosquitto is not None:
        name = "mosquitto"
        text = MOSQUITTO.format(port=port, user=getpass.getuser())
        command = [mosquitto, "-c", str(config)]
    elif find_spec("iotcore") is not None:
        name = "iotcore"
        text = IOTCORE.format(port=port)
        command = [sys.executable, "-m", "agent.demo.broker", str(config)]
    else:
        raise NoBroker("no MQTT broker here: install one with `sudo apt install mosquitto`")
    config.write_text(text, encoding="utf-8")
    with (folder / "broker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        await _answers(process, port, clock, folder)
        yield Broker(name, port, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(
    process: asyncio.subprocess.Process, port: int, clock: Clock, folder: Path
) -> None:
    deadline = clock.monotonic() + READY_S
    while clock.monotonic() < deadline and process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await clock.sleep(0.05)
        else:
            writer.close()
            return
    why = (folder / "broker.log").read_text(encoding="utf-8", errors="replace").strip()[-400:]
    raise NoBroker(f"the MQTT broker did not start: {why or 'it said nothing'}")


def _serve_iotcore(config: str) -> None:
    """In the child: the embedded broker until the process is ended."""
    from iotcore import IotCoreBroker

    # It logs each packet as an error otherwise.
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    IotCoreBroker(config_path=config).run_forever()


if __name__ == "__main__":
    _serve_iotcore(sys.argv[1])
