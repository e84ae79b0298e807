"""What a device tells the back end: one Struct a kind, with the stream that carries it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

Stream = Literal["critical", "state", "telemetry"]
STREAMS: tuple[Stream, ...] = ("critical", "state", "telemetry")
TimeQuality = Literal["ntp", "gps", "rtc", "none"]


class Body(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """Base of all event bodies. A field with a default is left out while it has that value."""

    KIND: ClassVar[str]
    STREAM: ClassVar[Stream]


class Position(Body, frozen=True, kw_only=True):
    """Where the rider is; until the next one the server extrapolates at constant velocity."""

    KIND: ClassVar[str] = "position"
    STREAM: ClassVar[Stream] = "telemetry"
    lat: float  # degrees, datum below
    lon: float
    acc: float | None  # m, 68 %
    speed: float | None  # m/s
    course: float | None  # degrees from true north
    fix_t: int  # unix ms of the fix
    reason: Literal["start", "moved", "turned", "heartbeat", "stop", "wake", "fence", "trace"]
    profile: str
    datum: Literal["wgs84", "gcj02"]
    precision: Literal["exact", "cell"] = "exact"  # cell: somewhere within about `acc`, no nearer


class AccessPointSeen(msgspec.Struct, frozen=True):
    bssid: str
    signal: int  # percent
    channel: int | None


class CellSeen(msgspec.Struct, frozen=True):
    mcc: int
    mnc: int
    area: int  # LAC or TAC
    cell: int


class Scan(Body, frozen=True, kw_only=True):
    """What was heard of other networks while the receiver saw no sky; a back end may locate it."""

    KIND: ClassVar[str] = "scan"
    STREAM: ClassVar[Stream] = "telemetry"
    wifi: list[AccessPointSeen]
    cell: CellSeen | None


class Fence(Body, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "fence"
    STREAM: ClassVar[Stream] = "state"
    fence: str
    event: Literal["enter", "leave", "dwell"]
    distance_m: float


class Arrival(Body, frozen=True, kw_only=True):
    """`unknown` means that the scanner cannot tell; it never means that the rider left. `floor`
    says where in the building `place` the rider is now; without a floor nobody can tell."""

    KIND: ClassVar[str] = "arrival"
    STREAM: ClassVar[Stream] = "state"
    place: str
    event: Literal["enter", "exit", "arrived", "unknown", "floor"]
    floor: str | None = None
    confidence: float | None = None
    evidence: dict[str, Any]


class OrderEvent(Body, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "order"
    STREAM: ClassVar[Stream] = "critical"
    action: Literal["received", "accepted", "rejected", "ready", "picked_up", "reconcile"]
    order_id: str | None = None
    version: int | None = None
    by: str | None = None  # page, panel, cli, command
    reason: str | None = None
    orders: dict[str, int] | None = None  # reconcile: what the device has, id -> version


class PrintEvent(Body, frozen=True, kw_only=True):
    """`printed` only with evidence; without a back channel it is `sent_unconfirmed`."""

    KIND: ClassVar[str] = "print"
    STREAM: ClassVar[Stream] = "critical"
    job_id: str
    order_id: str
    version: int
    station: str
    printer: str
    copy: int
    attempt: int
    state: Literal[
        "printed",
        "sent_unconfirmed",
        "in_doubt",
        "held",
        "rerouted",
        "cancelled",
        "expired",
        "failed",
    ]
    evidence: str
    duplicate: bool  # the paper says POSSIBLE DUPLICATE
    reason: str | None = None


class AlertEvent(Body, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "alert"
    STREAM: ClassVar[Stream] = "critical"
    alert_id: str
    cause: str  # new_order, urged, refund, changed, cancelled, printer, sos, low_stock ...
    state: Literal["sounding", "escalated", "acknowledged", "expired"]
    by: str | None
    order_id: str | None = None
    level: int = 0  # escalated: for the how-many-th time


class Sos(Body, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "sos"
    STREAM: ClassVar[Stream] = "critical"
    sos_id: str
    state: Literal["raised", "cancelled"]
    position: Position | None = None
    position_age_s: float | None = None


class Load(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """How busy a shop is. Orders of the last day; latencies of the last hour."""

    pending: int  # nobody has accepted or rejected them
    preparing: int
    accepted: int = 0  # in the last hour
    accept_p50_s: float | None = None  # from the order's receipt here to its acceptance
    accept_p90_s: float | None = None


class Shop(Body, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "shop"
    STREAM: ClassVar[Stream] = "state"
    status: Literal["open", "busy", "closed"]
    by: str | None = None  # who set it; none: only the load changed
    load: Load | None = None


class Stock(Body, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "stock"
    STREAM: ClassVar[Stream] = "state"
    sku: str
    available: bool
    by: str | None = None
    left: int | None = None  # portions; none: nobody counts them


class Health(Body, frozen=True, kw_only=True):
    """A declared condition came or went."""

    KIND: ClassVar[str] = "health"
    STREAM: ClassVar[Stream] = "telemetry"
    code: str  # e.g. printer.kitchen
    state: Literal["raised", "cleared"]
    severity: Literal["info", "warning", "critical"]
    text: str = ""  # what, and what to do
    since: int | None = None  # unix ms


class CommandEvent(Body, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "command"
    STREAM: ClassVar[Stream] = "critical"
    cmd_id: str
    name: str
    status: Literal[
        "accepted", "running", "succeeded", "failed", "rejected", "timed_out", "unknown"
    ]
    reason_code: str | None = None
    result: Any = None


class ConfigEvent(Body, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "config"
    STREAM: ClassVar[Stream] = "critical"
    version: int | None
    applied: bool
    error: str | None = None
    state: Literal["in_force", "refused", "rolled_back"] | None = None


class Update(Body, frozen=True, kw_only=True):
    """A release on its way: asked for, on trial, and how it ended."""

    KIND: ClassVar[str] = "update"
    STREAM: ClassVar[Stream] = "critical"
    request: str  # the answer to the command `update.start`
    version: str
    slot: str  # the folder that runs, or was tried
    state: Literal["requested", "trying", "kept", "rolled_back", "failed"]
    reason: str | None = None


class Audit(Body, frozen=True, kw_only=True):
    """Who did what on the device: each holds the digest of the one before, so that none can be
    taken away or changed unseen; see docs/fleet-commands.md."""

    KIND: ClassVar[str] = "audit"
    STREAM: ClassVar[Stream] = "critical"
    action: str
    by: str
    detail: dict[str, Any] = {}
    n: int | None = None  # its number in the chain
    at: int | None = None  # unix ms as the device's clock read it; `t` may be set right later
    prev: str | None = None  # the hash of number n - 1
    hash: str | None = None  # SHA-256


class ErrorEvent(Body, frozen=True, kw_only=True):
    """Something from outside was thrown away, or a service failed: counted, by cause."""

    KIND: ClassVar[str] = "error"
    STREAM: ClassVar[Stream] = "telemetry"
    source: str
    counts: dict[str, int] = {}
    text: str | None = None


class Gap(Body, frozen=True, kw_only=True):
    """Stands in its stream in the place of the last event that it explains: `from` .. `to`.

    `thinned`: these were positions, each of them within `within_m` metres of the straight line, at
    its time, between the positions before and behind the hole. Join those; do not extrapolate.
    """

    KIND: ClassVar[str] = "gap"  # travels in the stream that has the hole
    STREAM: ClassVar[Stream] = "telemetry"
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    reason: Literal["evicted", "restart", "expired", "purged", "thinned"]
    within_m: int | None = None  # m, of a line; thinned


BODIES: dict[str, type[Body]] = {
    body.KIND: body
    for body in (
        Position,
        Scan,
        Fence,
        Arrival,
        OrderEvent,
        PrintEvent,
        AlertEvent,
        Sos,
        Shop,
        Stock,
        Health,
        CommandEvent,
        ConfigEvent,
        Update,
        Audit,
        ErrorEvent,
        Gap,
    )
}


class Event(msgspec.Struct, frozen=True):
    """An event as it travels; `(device, epoch, stream, seq)` is the key to drop duplicates by."""

    epoch: str  # born with the device's database; with a new one, `seq` starts again
    stream: Stream
    seq: int  # rises by one in its stream
    t: int  # unix ms at which it happened
    tq: TimeQuality  # who set the device's clock; none: nobody yet, `t` is a guess
    body: msgspec.Raw  # of the kind that the topic names
    kind: str | msgspec.UnsetType = msgspec.UNSET  # in batches; the topic says it otherwise
