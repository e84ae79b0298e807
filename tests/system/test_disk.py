"""A disk that is full, damaged or read-only."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import Mosquitto, wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import Agent, Printer, shop_config

pytestmark = pytest.mark.system


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    made = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False)
    if not made or made.returncode:
        pytest.skip("needs to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


class Ballast:
    """Fills a disk to the last byte."""

    def __init__(self, disk: Path) -> None:
        self._file = disk / "ballast"

    def fill(self) -> None:
        with self._file.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)

    def drop(self) -> None:
        self._file.unlink()


def printed(backend: ForeignBackEnd) -> set[str]:
    return {e.body["order_id"] for e in backend.of("print", state="printed")}


def ids(count: int) -> set[str]:
    return {f"sys-{n:05d}" for n in range(1, count + 1)}


def fill_until_it_lives_in_memory(
    shop: Agent, backend: ForeignBackEnd, ballast: Ballast, count: int
) -> int:
    """How many orders there were then; all of them are printed."""
    ballast.fill()
    while "store.memory" not in shop.health():  # the reserve feeds the first of them
        assert count < 1000, shop.words()
        for number in range(count + 1, count + 21):
            backend.order(shop.device, order(number, note="n" * 2000))
        count += 20
        wait(lambda n=count: printed(backend) == ids(n), f"they print; {shop.words()}")
        ballast.fill()
    return count


def test_a_full_disk_is_said_loses_no_order_and_heals_by_itself(
    tmp_path: Path,
    agent: Callable[..., Agent],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    printer: Printer,
    stack: contextlib.ExitStack,
) -> None:
    disk = stack.enter_context(mounted(tmp_path / "disk", "size=24m"))
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    shop = agent(broker.port, config, store=disk / "agent.db").start().ready()
    backend.order(shop.device, order(1))
    wait(lambda: "sys-00001" in printed(backend), "it prints")
    ballast = Ballast(disk)
    count = fill_until_it_lives_in_memory(shop, backend, ballast, 1)
    wait(lambda: backend.of("health", code="store.memory"), "it is said there too")
    for number in range(count + 1, count + 11):
        backend.order(shop.device, order(number))
    count += 10
    wait(lambda: printed(backend) == ids(count), f"they print on a full disk; {shop.words()}")
    ballast.drop()
    wait(lambda: "store.memory" not in shop.health(), f"it is over; {shop.words()}")
    shop.kill()  # and nothing of it was only in memory any more
    shop.start().ready()
    backend.order(shop.device, order(count + 1))
    count += 1
    wait(lambda: printed(backend) == ids(count), f"all print; {shop.words()}")
    found = printer.tickets()
    assert found == {name: [False] for name in ids(count)}
    assert backend.verdict() == []


def test_what_was_printed_from_memory_comes_again_with_the_banner_after_a_power_cut(
    tmp_path: Path,
    agent: Callable[..., Agent],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    printer: Printer,
    stack: contextlib.ExitStack,
) -> None:
    disk = stack.enter_context(mounted(tmp_path / "disk", "size=24m"))
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    clock = ["env", "EDGE_AGENT_DEVICE__CLOCK=trusted"]
    shop = agent(broker.port, config, store=disk / "agent.db", wrapper=clock).start().ready()
    backend.order(shop.device, order(1))
    wait(lambda: "sys-00001" in printed(backend), "it prints")
    ballast = Ballast(disk)
    count = fill_until_it_lives_in_memory(shop, backend, ballast, 1)
    for number in range(count + 1, count + 6):
        backend.order(shop.device, order(number))
    wait(lambda: printed(backend) == ids(count + 5), f"they print; {shop.words()}")
    shop.kill()
    ballast.drop()
    shop.start().ready(online=True)
    # The disk knows nothing of the last five, so the back end sends them again.
    wait(lambda: len(printer.tickets()[f"sys-{count + 5:05d}"]) == 2, f"again; {shop.words()}")
    later = int((time.time() + 3600) * 1000)  # than the slack of a clock that nobody compares
    backend.order(shop.device, order(count + 6, placed_at=later))
    wait(lambda: printed(backend) == ids(count + 6), f"it goes on; {shop.words()}")
    found = printer.tickets()
    assert found.pop(f"sys-{count + 6:05d}") == [False], "this one is new"
    for name, banners in found.items():
        assert banners in ([False], [False, True]), f"{name} came twice and does not say so"
    assert [found[name] for name in sorted(found)[-5:]] == [[False, True]] * 5
    shop.stop()
    shop.start().ready(online=True)
    backend.order(shop.device, order(count + 7, placed_at=later))
    wait(lambda: printed(backend) == ids(count + 7), f"a clean start; {shop.words()}")
    assert printer.tickets()[f"sys-{count + 7:05d}"] == [False]


def test_a_damaged_database_is_set_aside_and_orders_come_again(
    shop: Agent, backend: ForeignBackEnd, printer: Printer
) -> None:
    shop.start().ready()
    for number in range(1, 6):
        backend.order(shop.device, order(number))
    wait(lambda: printed(backend) == ids(5), "they print")
    shop.stop()
    data = bytearray(shop.store.read_bytes())
    data[4096 : len(data) // 2] = os.urandom(len(data) // 2 - 4096)
    shop.store.write_bytes(data)
    shop.start().ready()
    wait(lambda: "store.set_aside" in shop.health(), f"it is said: {shop.health()}")
    wait(lambda: backend.of("health", code="store.set_aside"), "there too")
    assert list(shop.store.parent.glob("agent.db.*.aside"))
    backend.order(shop.device, order(6))
    wait(lambda: "sys-00006" in printed(backend), shop.words())
    again = ids(5)
    wait(lambda: all(len(printer.tickets()[name]) == 2 for name in again), shop.words())
    assert all(printer.tickets()[name] == [False, True] for name in again)
    assert len({epoch for _, epoch, _ in backend.books}) == 2
    assert backend.verdict() == []


def test_a_read_only_folder_is_a_clear_message(
    tmp_path: Path,
    agent: Callable[..., Agent],
    broker: Mosquitto,
    printer: Printer,
    stack: contextlib.ExitStack,
) -> None:
    disk = stack.enter_context(mounted(tmp_path / "disk", "ro,size=1m"))
    config = shop_config(f"tcp://127.0.0.1:{printer.port}")
    shop = agent(broker.port, config, store=disk / "agent.db").start()
    assert shop.ended() == 1
    assert str(disk) in shop.words()
    assert "Traceback" not in shop.words()


def test_an_older_agent_refuses_the_database_of_a_newer_one_and_is_not_started_again(
    shop: Agent,
) -> None:
    shop.start().ready()
    shop.stop()
    with contextlib.closing(sqlite3.connect(shop.store, isolation_level=None)) as newer:
        newer.execute("PRAGMA user_version = 99")
        newer.execute("REPLACE INTO meta VALUES ('usable_from', '99')")
    assert shop.start().ended() == 78
    assert "was written by a newer edge-agent" in shop.words()
    assert "Traceback" not in shop.words()
