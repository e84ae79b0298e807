"""Rebooting through logind, over a real D-Bus with a logind that only writes down what it hears."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_fast import BusType, Message, MessageType, NameFlag
from dbus_fast.aio import MessageBus

from drivers.base import DriverError
from drivers.power import logind
from tests.support import wait

CONF = """<busconfig><type>system</type><listen>unix:path={socket}</listen>
<auth>EXTERNAL</auth><policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"""


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if shutil.which("dbus-daemon") is None:
        pytest.skip("no dbus-daemon")
    socket, conf = tmp_path / "bus", tmp_path / "bus.conf"
    conf.write_text(CONF.format(socket=socket))
    daemon = subprocess.Popen(["dbus-daemon", f"--config-file={conf}", "--nofork"])
    wait(socket.exists, "D-Bus listens")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={socket}")
    yield str(socket)
    daemon.terminate()
    daemon.wait()


def ask(can: str) -> list[tuple[str, list[object]]]:
    """What logind hears of a reboot where it answers so to CanReboot."""
    heard: list[tuple[str, list[object]]] = []

    async def story() -> None:
        manager = await MessageBus(bus_type=BusType.SYSTEM).connect()

        def answer(message: Message) -> Message | None:
            if message.message_type is not MessageType.METHOD_CALL or message.path != logind.PATH:
                return None
            heard.append((str(message.member), list(message.body)))
            if message.member == "CanReboot":
                return Message.new_method_return(message, "s", [can])
            return Message.new_method_return(message)

        manager.add_message_handler(answer)
        await manager.request_name(logind.NAME, NameFlag.DO_NOT_QUEUE)
        try:
            await logind.reboot()
        finally:
            manager.disconnect()

    asyncio.run(story())
    return heard


@pytest.mark.usefixtures("bus")
def test_logind_is_asked_whether_it_may_be_and_then_to_do_it() -> None:
    assert ask("yes") == [("CanReboot", []), ("Reboot", [False])]


@pytest.mark.usefixtures("bus")
@pytest.mark.parametrize("can", ["no", "challenge", "na"])
def test_who_may_not_is_told_what_is_missing(can: str) -> None:
    with pytest.raises(DriverError, match="polkit"):
        ask(can)


@pytest.mark.usefixtures("bus")
def test_without_logind_it_says_so() -> None:
    with pytest.raises(DriverError, match="refused CanReboot"):
        asyncio.run(logind.reboot())


def test_without_a_bus_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    with pytest.raises(DriverError, match="cannot be reached"):
        asyncio.run(logind.reboot())
