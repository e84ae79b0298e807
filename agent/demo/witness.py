"""What the demo sees: orders sent, what the back end heard, the paper, where the rider is.

It waits for nothing and asks nobody; times are handed in (`now` in monotonic seconds, `now_ms` in
unix milliseconds). The page is drawn from its feed, the verdict is passed on its facts.
"""

from __future__ import annotations

from typing import Any

from agent.contract.events import AlertEvent, Arrival, Fence, OrderEvent, Position, PrintEvent, Sos
from agent.contract.orders import Order
from agent.demo.backend import BackEnd, Heard, Outgoing
from agent.demo.belief import LATE_S, Belief, Spread, distance
from agent.demo.cards import Cards
from agent.demo.feed import Feed
from agent.demo.paper import FOOT, Tickets, picture, version_of
from agent.demo.wirelog import line_of
from drivers.printer.elements import Paper


class Witness:
    def __init__(self, rider: str) -> None:
        """`rider` is the device whose position is compared with the truth."""
        self.backend = BackEnd()
        self.feed = Feed()
        self.cards = Cards()
        self.tickets = Tickets()
        self.orders: list[str] = []
        self.sent: list[str] = []  # versions of orders, as `demo-00001 v1`
        self.rung: set[str] = set()  # orders whose alert sounded
        self.refused = 0
        self.alerts: set[str] = set()
        self.acknowledged: set[str] = set()
        self.off = Spread()  # m between belief and truth, at any moment
        self.off_at_fixes = Spread()  # ... at the moments of which the agent could know
        self.to_paper = Spread()  # ms from back end to cut
        self.sos_pressed: float | None = None  # monotonic s
        self.sos_ms: float | None = None  # until the back end knew
        self.sos_raised = False
        self.rush: set[str] = set()  # versions that are not all printed yet
        self.sample: dict[str, Any] = {}  # newest place of the rider, for the map
        self._rider = rider
        self._timed: dict[str, float] = {}  # version -> when it was sent
        self._inside: set[str] = set()
        self._places: set[str] = set()
        self._first_fix: int | None = None  # unix ms
        self._late: int | None = None  # late events since the cable came back
        self._now = 0.0  # of the message that is being read

    # --- what goes out ----------------------------------------------------------------------------

    def sends(self, order: Order, shop: str, *, timed_at: float | None = None) -> Outgoing:
        """An order on its way; with `timed_at` the way to its paper is measured."""
        version = version_of(order)
        self.sent.append(version)
        if order.version == 1:
            self.orders.append(order.order_id)
        if timed_at is not None:
            self._timed[version] = timed_at
        self.show(self.cards.add(order))
        return self.backend.order(shop, order)

    def line(
        self, topic: str, payload: bytes, now_ms: int, *, up: bool, late: bool = False
    ) -> None:
        self.feed.add("wire", line_of(topic, payload, now_ms, up=up, late=late))

    def note(self, word: str, *values: object, mood: str = "") -> None:
        """A caption of the page, by its key in words.js."""
        self.feed.add("notes", {"word": word, "values": values, "mood": mood})

    def show(self, card: dict[str, Any] | None) -> None:
        if card is not None:
            self.feed.add("orders", card)

    # --- what comes back --------------------------------------------------------------------------

    def sees(self, paper: Paper, dots: int, now: float) -> None:
        """A piece of paper was cut off."""
        self.tickets.add(paper)
        self.feed.add("tickets", picture(paper, dots))
        for foot in FOOT.finditer(paper.plain):
            self.show(self.cards.printed(foot[1]))
            began = self._timed.pop(foot[0], None)
            if began is not None:
                self.to_paper.add((now - began) * 1000)
        if self.rush and all(self.tickets.has(version) for version in self.rush):
            self.note("n_rush_done", len(self.rush), mood="good")
            self.rush = set()

    def hears(
        self, topic: str, payload: bytes, content_type: str | None, now: float, now_ms: int
    ) -> list[Outgoing]:
        """A message of a device; what the back end answers."""
        self._now = now
        reaction = self.backend.receive(topic, payload, content_type, now_ms)
        late = any(heard.late_s > LATE_S for heard in reaction.heard)
        self.line(topic, payload, now_ms, up=True, late=late)
        for heard in reaction.heard:
            self._on_event(heard)
        return reaction.publish

    def _on_event(self, heard: Heard) -> None:
        late = heard.late_s > LATE_S
        if self._late is not None:
            self._late += late
        match heard.body:
            case Position() as p:
                self._first_fix = self._first_fix or p.fix_t
                self.feed.add("trail", {"lat": p.lat, "lon": p.lon, "t": p.fix_t, "late": late})
            case Fence() as f:
                if f.event != "dwell":
                    (self._inside.add if f.event == "enter" else self._inside.discard)(f.fence)
                    self.note(f"n_{f.event}")
            case Arrival() as a:
                self._on_arrival(a)
            case OrderEvent(action="rejected"):
                self.refused += 1
            case OrderEvent(order_id=str(order_id), action=action):
                self.show(self.cards.said(order_id, action))
            case PrintEvent() as p:
                self.show(self.cards.ticket(p.order_id, p.state))
            case AlertEvent() as a:
                self._on_alert(a)
            case Sos() as sos:
                self._on_sos(sos)
            case _:
                pass

    def _on_alert(self, alert: AlertEvent) -> None:
        self.alerts.add(alert.alert_id)
        if alert.cause == "new_order" and alert.order_id is not None:
            self.rung.add(alert.order_id)
        if alert.state == "acknowledged":
            self.acknowledged.add(alert.alert_id)

    def _on_arrival(self, arrival: Arrival) -> None:
        if arrival.event in ("enter", "arrived"):
            self._places.add(arrival.place)
            if arrival.floor is not None:
                self.note("n_floor", arrival.floor)
            else:
                self.note("n_arrived", arrival.place)
        elif arrival.event == "exit":
            self._places.discard(arrival.place)

    def _on_sos(self, sos: Sos) -> None:
        self.sos_raised = sos.state == "raised"
        if not self.sos_raised:
            self.note("n_sos_over", mood="good")
        elif self.sos_pressed is not None and self.sos_ms is None:
            self.sos_ms = (self._now - self.sos_pressed) * 1000
            self.note("n_sos", round(self.sos_ms), mood="bad")

    # --- after a cut ------------------------------------------------------------------------------

    def cable(self, *, cut: bool) -> None:
        self._late = None if cut else 0
        if cut:
            self.note("n_cut", mood="bad")
        else:
            self.note("n_restore")

    def drained(self) -> None:
        """Nothing waits on the devices any more; told once after each cut."""
        if self._late:
            lost = sum(book.lost() for _, book in self.backend.ledger.books())
            self.note("n_drained", self._late, lost, mood="good")
            self._late = None

    # --- the rider --------------------------------------------------------------------------------

    def compares(self, truth: tuple[float, float], now_ms: int) -> None:
        """The server's belief with the truth; counted only while the server claims to know."""
        belief = self.backend.beliefs.get(self._rider, Belief())
        at, newest = belief.at(now_ms), belief.newest
        off = distance(truth, at) if at is not None and belief.fresh else None
        if off is not None:
            self.off.add(off)
        self.sample = {
            "truth": truth,
            "belief": at,
            "fresh": off is not None,
            "off_m": off,
            "acc": newest.acc if newest else None,
            "speed": newest.speed if newest else None,
            "course": newest.course if newest else None,
            "inside": sorted(self._inside),
            "places": sorted(self._places),
            "sos": self.sos_raised,
        }

    def checks(self, truth: tuple[float, float], fix_ms: int) -> None:
        """The same at the time of a fix, once its message had time to arrive."""
        belief = self.backend.beliefs.get(self._rider, Belief())
        at = belief.at(fix_ms)
        if at is not None and belief.fresh:
            self.off_at_fixes.add(distance(truth, at))

    def position(self) -> dict[str, Any]:
        """For the page: how far off, and how few messages that took."""
        newest = self.backend.beliefs.get(self._rider, Belief()).newest
        ridden_ms = newest.fix_t - self._first_fix if newest and self._first_fix else 0
        return {
            "now": self.sample.get("off_m"),
            "p50": self.off.percentile(0.5),
            "p95": self.off.percentile(0.95),
            "count": self.off.count,
            "told": self.feed.total("trail"),
            "fixes": round(ridden_ms / 1000),  # the receiver gives one a second
        }

    def all_printed(self) -> bool:
        return all(self.tickets.has(version) for version in self.sent)

    def complete(self) -> bool:
        """The back end has, or knows the reason of, everything that the agents spoke of."""
        return all(book.holes() == 0 for _, book in self.backend.ledger.books())
