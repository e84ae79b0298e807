"""What is wrong with one printer, since when, and who hears of it. Waits for nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.core.clock import Clock
from agent.core.health import Health

UNREACHABLE_GRACE_S = 3.0  # the shop's till may hold the connection for a moment
UNNOTICED_S = 5.0  # for so long a printer may have stalled, when that is noticed
CONNECTING_S = 2.0  # and so long has it not been reached

# Faults are codes that other programs know: see docs/printing.md.
ADVICE = {
    "paper_out": "out of paper: open the lid and put in a new roll",
    "cover_open": "the cover is open: close it",
    "error": "it reports an error: switch it off, look for jammed paper, switch it on",
    "offline": "it is offline: press its FEED or online button",
    "stalled": "it takes no more data: is it switched on, with paper in and the cover closed?",
}

OnTrouble = Callable[[str, str | None], None]


@dataclass(slots=True)
class Trouble:
    """Why nothing is printed."""

    fault: str
    since: float  # monotonic s
    told: bool = False


class Watch:
    """`on_trouble(printer, fault)` hears of each fault, and of its end with None."""

    def __init__(
        self, printer: str, *, clock: Clock, health: Health, on_trouble: OnTrouble | None
    ) -> None:
        self._printer = printer
        self._code = f"printer.{printer}"
        self._clock = clock
        self._health = health
        self._on_trouble = on_trouble
        self._trouble: Trouble | None = None
        self._well_at = clock.monotonic()  # when it was last seen well

    @property
    def fault(self) -> str | None:
        """Why it does not print, as it was told."""
        return self._trouble.fault if self._trouble and self._trouble.told else None

    @property
    def failing_s(self) -> float:
        """For how long it has not been printing; 0 when it is well."""
        return self._clock.monotonic() - self._trouble.since if self._trouble else 0.0

    def fails(self, fault: str, detail: str | None = None) -> bool:
        """Whether that is to be told: a printer that was just unreachable has its grace."""
        now = self._clock.monotonic()
        if self._trouble is None:
            unnoticed = CONNECTING_S if fault == "unreachable" else UNNOTICED_S
            self._trouble = Trouble(fault, max(self._well_at, now - unnoticed))
        trouble = self._trouble
        news = not trouble.told or trouble.fault != fault
        trouble.fault = fault
        if fault == "unreachable" and now - trouble.since < UNREACHABLE_GRACE_S:
            return False
        trouble.told = True
        what = detail or f"printer {self._printer}: {ADVICE.get(fault, fault)}"
        text = f"{what}. What waits is printed as soon as it is back."
        self._health.set(self._code, text, severity="critical")
        if news and self._on_trouble:
            self._on_trouble(self._printer, fault)
        return True

    def well(self) -> int:
        """It can print; for how many ms it could not."""
        self._well_at = self._clock.monotonic()
        trouble, self._trouble = self._trouble, None
        if trouble is None:
            return 0
        if trouble.told:
            self._health.clear(self._code)
            if self._on_trouble:
                self._on_trouble(self._printer, None)
        return int((self._well_at - trouble.since) * 1000)

    # --- what it does not prove ---------------------------------------------------------------

    def proves(self, given: str, promised: str) -> None:
        """Proof that was promised and does not come is a wrong setting, or a printer that ages."""
        code = f"{self._code}.evidence"
        if given in (promised, "none"):
            self._health.clear(code)
            return
        self._health.set(
            code,
            f"printer {self._printer} gives no {promised} as it is set to: tickets"
            f" are believed by {given}. Try `edge-agent printer test {self._printer}`",
        )

    def answers(self) -> None:
        self._health.clear(f"{self._code}.silent")

    def silent(self) -> None:
        self._health.set(
            f"{self._code}.silent",
            f"printer {self._printer} takes data but does not answer any more: tickets are sent "
            "without proof; look at its paper",
        )
