"""bluetoothd on the system D-Bus: noticing that it or an adapter goes away, and errors in words.

bleak tells of neither, so the drivers watch D-Bus themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from drivers.base import DriverError, Stuck

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

DEADLINE_S = 15.0  # for one call of bluetoothd
_ADAPTER = "org.bluez.Adapter1"
_NO_BLUETOOTHD = "bluetoothd is not running; `systemctl start bluetooth`"
_SIGNALS = (
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.bluez'",
    "type='signal',sender='org.bluez',member='InterfacesRemoved'",
    f"type='signal',sender='org.bluez',member='PropertiesChanged',arg0='{_ADAPTER}'",
)


@asynccontextmanager
async def watch(adapter: str | None, gone: Callable[[str], None]) -> AsyncIterator[None]:
    """Calls `gone(reason)` when the adapter, bluetoothd or D-Bus goes away."""
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus

    with explained("tell of its adapters"):
        bus = MessageBus(bus_type=BusType.SYSTEM)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await bus.connect()
                await _subscribe(bus)
        except BaseException:
            bus.disconnect()
            raise
    bus.add_message_handler(lambda message: _judge(message, adapter, gone))
    ended: asyncio.Future[None] = asyncio.ensure_future(
        bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
    )

    def bus_ended(end: asyncio.Future[None]) -> None:
        if not end.cancelled():
            gone(f"the system D-Bus went away ({end.exception()}); is dbus running?")

    ended.add_done_callback(bus_ended)
    try:
        yield
    finally:
        ended.cancel()
        bus.disconnect()


async def _subscribe(bus: MessageBus) -> None:
    from dbus_fast import Message, MessageType

    for rule in _SIGNALS:
        reply = await bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="AddMatch",
                signature="s",
                body=[rule],
            )
        )
        if reply.message_type is MessageType.ERROR:
            raise DriverError(f"the system D-Bus refused to watch bluetoothd: {reply.body}")


def _judge(message: Message, adapter: str | None, gone: Callable[[str], None]) -> None:
    """What a D-Bus signal means for the scan."""
    body = message.body

    def ours(path: str | None) -> bool:
        return adapter is None or path == f"/org/bluez/{adapter}"

    match message.member:
        case "NameOwnerChanged" if body[0] == "org.bluez" and not body[2]:
            gone(_NO_BLUETOOTHD)
        case "InterfacesRemoved" if _ADAPTER in body[1] and ours(body[0]):
            gone(f"Bluetooth adapter {body[0].rpartition('/')[2]} was pulled out; plug it in again")
        case "PropertiesChanged" if body[0] == _ADAPTER and ours(message.path):
            powered = body[1].get("Powered")
            if powered is not None and not powered.value:
                gone(_switched_off(str(message.path).rpartition("/")[2]))
        case _:
            pass


def _switched_off(adapter: str) -> str:
    return (
        f"Bluetooth adapter {adapter} is switched off;"
        " `rfkill unblock bluetooth`, then `bluetoothctl power on`"
    )


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Errors of bleak and D-Bus as DriverError, with what to do."""
    from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakError
    from bleak.exc import BleakBluetoothNotAvailableReason as Reason
    from dbus_fast.errors import AuthError, DBusError

    try:
        yield
    except TimeoutError:
        text = f"bluetoothd did not answer in {DEADLINE_S:.0f} s; `systemctl restart bluetooth`"
        raise Stuck(text) from None
    except (OSError, EOFError, AuthError) as error:
        text = f"the system D-Bus cannot be reached ({error}); is dbus running?"
        raise DriverError(text) from error
    except BleakBluetoothNotAvailableError as error:
        if error.reason is Reason.POWERED_OFF:
            raise DriverError(_switched_off("")) from error
        text = f"{error}; plug one in, or see `rfkill list` and `bluetoothctl list`"
        raise DriverError(text) from error
    except BleakDBusError as error:
        raise _refused(doing, error.dbus_error, error) from error
    except DBusError as error:
        raise _refused(doing, error.type, error) from error
    except BleakError as error:
        raise DriverError(f"{error}; `bluetoothctl list` shows the adapters") from error


def _refused(doing: str, name: str, error: Exception) -> DriverError:
    if name.endswith((".ServiceUnknown", ".NameHasNoOwner", ".Spawn.ExecFailed")):
        return DriverError(_NO_BLUETOOTHD)
    if name.endswith((".AccessDenied", ".NotPermitted", ".NotAuthorized")):
        return DriverError(f"D-Bus does not let us {doing}: {error}; be in the group bluetooth")
    return Stuck(f"bluetoothd refused to {doing}: {error}; `systemctl restart bluetooth`")


async def call(
    bus: MessageBus,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    body: Sequence[Any] = (),
    *,
    doing: str,
) -> Any:
    """The first value of bluetoothd's answer; DriverError with `doing` in its words."""
    from dbus_fast import Message, MessageType
    from dbus_fast.errors import DBusError

    message = Message("org.bluez", path, interface, member, signature=signature, body=list(body))
    with explained(doing):
        async with asyncio.timeout(DEADLINE_S):
            reply = await bus.call(message)
        if reply.message_type is MessageType.ERROR:
            raise DBusError(reply.error_name or "unknown", str(reply.body[:1]), reply)
    return reply.body[0] if reply.body else None


@asynccontextmanager
async def connected(doing: str) -> AsyncIterator[MessageBus]:
    """The system bus, for our own calls."""
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus

    bus = MessageBus(bus_type=BusType.SYSTEM)
    try:
        with explained(doing):
            async with asyncio.timeout(DEADLINE_S):
                await bus.connect()
        yield bus
    finally:
        bus.disconnect()
        if bus.unique_name is not None:  # the socket is closed by the loop, a moment later
            await asyncio.gather(bus.wait_for_disconnect(), return_exceptions=True)  # type: ignore[no-untyped-call]


async def adapter_path(bus: MessageBus, name: str | None, interface: str, *, doing: str) -> str:
    """The D-Bus path of the adapter, or of the first one, that can do it; DriverError if none."""
    objects = await call(
        bus, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", doing=doing
    )
    able = sorted(path for path, interfaces in objects.items() if interface in interfaces)
    for path in able:
        if name is None or path == f"/org/bluez/{name}":
            return str(path)
    what = f"{name} is missing" if name else "there is no adapter"
    raise DriverError(f"no Bluetooth to {doing}: {what}; see `rfkill list` and `bluetoothctl list`")
