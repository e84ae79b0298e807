"""Which broker is tried next, and after how long.

    url --fails--> fallback 1 --fails--> ... --fails--> url     the pause's limit doubles each round
    any broker --falls silent--> the next     a machine that is gone refuses nothing for long
    any broker --"use another server"--> that one --ends--> where we were in the list

Pauses have full jitter: any time between nothing and a limit, so that a fleet does not come back in
one wave. The limit begins anew only after a connection that carried something and lasted. A window
told by the broker or the back end takes the limit's place where the broker ended the connection:
N devices in a window of 1.3 N/C seconds, for C handshakes a second, need one attempt each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PAUSE_MIN_S = 0.1
BACKOFF_MIN_S = 1.0
STEADY_S = 60.0  # a connection that lasts so long is a good one
SHORT_MAX = 3  # so many short ones in a row, and somebody else may be using this id
BUSY_S = 30.0  # least limit after "busy" or "shutting down"
HOPS_MAX = 3  # so often in a row we go where brokers send us
WINDOW_MAX_S = 3600.0

Uniform = Callable[[float, float], float]  # random.Random.uniform


@dataclass(frozen=True, slots=True)
class Told:
    """What a broker said, in CONNACK or DISCONNECT, about coming back."""

    server: str | None = None  # URL of another one that it names
    for_good: bool = False  # the server moved there
    busy: bool = False
    window_s: float | None = None  # spread the next attempt over so many seconds


NOTHING = Told()


@dataclass(slots=True)
class Attempts:
    """`urls` in the order of preference. `window_s`: of a loss that the broker caused, 0: none."""

    urls: tuple[str, ...]
    retry_max_s: float
    uniform: Uniform
    window_s: float = 0.0
    short: int = 0  # connections in a row that ended soon after they were made
    _at: int = 0
    _detour: str | None = None
    _hops: int = 0
    _limit: float = BACKOFF_MIN_S

    @property
    def url(self) -> str:
        """Where to connect next."""
        return self._detour or self.urls[self._at]

    @property
    def away(self) -> bool:
        """Whether that is a fallback of ours, to be left when the first works again."""
        return self._detour is None and self._at > 0

    def failed(self, told: Told = NOTHING, *, by_broker: bool = False) -> float:
        """No session was had; seconds to wait now."""
        if self._follow(told):
            return self.uniform(PAUSE_MIN_S, self._span(BACKOFF_MIN_S, told, by_broker=by_broker))
        if told.busy:
            self._limit = max(self._limit, min(BUSY_S, self.retry_max_s))
        pause = self.uniform(PAUSE_MIN_S, self._span(self._limit, told, by_broker=by_broker))
        self._next()
        if self._at == 0:
            self._limit = min(self._limit * 2, self.retry_max_s)
        return pause

    def ended(
        self,
        lasted_s: float,
        told: Told = NOTHING,
        *,
        progressed: bool,
        by_broker: bool = False,
        taken_over: bool = False,
        silent: bool = False,
    ) -> float:
        """A session is over; seconds to wait now. `progressed`: the broker took something.
        `silent`: it answers nothing any more, so another one is tried before it is again."""
        if not progressed and lasted_s < STEADY_S:
            return self.failed(told, by_broker=by_broker)
        self._hops = 0
        self._detour = None
        self.short = 0 if lasted_s >= STEADY_S else min(self.short + 1, 10)
        if taken_over:
            self.short = max(self.short, SHORT_MAX)
        # Two devices with one id would otherwise throw each other out every second.
        self._limit = min(BACKOFF_MIN_S * 2**self.short, self.retry_max_s)
        if silent:  # nobody throws us out
            self.short, self._limit = 0, BACKOFF_MIN_S
        if told.server or told.busy or silent:
            return self.failed(told, by_broker=by_broker)
        pause = self.uniform(PAUSE_MIN_S, self._span(self._limit, told, by_broker=by_broker))
        self._limit = min(self._limit * 2, self.retry_max_s)
        return pause

    def go_home(self) -> None:
        """The first of the list works again."""
        self._at, self._detour, self._limit = 0, None, BACKOFF_MIN_S

    def _follow(self, told: Told) -> bool:
        """Go where the broker sent us; not for ever, two may send us to each other."""
        if told.server is None or self._hops >= HOPS_MAX:
            return False
        self._hops += 1
        if told.for_good:  # the old one stays, in case the new one is a mistake
            others = tuple(url for url in self.urls if url != told.server)
            self.urls, self._at, self._detour = (told.server, *others), 0, None
        else:
            self._detour = told.server
        return True

    def _next(self) -> None:
        if self._detour is not None:  # back to where we were sent from
            self._detour = None
            return
        self._at = (self._at + 1) % len(self.urls)
        if self._at == 0:
            self._hops = 0

    def _span(self, limit: float, told: Told, *, by_broker: bool) -> float:
        window = told.window_s
        if window is None:
            window = self.window_s if by_broker else 0.0
        return max(PAUSE_MIN_S, limit, min(window, WINDOW_MAX_S))
