"""What travels on each topic: the part of the contract that types alone do not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from agent.contract import topics
from agent.contract.commands import Ack, Command, Desired, Reported
from agent.contract.enrolment import EnrollAnswer, EnrollRequest
from agent.contract.events import Event
from agent.contract.orders import Order
from agent.contract.presence import Presence


@dataclass(frozen=True, slots=True)
class Channel:
    name: str  # of the function in agent/contract/topics.py
    address: str
    sender: Literal["device", "back end"]
    message: type[msgspec.Struct | bytes]
    what: str
    retained: bool = False


D = "{device}"
CHANNELS = (
    Channel("state", topics.state(D), "device", Presence,
            "how the device is; the broker publishes it as its will, with `lost`", retained=True),
    Channel("event", topics.event(D, "{kind}"), "device", Event, "one event"),
    Channel("batch", topics.batch(D, "{stream}"), "device", Event,
            "a backlog: one event a line, each with its `kind`"),
    Channel("ack", topics.ack(D, "{stream}"), "back end", Ack,
            "`epoch` and `seq`: every event of the stream up to `seq` is stored"),
    Channel("order", topics.order(D, "{order_id}"), "back end", Order, "an order, whole"),
    Channel("command", topics.command(D, "{name}", "{cmd_id}"), "back end", Command,
            "`params`, optionally `exp` (unix ms)"),
    Channel("desired", topics.desired(D), "back end", Desired,
            "`version` and `settings` that the device shall have", retained=True),
    Channel("reported", topics.reported(D), "device", Reported,
            "`version` and `settings` that are in force", retained=True),
    Channel("bundle", topics.bundle(D, "{cmd_id}", "{part}"), "device", bytes,
            "a part, from 0, of the file that the command `bundle.send` asked for"),
    Channel("enroll_request", topics.enroll_request(D), "device", EnrollRequest,
            "asks for a certificate, the first or the next; see identity.md"),
    Channel("enroll_answer", topics.enroll_answer(D), "back end", EnrollAnswer,
            "the authority's: the certificate and what to trust, or why not"),
)  # fmt: skip
