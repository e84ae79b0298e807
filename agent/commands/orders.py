"""Orders, stock and the shop itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from agent.commands.params import Params
from agent.contract.events import Shop
from agent.core.changes import Changes
from agent.fleet.commands import CommandTable
from agent.orders.service import OrderDesk
from agent.orders.stock import StockService
from agent.printing.desk import PrintingDesk
from agent.store.database import Database
from agent.store.outbox import Outbox

PAGE = 15
PAGE_MAX = 150
NEVER_MS = 1 << 53
SHOP_KEY = "shop_status"
Status = Literal["open", "busy", "closed"]


class ListOrders(Params, frozen=True):
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = PAGE
    before: int | None = None  # unix ms: only orders received earlier


class OnOrder(Params, frozen=True):
    order_id: str


class Nudge(Params, frozen=True):
    order_id: str
    note: Annotated[str, Meta(max_length=200)] | None = None


class SetStock(Params, frozen=True):
    sku: Annotated[str, Meta(min_length=1, max_length=64)]
    left: Annotated[int, Meta(ge=0, le=10**6)] | None = None  # portions
    available: bool | None = None  # none: while there is something left
    name: Annotated[str, Meta(max_length=200)] | None = None


class RejectOrder(Params, frozen=True):
    order_id: str
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class SetShop(Params, frozen=True):
    status: Status


@dataclass(slots=True)
class OrderCommands:
    """What staff do with orders, what is sold out, whether the shop is open."""

    orders: OrderDesk
    stock: StockService
    desk: PrintingDesk
    database: Database
    outbox: Outbox
    changes: Changes

    def add_to(self, table: CommandTable) -> None:
        add = table.add
        add("orders.list", "The newest orders.", self.list_orders, ListOrders, changes=False)
        add("order.accept", "Accept an order.", self.accept, OnOrder)
        add("order.reject", "Reject an order, with a reason.", self.reject, RejectOrder)
        add("order.ready", "An order is ready to be picked up.", self.ready, OnOrder)
        add("order.picked_up", "An order was handed over.", self.picked_up, OnOrder)
        add("order.urge", "A customer urges: staff must hear of it.", self.urge, Nudge)
        add("order.refund", "A customer wants a refund: staff must hear of it.", self.refund, Nudge)
        add(
            "stock.set",
            "How much of something is left.",
            self.set_stock,
            SetStock,
            nature="repeatable",
        )
        add("stock.list", "What is running out or sold out.", self.list_stock, changes=False)
        add("shop.set", "Open, busy or closed.", self.set_shop, SetShop, nature="repeatable")

    async def list_orders(self, params: ListOrders, _by: str) -> dict[str, Any]:
        before = NEVER_MS if params.before is None else params.before
        found = await self.orders.newest(params.limit + 1, before)
        jobs = await self.desk.jobs_of([stored.order.order_id for stored in found[: params.limit]])
        return {
            "orders": [
                {
                    "order": stored.order,
                    "stage": stored.stage,
                    "received": stored.received,
                    "settled": stored.settled,
                    "by": stored.acted_by,
                    "unconfirmed": stored.acted,
                    "conflict": stored.conflict,
                    "remind_at": stored.remind_at,
                    "lapse_at": stored.lapse_at,
                    "jobs": jobs[stored.order.order_id],
                }
                for stored in found[: params.limit]
            ],
            "more": len(found) > params.limit,
        }

    async def accept(self, params: OnOrder, by: str) -> str:
        return await self.orders.act(params.order_id, "accepted", by)

    async def reject(self, params: RejectOrder, by: str) -> str:
        return await self.orders.act(params.order_id, "rejected", by, params.reason)

    async def ready(self, params: OnOrder, by: str) -> str:
        return await self.orders.act(params.order_id, "ready", by)

    async def picked_up(self, params: OnOrder, by: str) -> str:
        return await self.orders.act(params.order_id, "picked_up", by)

    async def urge(self, params: Nudge, _by: str) -> str:
        return await self.orders.nudge(params.order_id, "urged", params.note)

    async def refund(self, params: Nudge, _by: str) -> str:
        return await self.orders.nudge(params.order_id, "refund", params.note)

    async def set_stock(self, params: SetStock, by: str) -> dict[str, Any]:
        goods = await self.stock.put(
            params.sku, name=params.name, left=params.left, available=params.available, by=by
        )
        return goods._asdict()

    async def list_stock(self, _params: Any, _by: str) -> list[dict[str, Any]]:
        return await short_stock(self.stock)

    async def set_shop(self, params: SetShop, by: str) -> str:
        row = (SHOP_KEY, params.status)
        sql = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
        await self.database.write(lambda tx: tx.execute(sql, row))
        await self.outbox.record(Shop(status=params.status, by=by))
        self.changes.notify()
        return params.status


async def short_stock(stock: StockService) -> list[dict[str, Any]]:
    """What is running out or sold out."""
    return [goods._asdict() for goods in await stock.short(PAGE_MAX)]


def shop_status(connection: Any) -> Status:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (SHOP_KEY,)).fetchone()
    return row[0] if row else "open"
