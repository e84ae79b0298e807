"""What a link makes of portals, certificates, dead lines and brokers that send it away."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from agent.core.clock import Clock, ManualClock, SystemClock
from agent.uplink import dial, session
from agent.uplink.link import Connected, Link, LinkSettings
from tests.agent.uplink.worlds import (
    REASON_STRING,
    SERVER_REFERENCE,
    USER_PROPERTY,
    Authority,
    answering,
    connack,
    disconnect,
    portal,
    saying,
    silence,
    suback,
    text_property,
)
from tests.support import Mosquitto, free_port, until
from tests.system.machines import HOUSE, Relay

TOMORROW = ("20400101000000Z", "20491231235959Z")
LONG_AGO = ("20200101000000Z", "20210101000000Z")
YEAR_2026 = 1_795_000_000.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def other(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """A second broker."""
    folder = tmp_path / "other"
    folder.mkdir()
    mosquitto = Mosquitto(folder)
    yield mosquitto
    mosquitto.kill()


class Watched:
    """A link and what it said."""

    def __init__(self, settings: LinkSettings, clock: Clock | None = None) -> None:
        self.ups: list[Connected] = []
        self.downs: list[str] = []
        self.got: list[bytes] = []
        self.at: list[str] = []  # the broker of each connection
        self.link = Link(
            settings,
            clock or SystemClock(),
            on_message=lambda message: self.got.append(message.payload),
            on_up=self._up,
            on_down=self.downs.append,
            seed=1,
        )

    def _up(self, connected: Connected) -> None:
        self.ups.append(connected)
        self.at.append(self.link.url)

    def said(self, *parts: str) -> Callable[[], bool]:
        return lambda: any(all(part in down for part in parts) for down in self.downs)


def settings(url: str, **more: Any) -> LinkSettings:
    return LinkSettings(url, "sh-1", **{"retry_max_s": 0.3, **more})


@contextlib.asynccontextmanager
async def running(watched: Watched) -> AsyncIterator[Watched]:
    task = asyncio.ensure_future(watched.link.run())
    try:
        yield watched
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def resolver(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[int] | None]) -> None:
    """Names lead to ports on loopback; None: nobody answers."""

    async def resolve(host: str, _port: int) -> list[dial.Address]:
        ports = answers[host]
        if ports is None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, "127.0.0.1", port) for port in ports]

    monkeypatch.setattr(dial, "_resolve", resolve)


# --- captive portals and resolvers ----------------------------------------------------------------


def test_a_portal_that_answers_in_its_own_words_is_named(broker: Mosquitto) -> None:
    async def story() -> None:
        async with (
            answering(portal) as port,
            running(Watched(settings(f"mqtt://127.0.0.1:{port}"))) as device,
        ):
            await until(device.said("does not speak MQTT", "captive portal"))
            assert device.ups == []

    asyncio.run(story())


def test_a_portal_that_says_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ANSWER_S", 0.2)

    async def story() -> None:
        async with (
            answering(silence) as port,
            running(Watched(settings(f"mqtt://127.0.0.1:{port}"))) as device,
        ):
            await until(device.said("says nothing of MQTT", "captive portal"))

    asyncio.run(story())


def test_a_resolver_that_names_a_portal_is_outwitted_by_the_address_of_before(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with answering(portal) as port:
            names: dict[str, list[int] | None] = {"broker.example": [broker.port]}
            resolver(monkeypatch, names)
            async with running(Watched(settings("mqtt://broker.example"))) as device:
                await until(lambda: len(device.ups) == 1)
                names["broker.example"] = [port]  # the device moved into another network
                device.link.reset("moved")
                await until(device.said("does not speak MQTT"))
                await until(lambda: len(device.ups) == 2, "the address of before")

    asyncio.run(story())


def test_a_resolver_that_is_gone_does_not_matter_to_who_was_connected(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        names: dict[str, list[int] | None] = {"broker.example": None}
        resolver(monkeypatch, names)
        async with running(Watched(settings("mqtt://broker.example"))) as device:
            await until(device.said("broker.example is not found"))
            names["broker.example"] = [broker.port]
            await until(lambda: len(device.ups) == 1)
            names["broker.example"] = None
            device.link.reset("moved")
            await until(lambda: len(device.ups) == 2, "the address of before")

    asyncio.run(story())


def test_a_broker_that_moved_is_found_by_its_name(
    broker: Mosquitto, other: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        names: dict[str, list[int] | None] = {"broker.example": [broker.port]}
        resolver(monkeypatch, names)
        async with running(Watched(settings("mqtt://broker.example"))) as device:
            await until(lambda: len(device.ups) == 1)
            names["broker.example"] = [other.port]
            broker.kill()
            await until(lambda: len(device.ups) == 2, "at its new address")

    asyncio.run(story())


def test_an_address_that_does_not_answer_is_followed_by_the_next(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver(monkeypatch, {"broker.example": [free_port(), broker.port]})

    async def story() -> None:
        async with running(Watched(settings("mqtt://broker.example"))) as device:
            await until(lambda: device.ups)
            assert device.downs == []

    asyncio.run(story())


# --- TLS ------------------------------------------------------------------------------------------

WORKING = (connack(), suback(1, b"\x01"))


@pytest.mark.parametrize(
    ("name", "dates", "words"),
    [
        ("IP:127.0.0.1", LONG_AGO, ("has expired", "clock says")),
        ("IP:127.0.0.1", TOMORROW, ("is not valid yet", "clock says")),
        ("DNS:another.example", None, ("another name", "captive portal")),
    ],
)
def test_a_certificate_that_does_not_hold_is_never_accepted_and_said_in_words(
    authority: Authority, name: str, dates: tuple[str, str] | None, words: tuple[str, ...]
) -> None:
    start, end = dates or LONG_AGO[:1] + TOMORROW[1:]
    shown = authority.server(name, start=start, end=end)

    async def story() -> None:
        async with (
            answering(saying(*WORKING), tls=shown) as port,
            running(
                Watched(settings(f"mqtts://127.0.0.1:{port}", ca=authority.ca), ManualClock())
            ) as device,
        ):
            await until(device.said(*words))
            assert device.ups == []

    asyncio.run(story())


def test_a_strangers_certificate_is_taken_for_a_portals(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "stranger").mkdir()
    stranger = Authority(tmp_path / "stranger").server("IP:127.0.0.1")

    async def story() -> None:
        async with (
            answering(portal, tls=stranger) as port,
            running(Watched(settings(f"mqtts://127.0.0.1:{port}", ca=authority.ca))) as device,
        ):
            await until(device.said("authority that we trust", "captive portal"))

    asyncio.run(story())


def test_a_portal_without_tls_is_named(authority: Authority) -> None:
    async def story() -> None:
        async with (
            answering(portal) as port,
            running(Watched(settings(f"mqtts://127.0.0.1:{port}", ca=authority.ca))) as device,
        ):
            await until(device.said("does not speak TLS", "captive portal"))

    asyncio.run(story())


def test_a_device_without_a_clock_says_so_and_connects_as_soon_as_it_is_set(
    authority: Authority,
) -> None:
    """The world's time cannot be moved here, so the certificate becomes valid instead."""
    clock = ManualClock(wall=200.0)  # 1970
    clock.tq = "none"
    port = free_port()
    early = authority.server("IP:127.0.0.1", start=TOMORROW[0], end=TOMORROW[1])

    async def story() -> None:
        wished = settings(
            f"mqtts://127.0.0.1:{port}", ca=authority.ca, retry_max_s=60.0,
            subscriptions=("x",),
        )  # fmt: skip
        async with running(Watched(wished, clock)) as device:
            async with answering(saying(*WORKING), tls=early, port=port):
                while len(device.downs) < 9:  # the pauses are long by then
                    await clock.advance(1.0)
                    await asyncio.sleep(0.001)
            assert "1970-01-01" in device.downs[-1]
            assert "knows the time" in device.downs[-1]
            async with answering(saying(*WORKING), tls=authority.server("IP:127.0.0.1"), port=port):
                clock.set_wall(YEAR_2026)
                clock.tq = "ntp"
                count = len(device.downs)
                await clock.advance(1.0)
                await until(lambda: device.ups, "without waiting for the rest of the pause")
                assert len(device.downs) == count

    asyncio.run(story())


# --- dead lines -----------------------------------------------------------------------------------


def test_a_line_that_swallows_everything_is_dead_after_two_keep_alives(broker: Mosquitto) -> None:
    async def story() -> None:
        relay = Relay(broker.port)
        with contextlib.closing(relay):
            wished = settings(f"mqtt://127.0.0.1:{relay.port}", keepalive_s=1)
            async with running(Watched(wished)) as device:
                await until(lambda: device.ups)
                relay.blackhole()
                await until(device.said("the line was dead"), deadline_s=10)
                relay.restore()
                await until(lambda: len(device.ups) == 2)

    asyncio.run(story())


def test_what_is_sent_into_a_wire_that_loses_everything_ends_it_before_the_keep_alive(
    tmp_path: Path,
) -> None:
    """Two machines in network namespaces; the kernel gives up after DEAD_S, here 1 s."""
    if subprocess.run(["unshare", "-n", "-m", "true"], check=False).returncode:
        pytest.skip("network namespaces need root")
    command = ["unshare", "-n", "-m", sys.executable, "-m", "tests.agent.uplink.hole"]
    done = subprocess.run(
        [*command, tmp_path, "1"], check=False, capture_output=True, text=True, cwd=HOUSE
    )
    assert "the line was dead" in done.stdout, done.stderr


# --- several brokers ------------------------------------------------------------------------------


def test_a_broker_that_is_gone_is_replaced_by_the_next_and_come_back_to(
    broker: Mosquitto, other: Mosquitto
) -> None:
    async def story() -> None:
        wished = settings(
            broker.url, fallbacks=(other.url,), return_after_s=0.3, subscriptions=("x",)
        )
        async with running(Watched(wished)) as device:
            await until(lambda: device.at == [broker.url])
            broker.kill()
            await until(lambda: device.at[-1] == other.url)
            assert not device.ups[-1].session_present
            device.link.publish("x", b"subscribed anew")
            await until(lambda: device.got == [b"subscribed anew"])
            broker.start()
            await until(lambda: device.at[-1] == broker.url, "back at the first")
            assert device.said("going back to")()
            device.link.publish("x", b"and here")
            await until(lambda: device.got[-1] == b"and here")

    asyncio.run(story())


def test_a_first_broker_that_takes_connections_and_no_sessions_is_returned_to_more_seldom(
    broker: Mosquitto,
) -> None:
    async def story() -> None:
        async with answering(saying(connack(0x88))) as port:
            first = f"mqtt://127.0.0.1:{port}"
            wished = settings(first, fallbacks=(broker.url,), return_after_s=0.1)
            async with running(Watched(wished)) as device:
                await until(lambda: len(device.ups) >= 3)
                assert set(device.at) == {broker.url}
                assert device.link._return_s >= 0.4

    asyncio.run(story())


# --- brokers that send us away --------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True], ids=["CONNACK", "DISCONNECT"])
@pytest.mark.parametrize("reason", [0x9C, 0x9D], ids=["use another", "moved"])
def test_a_broker_that_names_another_is_obeyed(broker: Mosquitto, reason: int, late: bool) -> None:
    named = text_property(SERVER_REFERENCE, f"127.0.0.1:{broker.port}")
    packets = (connack() + disconnect(reason, named),) if late else (connack(reason, named),)

    async def story() -> None:
        async with answering(saying(*packets)) as port:
            wished = settings(f"mqtt://127.0.0.1:{port}")
            async with running(Watched(wished)) as device:
                await until(lambda: broker.url in device.at)
                assert device.said("another server")()
                assert (device.link._attempts.urls[0] == broker.url) == (reason == 0x9D)

    asyncio.run(story())


@pytest.mark.parametrize("named", ["", "-", " ", "evil.example/path", "u:p@h", "h:1:2"])
def test_a_reference_that_is_none_is_not_followed(broker: Mosquitto, named: str) -> None:
    packets = connack(0x9C, text_property(SERVER_REFERENCE, named))

    async def story() -> None:
        async with answering(saying(packets)) as port:
            wished = settings(f"mqtt://127.0.0.1:{port}", fallbacks=(broker.url,))
            async with running(Watched(wished)) as device:
                await until(lambda: device.at == [broker.url])

    asyncio.run(story())


@pytest.mark.parametrize(
    ("reason", "word"),
    [(0x89, "busy"), (0x97, "quota"), (0x88, "not available"), (0x9F, "too many")],
)
def test_a_broker_that_is_busy_says_so_and_the_next_one_is_tried(
    broker: Mosquitto, reason: int, word: str
) -> None:
    told = text_property(REASON_STRING, "maintenance \x1b[2J") + text_property(
        USER_PROPERTY, "reconnect_window_s", "0"
    )

    async def story() -> None:
        async with answering(saying(connack(reason, told))) as port:
            wished = settings(f"mqtt://127.0.0.1:{port}", fallbacks=(broker.url,))
            async with running(Watched(wished)) as device:
                await until(device.said(word))
                await until(lambda: device.at == [broker.url])

    asyncio.run(story())


@pytest.mark.parametrize("packet", ["connack", "disconnect"])
def test_a_window_that_the_broker_names_is_kept(broker: Mosquitto, packet: str) -> None:
    """1,000 s in place of 1 s: with this seed nobody comes back within the first second."""
    named = text_property(USER_PROPERTY, "reconnect_window_s", "1000")
    packets = (connack(0, named), suback(1, b"\x01") + disconnect(0x8B))
    if packet == "disconnect":
        packets = (connack(0), suback(1, b"\x01") + disconnect(0x8B, named))
    clock = ManualClock()

    async def story() -> None:
        async with answering(saying(*packets)) as port:
            wished = settings(f"mqtt://127.0.0.1:{port}", retry_max_s=1.0, subscriptions=("x",))
            async with running(Watched(wished, clock)) as device:
                await until(device.said("shutting down"))
                ups = len(device.ups)
                await clock.advance(2.0)
                assert len(device.downs) == 1
                await clock.advance(1000.0)
                await until(lambda: len(device.ups) > ups, "within the window")

    asyncio.run(story())


def test_the_end_of_a_connection_that_carried_nothing_is_a_failure(broker: Mosquitto) -> None:
    async def story() -> None:
        async with answering(saying(connack(), suback(1, b"\x01") + disconnect(0x98))) as port:
            wished = settings(f"mqtt://127.0.0.1:{port}", subscriptions=("x",), retry_max_s=0.2)
            wished = replace(wished, fallbacks=(broker.url,))
            async with running(Watched(wished)) as device:
                await until(lambda: device.at[-1:] == [broker.url], "the next one")

    asyncio.run(story())


@given(st.binary(min_size=1, max_size=60))
@settings_of_hypothesis(max_examples=15, deadline=None)
def test_garbage_behind_a_connack_ends_the_connection_and_not_the_agent(
    garbage: bytes,
) -> None:
    async def story() -> None:
        said = saying(connack(), suback(1, b"\x01") + garbage, hang_up=True)
        async with answering(said) as port:
            wished = settings(f"mqtt://127.0.0.1:{port}", subscriptions=("x",), retry_max_s=0.2)
            async with running(Watched(wished)) as device:
                await until(lambda: len(device.downs) > 1, "it goes on")

    asyncio.run(story())
