"""Whatever a back end sends, the agent answers for what is wrong and prints the next order."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support import wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import Agent, Printer

pytestmark = pytest.mark.system


def good(number: int, **more: Any) -> dict[str, Any]:
    return order(number, **more)


def without(number: int, key: str) -> dict[str, Any]:
    document = order(number)
    del document[key]
    return document


def raw(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def refused() -> dict[str, bytes]:
    """Order id -> what must be answered `rejected`."""
    bodies: list[bytes] = [
        *(raw(without(0, key)) for key in ("order_id", "version", "status", "placed_at", "items")),
        raw(order(0, version="1")),
        raw(order(0, version=0)),
        raw(order(0, version=2**60)),
        raw(order(0, status="eaten")),
        raw(order(0, items=[])),
        raw(order(0, items={"name": "soup"})),
        raw(order(0, items=[{"name": "soup", "qty": -1}])),
        raw(order(0, items=[{"name": "soup", "qty": 1.5}])),
        raw(order(0, items=[{"name": "x" * 201}])),
        raw(order(0, items=[{"name": "dish"}] * 5000)),
        raw(order(0, total="42.00")),
        raw(order(0, total=10**40)),
        raw(order(0, priority=10**30)),
        raw(order(0, placed_at=-1)),
        raw(order(0, customer=[])),
        raw(order(0, note="n" * 300_000)),
        raw(order(12345)),  # another order's topic
        b"[" * 100_000,
        b'{"a":' * 50_000,
        raw(order(0, extra=None)).replace(b'"extra": null', b'"extra": ' + b"[" * 30_000),
        b"\xff\xfe\x00\x01",
        b'{"order_id": "\xc3\x28"}',
        b"null",
        b"0",
        b"\0" * 1000,
        b'{"order_id": NaN}',
    ]
    return {
        f"bad-{n:03d}": body.replace(b"sys-00000", b"bad-%03d" % n) for n, body in enumerate(bodies)
    }


def test_what_is_no_order_is_answered_and_the_next_one_prints(
    shop: Agent, backend: ForeignBackEnd, printer: Printer
) -> None:
    shop.start().ready(online=True)
    bodies = refused()
    for order_id, body in bodies.items():
        backend.publish(shop.device, f"order/{order_id}", body)
    backend.publish(shop.device, "order/empty", b"")
    backend.publish(shop.device, "order/", raw(order(1)))
    backend.order(shop.device, order(1))
    wait(lambda: backend.of("print", state="printed", order_id="sys-00001"), "a good one prints")

    def answered() -> set[str]:
        return {e.body.get("order_id", "") for e in backend.of("order", action="rejected")}

    wait(lambda: answered() >= {*bodies, ""}, f"every bad one is answered; {shop.words()}")
    assert answered() == {*bodies, ""}
    assert all(e.body["reason"] for e in backend.of("order", action="rejected"))
    assert "inbox.poison" not in shop.health()  # refused, not choked on
    assert set(printer.tickets()) == {"sys-00001"}
    assert backend.verdict() == []


NASTY = [
    "\x1b@\x1dV\x00cut me",
    "\x1b[31mred\x1b]0;title\x07",
    "\x10\x04\x01 \x10\x14\x01\x00\x01 real time",
    "<script>alert(1)</script>&lt;b&gt;",
    "\u202egnp.exe\u202c \u200b\u2066zero",
    "\0nul\0",
    "line\nline\r\nline\ttab\x0b\x0c",
    "👩\u200d🍳🔥 ẞ ﷽ " + "e" + "\u0301" * 60,
    "'; DROP TABLE orders; --",
    "%s%n%x {0} ${HOME}",
    "\ufffe\uffff\U0010ffff",
    " ",
]


def test_nasty_names_are_printed_without_doing_anything(
    shop: Agent, backend: ForeignBackEnd, printer: Printer
) -> None:
    shop.start().ready(online=True)
    for n, name in enumerate(NASTY, 1):
        document = order(
            n,
            items=[
                {
                    "name": name[:200],
                    "note": name,
                    "station": name[:50],
                    "options": [{"name": name}],
                }
            ],
            note=name,
            platform=name,
            day_seq=name,
            customer={"name": name, "phone": name, "address": name},
            courier={"name": name},
            invoice={"title": name, "tax_id": name},
            qr=name,
            footer=[{"text": name, "qr": name}],
            allergens=[name],
            pickup_code=name,
            fees=[{"name": name, "amount": -1}],
            currency="\x1b@",
            something_new={"nested": [name]},
        )
        backend.order(shop.device, document)
    backend.publish(  # half a character; no JSON decoder must let it through
        shop.device, "order/sys-00099", raw(order(99)).replace(b"Rice", b"\\ud800")
    )
    backend.order(shop.device, order(100))
    wait(lambda: "sys-00100" in printer.tickets(), f"all print; {shop.words()}")
    for n in range(1, len(NASTY) + 1):
        copies = printer.tickets()[f"sys-{n:05d}"]
        assert copies == [False]
        told = wait(lambda n=n: backend.of("print", order_id=f"sys-{n:05d}"), f"number {n} is told")
        assert [e.body["state"] for e in told] == ["printed"]
    # Nothing of it was a command: every paper is one whole ticket.
    assert len(printer.virtual.paper) == len(printer.tickets())
    assert printer.virtual.ignored == []
    assert "inbox.poison" not in shop.health()
    listed = json.dumps(shop.ask("orders.list", limit=100))
    assert "sys-00001" in listed
    assert backend.verdict() == []


def test_versions_and_cancellations(shop: Agent, backend: ForeignBackEnd, printer: Printer) -> None:
    shop.start().ready(online=True)
    device = shop.device
    backend.order(device, order(1, version=5))
    wait(lambda: printer.tickets().get("sys-00001"), "version 5 prints")
    backend.publish(device, "order/sys-00001", order(1, version=5, note="the same again"))
    backend.publish(device, "order/sys-00001", order(1, version=4, note="an older one"))
    backend.publish(device, "order/sys-00002", order(2, status="cancelled"))  # never to be cooked
    printer.virtual.fault("paper_out")
    backend.order(device, order(3))
    wait(lambda: backend.of("print", order_id="sys-00003", state="held"), "it waits for paper")
    backend.order(device, order(3, version=2, status="cancelled"))  # before it printed
    backend.order(device, order(4))
    wait(lambda: backend.of("print", order_id="sys-00003", state="cancelled"), "not printed")
    printer.virtual.fault("paper_out", on=False)
    backend.order(device, order(1, version=6, status="cancelled"))  # after it printed
    wait(lambda: len(printer.tickets().get("sys-00001", [])) == 2, "the cook is told")
    wait(lambda: "sys-00004" in printer.tickets(), "the next one prints")
    found = printer.tickets()
    assert "sys-00002" not in found
    assert "sys-00003" not in found
    void = next(text for text in reversed(printer.text) if "sys-00001" in text)
    assert any(word in void for word in ("CANCEL", "VOID", "取消", "作废")), void

    def versions() -> set[int]:
        return {e.body["version"] for e in backend.of("order", order_id="sys-00001")}

    wait(lambda: versions() == {5, 6}, "two of its versions were taken")
    assert backend.verdict() == []


def test_commands_of_all_kinds(shop: Agent, backend: ForeignBackEnd) -> None:
    shop.start().ready(online=True)
    device = shop.device
    now = int(time.time() * 1000)
    backend.command(device, "status", "c-good")
    backend.command(device, "launch.rocket", "c-unknown")
    backend.command(device, "sos.raise", "c-local")  # only from the device itself
    backend.command(device, "order.accept", "c-none", {"order_id": "no-such"})
    backend.command(device, "order.accept", "c-params", {"order": 1})
    backend.command(device, "orders.list", "c-limit", {"limit": 10**30})
    backend.command(device, "status", "c-expired", exp=now - 60_000)
    backend.command(device, "status", "c-future", exp=now + 600_000)
    backend.command(device, "status", "c-exp-type", exp="tomorrow")
    garbage = (b"\xff", b"[]", b"null", b"{" * 60_000, b'{"params": []}', b"x" * 70_000)
    for n, payload in enumerate(garbage):
        backend.publish(device, f"cmd/status/c-garbage-{n}", payload)
    backend.publish(device, "cmd/status/c-empty", b"")  # no parameters: as good as any
    backend.publish(device, f"cmd/status/{'c' * 100}", b"{}")
    for n in range(5):
        backend.command(device, "shop.set", "c-twice", {"status": "busy" if n == 0 else "closed"})
    backend.command(device, "status", "c-last")
    wait(lambda: backend.of("command", cmd_id="c-last", status="succeeded"), shop.words())

    def last(cmd_id: str) -> tuple[str, str | None]:
        body = backend.of("command", cmd_id=cmd_id)[-1].body
        return body["status"], body.get("reason_code")

    assert last("c-good") == ("succeeded", None)
    assert last("c-unknown") == ("rejected", "unknown_command")
    assert last("c-local") == ("rejected", "unknown_command")
    assert last("c-none") == ("rejected", "unknown_order")
    assert last("c-params") == ("rejected", "invalid")
    assert last("c-limit") == ("rejected", "invalid")
    if shop.ask("status")["clock"] != "none":  # else nobody here knows what time it is
        assert last("c-expired") == ("rejected", "expired")
    assert last("c-future") == ("succeeded", None)
    assert last("c-exp-type") == ("rejected", "invalid")
    assert last("c-empty") == ("succeeded", None)
    for n in range(len(garbage)):
        assert last(f"c-garbage-{n}")[0] == "rejected"
    assert [e.body["status"] for e in backend.of("command", cmd_id="c-twice")] == [
        "accepted", "succeeded",
    ]  # fmt: skip
    assert shop.ask("status")["shop_status"] == "busy"
    replies = dict(backend.replies)
    assert replies[b"c-good"]["result"]["device"] == device
    assert backend.verdict() == []


def test_acks_that_are_wrong_forget_nothing(
    shop: Agent, backend: ForeignBackEnd, printer: Printer
) -> None:
    backend.acks = False
    shop.start().ready(online=True)
    backend.order(shop.device, order(1))
    wait(lambda: backend.of("print", state="printed"), "it prints")
    epoch = shop.ask("status")["epoch"]
    before = shop.ask("status")["link"]["backlog"]["critical"]
    assert before >= 3
    for payload in (
        {"epoch": "another", "seq": 10**6},
        {"epoch": epoch, "seq": -1},
        {"epoch": epoch, "seq": "5"},
        {"epoch": epoch, "seq": 10**6},  # beyond the end
        {"epoch": epoch, "seq": 10**30},
        {"epoch": epoch},
        {"epoch": epoch, "seq": 1.5},
        b"\xff\xfe",
        b"",
        b"[" * 100_000,
    ):
        backend.publish(shop.device, "ack/critical", payload)
    backend.publish(shop.device, "ack/nothing", {"epoch": epoch, "seq": 5})
    backend.order(shop.device, order(2))
    wait(lambda: len(backend.of("print", state="printed")) == 2, shop.words())
    assert shop.ask("status")["link"]["backlog"]["critical"] > before
    backend.acks = True
    backend.order(shop.device, order(3))
    wait(lambda: shop.ask("status")["link"]["backlog"]["critical"] == 0, "all is forgotten")
    assert len(printer.tickets()) == 3
    assert backend.verdict() == []


def test_a_desired_configuration_is_checked_tried_and_reported(
    shop: Agent, backend: ForeignBackEnd, printer: Printer
) -> None:
    device = shop.device
    backend.publish(device, "config/desired", b"\xff garbage", retain=True)
    shop.start().ready(online=True)
    wait(lambda: backend.of("config", applied=False), "garbage is answered")
    for n, settings in enumerate(
        (
            {"alert": {"repeat_s": -1}},
            {"alrt": {"repeat_s": 5}},
            {"device": {"id": "sh-2"}},
            {"uplink": {"url": "mqtt://127.0.0.1:1"}},
            {"role": "rider"},
            {"printer": "none"},
        ),
        10,
    ):
        backend.publish(device, "config/desired", {"version": n, "settings": settings}, retain=True)
        wait(lambda n=n: backend.of("config", version=n, applied=False), f"{settings} is refused")
        assert backend.of("config", version=n)[-1].body["error"]
        wait(
            lambda n=n: [r for r in backend.reported if r.get("version") == n or r.get("error")],
            "the refusal is reported",
        )
    births = len([s for s in backend.states if s["state"] == "online"])
    backend.publish(
        device,
        "config/desired",
        {"version": 20, "settings": {"alert": {"repeat_s": 5}}},
        retain=True,
    )
    wait(lambda: backend.of("config", version=20, applied=True), "a good one is taken")
    wait(lambda: [r for r in backend.reported if r["version"] == 20], f"reported; {shop.words()}")
    wait(lambda: backend.reported[-1]["applied"], f"in force; {shop.words()}")
    assert backend.reported[-1] == {
        "version": 20, "applied": True, "settings": {"alert": {"repeat_s": 5}},
        "state": "in_force", "in_force": 20,
    }  # fmt: skip
    wait(
        lambda: len([s for s in backend.states if s["state"] == "online"]) > births, "it restarted"
    )
    backend.order(device, order(1))
    wait(lambda: backend.of("print", state="printed"), "and prints")
    assert backend.verdict() == []
    assert not backend.of("gap")
