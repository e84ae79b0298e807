"""A system bus of our own with python-dbusmock's bluetoothd on it: real D-Bus, made-up radio."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MOCK = "python-dbusmock>=0.38,<1"  # older ones cannot carry ManufacturerData
SYSTEM_PYTHON = "/usr/bin/python3"  # has dbus and gi from Debian's packages
CACHE = Path(__file__).parents[3] / ".cache" / "dbusmock-0.38"
BUS_CONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"""


async def until(true: Callable[[], object | Awaitable[object]], deadline_s: float = 20.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(deadline_s):
        while True:
            answer = true()
            if isinstance(answer, Awaitable):
                answer = await answer
            if answer:
                return
            await asyncio.sleep(0.01)


class Bluetoothd:
    """The mock on its bus; `start` and `kill` are those of the daemon, `end` those of the bus."""

    def __init__(self, folder: Path, mock: Path) -> None:
        self.address = f"unix:path={folder / 'bus'}"
        conf = folder / "bus.conf"
        conf.write_text(BUS_CONF.format(socket=folder / "bus"))
        self._mock = mock
        self._log = (folder / "log").open("wb")
        self._daemon: subprocess.Popen[bytes] | None = None
        self.bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={conf}", "--nofork"],
            stdout=self._log,
            stderr=self._log,
        )

    def start(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(self._mock),
            "DBUS_SYSTEM_BUS_ADDRESS": self.address,
        }
        self._daemon = subprocess.Popen(
            [SYSTEM_PYTHON, "-m", "dbusmock", "--system", "--template", "bluez5"],
            env=environment,
            stdout=self._log,
            stderr=self._log,
        )

    def kill(self) -> None:
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None

    def end(self) -> None:
        self.kill()
        self.bus.kill()
        self.bus.wait()
        self._log.close()

    async def call(self, path: str, interface: str, member: str, signature: str, *body: Any) -> Any:
        """Call the mock as any D-Bus client does; waits until it has its name."""
        from dbus_fast import Message, MessageType

        bus = await self._connect()
        try:
            async with asyncio.timeout(20):
                while True:
                    reply = await bus.call(
                        Message(
                            destination="org.bluez",
                            path=path,
                            interface=interface,
                            member=member,
                            signature=signature,
                            body=list(body),
                        )
                    )
                    if reply.message_type is not MessageType.ERROR:
                        return reply.body[0] if reply.body else None
                    # not up yet; any other error is the test's
                    assert "ServiceUnknown" in str(reply.error_name), reply.body
                    await asyncio.sleep(0.05)
        finally:
            bus.disconnect()

    async def _connect(self) -> Any:
        """The daemon makes its socket before it listens: try until it does."""
        from dbus_fast.aio import MessageBus

        async with asyncio.timeout(20):
            while True:
                try:
                    return await MessageBus(bus_address=self.address).connect()
                except (ConnectionRefusedError, FileNotFoundError):
                    await asyncio.sleep(0.05)

    async def add_adapter(self, name: str = "hci0") -> None:
        await self.call("/", "org.bluez.Mock", "AddAdapter", "ss", name, "lab")

    async def pull_adapter(self, name: str = "hci0") -> None:
        await self.call("/", "org.bluez.Mock", "RemoveAdapterWithDevices", "s", name)

    async def update(self, path: str, interface: str, **properties: Any) -> None:
        await self.call(
            path,
            "org.freedesktop.DBus.Mock",
            "UpdateProperties",
            "sa{sv}",
            interface,
            properties,
        )

    async def discovering(self, adapter: str = "hci0") -> bool:
        value = await self.call(
            f"/org/bluez/{adapter}",
            "org.freedesktop.DBus.Properties",
            "Get",
            "ss",
            "org.bluez.Adapter1",
            "Discovering",
        )
        return bool(value.value)


@pytest.fixture(scope="session")
def dbusmock() -> Path:
    """The folder with dbusmock, fetched once; Debian's is too old."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("no dbus-daemon")
    probe = [SYSTEM_PYTHON, "-c", "import dbus, gi"]
    if subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("the system's Python has no dbus and gi (python3-dbus, python3-gi)")
    if not CACHE.is_dir():
        CACHE.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE.parent) as folder:
            target = Path(folder) / "target"
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
            done = subprocess.run([*pip, str(target), MOCK], check=False, capture_output=True)
            if done.returncode:
                pytest.skip(f"{MOCK} cannot be installed: {done.stderr[-200:]!r}")
            if not CACHE.is_dir():  # another run may have been faster
                target.rename(CACHE)
    return CACHE


@pytest.fixture
def bluetoothd(
    dbusmock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bluetoothd]:
    daemon = Bluetoothd(tmp_path, dbusmock)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
    yield daemon
    daemon.end()
