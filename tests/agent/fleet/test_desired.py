"""What the back end wishes is checked, kept and reported, also when it is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from agent.contract import topics
from agent.contract.commands import Desired
from agent.contract.errors import Rejected
from agent.contract.wire import encode
from agent.fleet.desired import DesiredConfig
from agent.store.inbox import Incoming
from tests.support import ListRecorder

IN_FORCE = Desired(version=3, settings={"alert": {"repeat_s": 5}})


class Device:
    def __init__(self, in_force: Desired | None) -> None:
        self.tx = sqlite3.connect(":memory:")
        self.tx.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        self.restarts = self.reports = 0
        self.wished = DesiredConfig(
            ListRecorder(), self._problems, self._restart, self._report, in_force
        )

    def _problems(self, settings: dict[str, Any]) -> list[str]:
        return ["alert.repeat_s: too short"] if settings == {"alert": {"repeat_s": 0}} else []

    def _restart(self) -> None:
        self.restarts += 1

    def _report(self) -> None:
        self.reports += 1

    def deliver(self, payload: bytes) -> None:
        topic = topics.desired("d")
        address = topics.parse(topic)
        assert address is not None
        message = Incoming(topic, address, payload)
        try:
            after = self.wished.handle(self.tx, message)
        except Rejected as rejected:
            after = self.wished.refuse(self.tx, message, rejected)
        after()


@pytest.fixture
def device() -> Iterator[Device]:
    made = Device(IN_FORCE)
    yield made
    made.tx.close()


@pytest.mark.parametrize(
    ("payload", "version"),
    [
        (b"\xff", None),
        (b"[]", None),
        (encode(Desired(4, {"alert": {"repeat_s": 0}})), 4),
        (encode(Desired(5, {"device": {"id": "x"}})), 5),
        (encode(Desired(6, {"uplink": {"url": "mqtt://x", "reconnect_window_s": 9}})), 6),
        (encode(Desired(7, {"uplink": {}})), 7),
        (encode(Desired(8, {"uplink": 9})), 8),
    ],
)
def test_a_refusal_is_reported_with_the_settings_that_stay_in_force(
    device: Device, payload: bytes, version: int | None
) -> None:
    device.deliver(payload)
    reported = device.wished.reported()
    assert (reported.version, reported.applied) == (version, False)
    assert reported.error
    assert reported.settings == IN_FORCE.settings
    assert (device.reports, device.restarts) == (1, 0)


def test_a_good_wish_is_kept_and_the_agent_starts_again(device: Device) -> None:
    device.deliver(encode(Desired(4, {"alert": {"repeat_s": 9}})))
    assert device.restarts == 1
    assert device.tx.execute("SELECT count(*) FROM meta").fetchone() == (1,)


def test_how_soon_a_device_comes_back_may_be_wished(device: Device) -> None:
    device.deliver(encode(Desired(4, {"uplink": {"reconnect_window_s": 65}})))
    assert device.restarts == 1


def test_an_old_wish_changes_nothing(device: Device) -> None:
    device.deliver(encode(Desired(3, {"alert": {"repeat_s": 9}})))
    assert (device.restarts, device.reports) == (0, 0)
    assert device.wished.reported().applied
