"""Everything is killed again and again - agents, broker, link, consumer - and then the record read.

    PYTHONPATH=. nice .venv/bin/python bench/chaos.py [--kills 2000] [--log chaos.jsonl]
    PYTHONPATH=. nice .venv/bin/python bench/chaos.py --confirm broker    to see that it notices

Rounds that know nothing of each other, each with a shop that prints and a rider that moves (whole
agents), mosquitto, a cable in front of it, and `edge-agent consume` into SQLite. Agents get SIGKILL
at random moments, and at a random write, fsync, truncate or unlink of their store, every other one
of those in the middle of the write. The broker gets SIGKILL and comes back with all of its memory,
with what it saved last, or with none. The cable is pulled, or swallows. At the end of a round all
are left alone until the outboxes are empty; then the consumer's tables and the printer's paper are
held against what was ordered. A line of --log is one round; a run goes on behind the last line.
Agents live in forks of a warm process, so that kills hit their work and not the start of Python.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.crashes.judge import build
from tests.support import Mosquitto, wait
from tests.system.foreign import order
from tests.system.machines import Agent, Printer, Relay, shop_config

HOUSE = Path(__file__).parents[1]
KILLS = {"shop": 40, "rider": 20}  # in a round
CALM_S = 180.0
RIDER = """role = 'rider'
[position]
driver = 'simulated'
max_error_m = 2
[position.simulated]
track = '{track}'
[[fence]]
id = 'shop'
lat = 31.2304
lon = 121.4737
radius_m = 100
"""


# --- in the warm process ------------------------------------------------------


def warm() -> None:
    """Lines `AT TEAR SECONDS CONFIG LOG` come in; for each an agent lives and dies.

    AT: the call on its store at which it dies, 0 for none; SECONDS: it is killed then at the
    latest. Says how it died: `write`, `moment`, or its exit status.
    """
    import ctypes

    import agent.daemon  # noqa: F401 - warm, and so are these
    import drivers.gps.simulated
    import drivers.printer.network  # noqa: F401
    from agent.cli import main

    shim = ctypes.CDLL(None)
    for line in sys.stdin:
        at, tear, seconds, config, log = line.split()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 2)
            shim.crash_at(ctypes.c_long(int(at)), int(tear))
            try:
                os._exit(main(["run", "--config", config]))
            except BaseException:  # noqa: BLE001 - the fork's own last words
                traceback.print_exc()
                os._exit(70)
        over = os.pidfd_open(child)
        ended, _, _ = select.select([over], [], [], float(seconds))
        if not ended:
            os.kill(child, signal.SIGKILL)
        os.close(over)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        how = ("write" if ended else "moment") if killed else f"status {status}"
        print(how, flush=True)


class Mortal(Agent):
    """An agent whose lives are forks of a warm process."""

    def begin(self, shim: Path) -> None:
        env = {**os.environ, "LD_PRELOAD": str(shim), "CRASH_DIR": str(self.store.parent)}
        env["PYTHONPATH"] = "."
        self._nursery = subprocess.Popen(
            [sys.executable, str(Path(__file__)), "--warm"], cwd=HOUSE, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def live(self, dice: random.Random) -> str:
        at = dice.choice((0, dice.randint(1, 30), dice.randint(1, 200)))
        seconds = dice.choice((dice.uniform(0.02, 0.3), dice.uniform(0.2, 1.0), dice.uniform(1, 3)))
        seconds = max(seconds, 1.0) if at else seconds
        words = (at, dice.randint(0, 1), f"{seconds:.3f}", self.config, self.log)
        self._nursery.stdin.write(" ".join(map(str, words)) + "\n")
        self._nursery.stdin.flush()
        return self._nursery.stdout.readline().strip() or "status unknown"

    def end(self) -> None:
        self._nursery.stdin.close()
        self._nursery.wait(10)


# --- the others ---------------------------------------------------------------


class Broker(Mosquitto):
    """Comes back remembering everything, what it saved last, or nothing."""

    def restart(self, dice: random.Random) -> str:
        self.kill()
        memory = dice.choice(("everything", "some", "nothing"))
        saved = {"everything": "true", "some": "false", "nothing": "false"}[memory]
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
            f"persistence {'false' if memory == 'nothing' else 'true'}\nuser root\n"
            f"persistence_location {self._config.parent}/\n"
            f"autosave_interval 2\nautosave_on_changes {saved}\n"
        )
        time.sleep(dice.uniform(0, 0.5))
        self.start()
        return f"broker, remembers {memory}"


class Consumer:
    """`edge-agent consume`, one instance."""

    def __init__(self, folder: Path, url: str) -> None:
        self.database = folder / "record.db"
        self._log = (folder / "consumer.log").open("ab")
        self._command = [
            sys.executable, "-m", "agent", "consume", "--to", f"sqlite:///{self.database}",
            "--from", url, "--name", "one", "--session", "300",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, cwd=HOUSE, stdout=self._log, stderr=self._log
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, sql: str) -> list[tuple]:
        try:
            with contextlib.closing(sqlite3.connect(self.database, timeout=10)) as connection:
                return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []  # it is being made


class Kitchen:
    """Sends orders, and again those that a shop says it does not have."""

    def __init__(self, port: int, device: str, record: Consumer) -> None:
        self.sent: dict[str, bytes] = {}
        self._device, self._record, self._heard = device, record, 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def order(self) -> None:
        new = order(len(self.sent) + 1)
        self.sent[new["order_id"]] = json.dumps(new).encode()
        self._send(new["order_id"])

    def reconcile(self) -> None:
        """By the newest list of what it has."""
        lists = self._record.ask(
            "SELECT received, body FROM event WHERE kind = 'order' AND stream = 'critical'"
            f" AND received > {self._heard} AND body LIKE '%reconcile%' ORDER BY received, seq"
        )
        if lists:
            self._heard, body = lists[-1]
            for order_id in self.sent.keys() - (json.loads(body).get("orders") or {}).keys():
                self._send(order_id)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _send(self, order_id: str) -> None:
        topic = f"edge/v1/{self._device}/order/{order_id}"
        self._client.publish(topic, self.sent[order_id], 1)


# --- a round ------------------------------------------------------------------


class Round:
    def __init__(self, folder: Path, shim: Path, seed: int, confirm: str) -> None:
        self.dice = random.Random(seed)
        self.found: Counter[str] = Counter()
        self.storm = True
        self.broker = Broker(_made(folder / "broker"))
        self.cable = Relay(self.broker.port)
        self.printer = Printer(width_dots=384)
        self.consumer = Consumer(folder, self.broker.url)
        shop = shop_config(f"tcp://127.0.0.1:{self.printer.port}")
        self.agents = {
            "shop": Mortal(folder / "shop", self.cable.port, shop, device="sh-1"),
            "rider": Mortal(
                folder / "rider", self.cable.port, RIDER.format(track=_ride(folder)), device="rd-1"
            ),
        }
        self.kitchen = Kitchen(self.broker.port, "sh-1", self.consumer)
        for agent in self.agents.values():
            with agent.config.open("a") as config:
                config.write(f"confirm = '{confirm}'\n")
            agent.begin(shim)

    def run(self) -> list[str]:
        """What is wrong at its end."""
        seeds = [self.dice.random() for _ in range(6)]
        lives = [
            threading.Thread(target=self._lives, args=(name, random.Random(seed)))
            for name, seed in zip(self.agents, seeds[:2], strict=True)
        ]
        others = [
            threading.Thread(target=self._again, args=(random.Random(seed), act, least, most))
            for seed, (act, least, most) in zip(
                seeds[2:],
                [
                    (self._kill_broker, 0.5, 5.0),
                    (self._cut_link, 1.0, 5.0),
                    (self._kill_consumer, 4.0, 12.0),
                    (self._order, 0.1, 0.9),
                ],
                strict=True,
            )
        ]
        for thread in (*lives, *others):
            thread.start()
        for thread in lives:
            thread.join()
        self.storm = False
        for thread in others:
            thread.join()
        strange = [what for what in self.found if "status" in what]
        return strange or [*self._calm(), *self._judge()]

    def close(self) -> None:
        self.kitchen.close()
        for agent in self.agents.values():
            agent.end()
            if agent.process is not None:
                agent.kill()
        self.consumer.kill()
        self.cable.close()
        self.broker.kill()
        self.printer.close()

    def _lives(self, name: str, dice: random.Random) -> None:
        died = 0
        while died < KILLS[name]:
            how = self.agents[name].live(dice)
            self.found[f"{name}, {how}"] += 1
            died += 1
            if how.startswith("status"):
                return

    def _again(
        self, dice: random.Random, act: Callable[[random.Random], None], least: float, most: float
    ) -> None:
        while self.storm:
            time.sleep(dice.uniform(least, most))
            act(dice)

    def _kill_broker(self, dice: random.Random) -> None:
        self.found[self.broker.restart(dice)] += 1

    def _cut_link(self, dice: random.Random) -> None:
        if dice.random() < 0.2:
            self.cable.blackhole()
            time.sleep(dice.uniform(0, 3))
            self.found["link, swallows"] += 1
        else:
            self.cable.pull()
            time.sleep(dice.uniform(0, 1))
            self.found["link, pulled"] += 1
        self.cable.restore()

    def _kill_consumer(self, dice: random.Random) -> None:
        self.consumer.kill()
        time.sleep(dice.uniform(0, 0.5))
        self.consumer.start()
        self.found["consumer"] += 1

    def _order(self, _: random.Random) -> None:
        self.kitchen.order()
        self.kitchen.reconcile()

    def _calm(self) -> list[str]:
        """Until everything has come through."""
        self.broker.restart(random.Random(2))
        for agent in self.agents.values():
            agent.start()
        try:
            wait(self._done, "all is printed, told and acknowledged", CALM_S)
        except AssertionError as error:
            return [str(error)]
        return []

    def _done(self) -> bool:
        time.sleep(0.5)
        self.kitchen.reconcile()
        shop = self.agents["shop"]
        try:
            if any(printer["parked"] for printer in shop.ask("status")["printers"]):
                shop.ask("printer.resume", printer="kitchen", choice="all")
            links = [agent.ask("status")["link"] for agent in self.agents.values()]
        except (OSError, ValueError):
            return False
        printed = self._printed()
        waiting = links[0]["backlog"]["critical"] + links[0]["backlog"]["state"]
        return len(printed) >= len(self.kitchen.sent) and not waiting and links[1]["up"]

    def _printed(self) -> set[str]:
        return {
            order_id
            for (order_id,) in self.consumer.ask(
                "SELECT body ->> 'order_id' FROM event WHERE kind = 'print'"
                " AND body ->> 'state' = 'printed'"
            )
        }

    def _judge(self) -> list[str]:
        ask, faults = self.consumer.ask, []
        self.found["orders"] = len(self.kitchen.sent)
        tickets = self.printer.tickets()
        self.found["tickets with a banner"] = sum(sum(copies) for copies in tickets.values())
        ((self.found["events"], self.found["most numbers in a gap"]),) = ask(
            "SELECT (SELECT count(*) FROM event),"
            " (SELECT coalesce(max(last - first + 1), 0) FROM gap)"
        )
        told = {row[0] for row in ask("SELECT body ->> 'order_id' FROM event WHERE kind = 'order'")}
        for what, missing in {
            "orders not on paper": self.kitchen.sent.keys() - tickets.keys(),
            "orders not told as received": self.kitchen.sent.keys() - told,
            "orders not told as printed": self.kitchen.sent.keys() - self._printed(),
            "tickets doubled in silence": [k for k, v in tickets.items() if v.count(False) > 1],
            "numbers neither stored nor explained": ask("SELECT * FROM missing"),
            "numbers given up that are critical": ask(
                "SELECT * FROM gap WHERE stream = 'critical'"
            ),
            "numbers forgotten before they were stored": ask(
                "SELECT * FROM forgotten WHERE absent > 0"
            ),
            "messages set aside": ask("SELECT topic, reason FROM set_aside"),
            "keys twice": ask(
                "SELECT device, epoch, stream, seq FROM event"
                " GROUP BY device, epoch, stream, seq HAVING count(*) > 1"
            ),
            "events recorded later with a lower number": ask(LATER.format(column="t")),
            "epochs beyond the first": ask(
                "SELECT device, count(DISTINCT epoch) FROM event GROUP BY device"
                " HAVING count(DISTINCT epoch) > 1"
            ),
        }.items():
            if missing:
                faults.append(f"{len(missing)} {what}: {list(missing)[:3]}")
        self.found["stored before a lower number"] = len(ask(LATER.format(column="received")))
        return faults


# Pairs of neighbours of one kind whose times run against their numbers.
LATER = """
SELECT * FROM (
    SELECT device, kind, seq, {column} AS this,
           lag({column}) OVER (PARTITION BY device, epoch, stream, kind ORDER BY seq) AS before
    FROM event) WHERE this < before"""


def _ride(folder: Path) -> Path:
    """In a circle through the fence's edge, half a minute each."""
    lines = ["t,lat,lon"]
    for t in range(31):
        angle = 2 * math.pi * t / 30
        lines.append(
            f"{t},{31.2313 + 0.0009 * math.sin(angle)},{121.4737 + 0.001 * math.cos(angle)}"
        )
    track = folder / "ride.csv"
    track.write_text("\n".join(lines))
    return track


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=2000, help="of agents, at least")
    parser.add_argument("--log", type=Path, default=Path("chaos.jsonl"))
    parser.add_argument("--confirm", default="backend", help="broker: loses what brokers forget")
    parser.add_argument("--warm", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.warm:
        warm()
        return
    lines = options.log.read_text().splitlines() if options.log.exists() else []
    rounds = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as place:
        shim = build(Path(place))
        if shim is None:
            sys.exit("needs a C compiler and Linux")
        while _kills(rounds) < options.kills:
            rounds.append(_round(shim, len(rounds) + 1, options.confirm))
            with options.log.open("a") as log:
                log.write(json.dumps(rounds[-1]) + "\n")
    total: Counter[str] = Counter()
    for one in rounds:
        total.update(one["found"])
    for what, count in sorted(total.items()):
        print(f"{count:8,}  {what}")
    broken = [one for one in rounds if one["faults"]]
    print(f"{len(rounds)} rounds, {_kills(rounds)} agents killed, {len(broken)} with a fault")
    sys.exit(bool(broken))


def _round(shim: Path, seed: int, confirm: str) -> dict:
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
    begin, one = time.monotonic(), Round(folder, shim, seed, confirm)
    try:
        faults = one.run()
    finally:
        one.close()
    if not faults:
        shutil.rmtree(folder)
    print(f"round {seed}: {time.monotonic() - begin:.0f} s, {faults or 'well'}", flush=True)
    where = {"folder": str(folder)} if faults else {}
    return {"seed": seed, "found": dict(one.found), "faults": faults, **where}


def _kills(rounds: list[dict]) -> int:
    return sum(
        count
        for one in rounds
        for what, count in one["found"].items()
        if what.endswith((", write", ", moment"))
    )


if __name__ == "__main__":
    main()
