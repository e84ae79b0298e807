"""What a renewal and a revocation cost: the silence, the memory, the time until somebody is out.

    .venv/bin/python -m bench.identity [--rounds N]

A shop's agent as a process, the broker and the access rules of config/broker, the authority as a
process; everything on loopback. Printed: the longest silence of events while the certificate is
replaced, beside the longest in an equal time without; the agent's memory before and after; and the
time from `ca revoke` to the end of the connection.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

from agent.contract.wire import NDJSON_ZLIB, decode_batch
from agent.fleet.identity import Identity, hardware
from tests.security.broker import Client, SecureBroker, enrolled
from tests.security.processes import Process, Shop, command
from tests.support import wait

EVERY_S = 0.02  # between two orders


class Ear:
    """When an event of the device was heard, and what was audited."""

    def __init__(self, client: Client) -> None:
        self.times: list[float] = []
        self.seqs: set[int] = set()
        self.renewed = threading.Event()
        client.mqtt.on_message = self._heard
        client.subscribe("edge/v1/sh-1/#")

    def _heard(self, _client: object, _userdata: object, message: object) -> None:
        topic, payload = message.topic, message.payload  # type: ignore[attr-defined]
        if "/evt/" in topic:
            self._event(json.loads(payload))
        elif "/batch/" in topic:
            for event in decode_batch(payload, NDJSON_ZLIB):
                self._event({"seq": event.seq, "stream": event.stream,
                             "body": json.loads(bytes(event.body))})  # fmt: skip

    def _event(self, event: dict) -> None:
        if event["stream"] == "critical":
            self.times.append(time.monotonic())
            self.seqs.add(event["seq"])
        if event["body"].get("action") == "identity.renewed":
            self.renewed.set()

    def silence(self, begin: float, end: float) -> float:
        heard = [begin, *(t for t in self.times if begin < t < end), end]
        return max(b - a for a, b in itertools.pairwise(heard))

    def missing(self) -> int:
        return max(self.seqs) - min(self.seqs) + 1 - len(self.seqs)


def rss_kb(pid: int) -> int:
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in x)
    return int(line.split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "secure").mkdir()
        secure = SecureBroker(folder / "secure")
        shop = Shop(folder / "shop", secure, "sh-1")
        enrolled(secure.authority, Identity(shop.identity), "sh-1", hardware())
        authority = Process(folder / "ca.log", "ca", "serve", "--folder", secure.folder / "ca")
        agent = shop.start()
        try:
            shop.wait_online()
            measure(secure, shop, agent, rounds)
        finally:
            for process in (agent, authority):
                process.kill()
            secure.kill()


def measure(secure: SecureBroker, shop: Shop, agent: Process, rounds: int) -> None:
    backend = Client(secure.port, secure.ca, "backend", identity=secure.program("backend"))
    ear = Ear(backend)
    stop = threading.Event()

    def orders() -> None:
        number = 0
        while not stop.wait(EVERY_S):
            number += 1
            order = {"order_id": f"o{number}", "version": 1, "status": "pending", "placed_at": 1,
                     "items": [{"name": "a"}]}  # fmt: skip
            backend.mqtt.publish(f"edge/v1/sh-1/order/o{number}", json.dumps(order), qos=1)

    feeding = threading.Thread(target=orders)
    feeding.start()
    wait(lambda: len(ear.times) > 100, "events flow")
    during, without, took = [], [], []
    before = rss_kb(agent.pid)
    for number in range(rounds):
        ear.renewed.clear()
        begin = time.monotonic()
        backend.mqtt.publish(f"edge/v1/sh-1/cmd/identity.renew/c{number}", b"{}", qos=1)
        assert ear.renewed.wait(120), "renewed"
        end = time.monotonic()
        took.append(end - begin)
        during.append(ear.silence(begin, end))
        time.sleep(end - begin)
        without.append(ear.silence(end, time.monotonic()))
    stop.set()
    feeding.join()
    maps = Path(f"/proc/{agent.pid}/maps").read_text()
    print(f"renewal takes {statistics.median(took):.2f} s (median of {rounds})")
    print(f"longest silence while renewing {max(during):.3f} s, without {max(without):.3f} s")
    wait(lambda: ear.missing() == 0, "every number was heard", 60)
    print(f"events heard {len(ear.seqs)}, missing {ear.missing()}")
    print(f"memory of the agent {before} kB before, {rss_kb(agent.pid)} kB after;"
          f" cryptography loaded: {'cryptography' in maps}")  # fmt: skip
    begin = time.monotonic()
    threading.Thread(
        target=command, args=("ca", "revoke", "sh-1", "--folder", secure.folder / "ca")
    ).start()
    wait(lambda: not shop.online(), "out")
    print(f"out {time.monotonic() - begin:.2f} s after `ca revoke` began")
    backend.close()


if __name__ == "__main__":
    main()
