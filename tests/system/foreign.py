"""A back end that somebody else wrote: paho and the contract on the wire, nothing of the agent."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support import wait

ROOT = "edge/v1"


@dataclass(frozen=True)
class Event:
    seq: int
    kind: str
    t: int
    tq: str
    body: dict[str, Any]


@dataclass
class Book:
    """One stream of one epoch: stored by key, acknowledged up to the first hole.

    Where it begins is said by the first `state` of the epoch; until then nothing is taken.
    """

    base: int | None = None
    stored: dict[int, Event] = field(default_factory=dict)
    explained: set[int] = field(default_factory=set)
    upto: int = 0
    newest: int = 0
    disordered: list[tuple[int, int]] = field(default_factory=list)
    conflicts: list[tuple[Event, Event]] = field(default_factory=list)
    repeats: int = 0

    def take(self, event: Event) -> bool:
        old = self.stored.get(event.seq)
        if event.kind == "gap":  # what it explains may have arrived; that counts
            self.explained.update(range(event.body["from"], event.body["to"] + 1))
        if old is not None:
            self.repeats += 1
            differs = (old.kind, old.body) != (event.kind, event.body)
            if differs and "gap" not in (old.kind, event.kind):
                self.conflicts.append((old, event))
        else:
            self.stored[event.seq] = event
            if event.seq < self.newest:
                self.disordered.append((self.newest, event.seq))
            self.newest = max(self.newest, event.seq)
        while self.upto + 1 in self.stored or self.upto + 1 in self.explained:
            self.upto += 1
        return old is None

    def holes(self) -> list[int]:
        return [
            seq
            for seq in range((self.base or 0) + 1, self.newest)
            if seq not in self.stored and seq not in self.explained
        ]


class ForeignBackEnd:
    """Stores by key, acknowledges what is stored, and sends orders again that a device lacks."""

    def __init__(self, port: int, device: str = "+", *, client_id: str = "foreign") -> None:
        self.books: dict[tuple[str, str, str], Book] = defaultdict(Book)  # device, epoch, stream
        self.events: list[Event] = []  # each key once, as they came
        self.states: list[dict[str, Any]] = []
        self.reported: list[dict[str, Any]] = []
        self.replies: list[tuple[bytes | None, dict[str, Any]]] = []
        self.orders: dict[str, dict[str, bytes | int]] = {}
        self.came: list[float] = []  # monotonic s of each connection
        self.forgotten: list[str] = []  # what a device forgot before it was acknowledged
        self.acks = True
        self.resent = 0
        self._device = device
        self._lock = threading.RLock()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5
        )
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self.came.append(time.monotonic())
        self._client.max_inflight_messages_set(100)
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 86400
        self._client.connect(
            "127.0.0.1", port, keepalive=30, clean_start=False, properties=properties
        )
        self._client.loop_start()
        wait(lambda: self.came, "the foreign back end is subscribed")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- down -------------------------------------------------------------------------------------

    def publish(self, device: str, rest: str, payload: Any, **options: Any) -> None:
        """To `edge/v1/{device}/{rest}`; JSON unless it is bytes already."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        properties = Properties(PacketTypes.PUBLISH)
        for name in ("ResponseTopic", "CorrelationData", "MessageExpiryInterval"):
            if name in options:
                setattr(properties, name, options.pop(name))
        self._client.publish(
            f"{ROOT}/{device}/{rest}", raw, qos=1, properties=properties, **options
        )

    def order(self, device: str, order: dict[str, Any]) -> None:
        """Kept, and sent again when the device does not have it."""
        with self._lock:
            self.orders[order["order_id"]] = {
                "version": order["version"],
                "raw": json.dumps(order).encode(),
            }
        self.publish(device, f"order/{order['order_id']}", order)

    def command(self, device: str, name: str, cmd_id: str, params: Any = None, **more: Any) -> None:
        payload = {"params": params or {}, "iat": int(time.time() * 1000), **more}
        self.publish(
            device,
            f"cmd/{name}/{cmd_id}",
            payload,
            ResponseTopic=f"replies/{cmd_id}",
            CorrelationData=cmd_id.encode(),
        )

    # --- what is known ----------------------------------------------------------------------------

    def of(self, kind: str, **fields: Any) -> list[Event]:
        """Events of a kind whose body has these values."""
        with self._lock:
            return [
                event
                for event in self.events
                if event.kind == kind and all(event.body.get(k) == v for k, v in fields.items())
            ]

    def stream(self, name: str) -> list[Book]:
        with self._lock:
            return [book for (_, _, stream), book in self.books.items() if stream == name]

    def verdict(self) -> list[str]:
        """Everything that breaks the contract: an empty list."""
        with self._lock:
            faults = list(self.forgotten)
            for key, book in self.books.items():
                if holes := book.holes():
                    faults.append(f"{key}: {len(holes)} missing without a gap, from {holes[0]}")
                if book.disordered:
                    faults.append(f"{key}: out of order {book.disordered[:3]}")
                if book.conflicts:
                    faults.append(f"{key}: one key, two events: {book.conflicts[:2]}")
        return faults

    # --- up ---------------------------------------------------------------------------------------

    def _on_connect(
        self, client: paho.Client, _data: object, _flags: object, reason: Any, _props: object
    ) -> None:
        if not reason.is_failure:
            branches = ("state", "evt/#", "batch/#", "config/reported")
            topics = [(f"{ROOT}/{self._device}/{branch}", 1) for branch in branches]
            client.subscribe([*topics, ("replies/#", 1)])

    def _on_message(self, _client: paho.Client, _data: object, got: paho.MQTTMessage) -> None:
        if got.topic.startswith("replies/"):
            correlation = getattr(got.properties, "CorrelationData", None)
            self.replies.append((correlation, json.loads(got.payload)))
            return
        _, _, device, branch, *rest = got.topic.split("/")
        with self._lock:
            if branch == "state":
                self.states.append(json.loads(got.payload))
                self._learn(device, self.states[-1])
            elif branch == "config":
                self.reported.append(json.loads(got.payload))
            else:
                self._take(device, branch, rest, got)

    def _take(self, device: str, branch: str, rest: list[str], got: paho.MQTTMessage) -> None:
        payload = bytes(got.payload)
        if branch == "batch":
            kind = getattr(got.properties, "ContentType", "")
            if kind == "application/x-ndjson+zlib":
                payload = zlib.decompress(payload)
            else:
                assert kind == "application/x-ndjson", kind
        touched = set()
        for line in payload.split(b"\n"):
            found = json.loads(line)
            key = (device, found["epoch"], found["stream"])
            kind = found.get("kind", rest[0])
            event = Event(found["seq"], kind, found["t"], found["tq"], found["body"])
            if self.books[key].base is None:
                continue  # its state is on the way, and then it comes again
            touched.add(key)
            if self.books[key].take(event):
                self.events.append(event)
                if kind == "order" and event.body["action"] == "reconcile":
                    self._reconcile(device, event.body.get("orders") or {})
        for key in touched if self.acks else ():
            ack = {"epoch": key[1], "seq": self.books[key].upto}
            self.publish(device, f"ack/{key[2]}", ack)

    def _learn(self, device: str, state: dict[str, Any]) -> None:
        """A new epoch begins where the device stands, but never beyond what we have."""
        if state["state"] != "online":
            return
        for stream, span in state["streams"].items():
            have = max(
                (b.upto for (d, _, s), b in self.books.items() if (d, s) == (device, stream)),
                default=0,
            )
            begin = span["first_unacked"] - 1
            book = self.books[device, state["epoch"], stream]
            if begin > (have if book.base is None else book.upto):
                self.forgotten.append(f"{device} {stream}: it forgot {have + 1}..{begin}")
            if book.base is None:
                book.base = book.upto = book.newest = begin

    def _reconcile(self, device: str, has: dict[str, int]) -> None:
        for order_id, order in self.orders.items():
            if has.get(order_id, 0) < order["version"]:
                self.resent += 1
                self.publish(device, f"order/{order_id}", order["raw"])


def order(number: int, *, version: int = 1, **more: Any) -> dict[str, Any]:
    """An order document, with its id at the foot of its ticket."""
    return {
        "order_id": f"sys-{number:05d}",
        "version": version,
        "status": "pending",
        "placed_at": int(time.time() * 1000),
        "items": [
            {"sku": "m1", "name": "宫保鸡丁 Kung Pao", "qty": 1 + number % 3, "unit_price": 3800},
            {"name": "Rice", "qty": 1, "note": "no coriander"},
        ],
        "day_seq": number,
        "kind": "delivery",
        "total": 4200,
        "currency": "CNY",
        "paid": True,
        **more,
    }
