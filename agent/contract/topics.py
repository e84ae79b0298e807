"""The topic tree. The device's id is one whole level, so that brokers can bind it to its owner.

RabbitMQ writes a topic's `/` as `.` and back, so that a dot arrives as a new level. No device id
has one; commands and orders do (`order.accept`), so a device listens to every level of theirs, and
`parse` makes dots of them again.
"""

from __future__ import annotations

import re
from typing import NamedTuple

ROOT = "edge/v1"
DEVICE_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")


def state(device: str) -> str:
    return f"{ROOT}/{device}/state"


def event(device: str, kind: str) -> str:
    return f"{ROOT}/{device}/evt/{kind}"


def batch(device: str, stream: str) -> str:
    return f"{ROOT}/{device}/batch/{stream}"


def ack(device: str, stream: str) -> str:
    return f"{ROOT}/{device}/ack/{stream}"


def order(device: str, order_id: str) -> str:
    return f"{ROOT}/{device}/order/{order_id}"


def command(device: str, name: str, cmd_id: str) -> str:
    return f"{ROOT}/{device}/cmd/{name}/{cmd_id}"


def desired(device: str) -> str:
    return f"{ROOT}/{device}/config/desired"


def reported(device: str) -> str:
    return f"{ROOT}/{device}/config/reported"


def bundle(device: str, cmd_id: str, part: str) -> str:
    return f"{ROOT}/{device}/bundle/{cmd_id}/{part}"


def enroll_request(device: str) -> str:
    return f"{ROOT}/{device}/enroll/request"


def enroll_answer(device: str) -> str:
    return f"{ROOT}/{device}/enroll/answer"


def subscriptions(device: str, *, enrolled: bool = False) -> list[str]:
    """What a device listens to; one that asks for its own certificates also to the answers."""
    return [
        f"{ROOT}/{device}/ack/+",
        f"{ROOT}/{device}/order/#",
        f"{ROOT}/{device}/cmd/#",
        desired(device),
        *([enroll_answer(device)] if enrolled else []),
    ]


class Address(NamedTuple):
    """A topic taken apart: `edge/v1/{device}/{branch}/{rest...}`."""

    device: str
    branch: str
    rest: tuple[str, ...]


def parse(topic: str) -> Address | None:
    """None when the topic is not of this tree."""
    parts = topic.split("/")
    if len(parts) < 4 or f"{parts[0]}/{parts[1]}" != ROOT:
        return None
    device, branch, *rest = parts[2:]
    if branch == "order":
        rest = [".".join(rest)]
    elif branch == "cmd" and len(rest) > 2:
        rest = [".".join(rest[:-1]), rest[-1]]
    return Address(device, branch, tuple(rest))
