"""What is in flight on one connection: how much more may go, how large, and what came back.

It starts with four batches of 8 KB in flight. While PUBACKs come back in CALM times the fastest
there may be one more, and then larger ones; when they are late fewer, and when they take LATE times
the fastest smaller ones too. On a quick link both grow. A wide window makes urgent messages late on
a narrow link, a narrow one is slow on a wide link: so it adapts, once a round trip, because what
was sent before a change says nothing of it. One place is always kept for `critical`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.contract.events import Stream

BATCH_MIN, BATCH_START, BATCH_MAX = 2 * 1024, 8 * 1024, 32 * 1024
PACKETS_MIN, PACKETS_START, PACKETS_MAX = 2, 4, 16
CALM = 1.5  # less never fills a narrow link, more makes urgent messages wait twice as long as alone
LATE = 2.5  # no jitter any more: the batches themselves are too much for the link
QUICK_S = 0.05  # a PUBACK within this makes nothing late, however quick others were
LIVE_PACKETS = 16  # single messages are small; they are limited only by this and the broker
NOT_FOUND = 0x10  # PUBACK: no matching subscribers


@dataclass(slots=True)
class _Sent:
    stream: Stream
    last: int  # highest seq in the packet
    t: float
    batch: bool
    reason: int | None = None  # PUBACK's, once it is there
    stale: bool = False  # sent again meanwhile; still counts for the broker until its PUBACK


@dataclass(slots=True)
class Window:
    receive_maximum: int
    batch_bytes: int = BATCH_START
    packets: int = PACKETS_START
    quick: bool = False  # the last batch took no longer than QUICK_S
    _fastest: float | None = None
    _changed: float = 0.0  # monotonic s
    _next: int = 0
    _sent: dict[int, _Sent] = field(default_factory=dict)  # in the order of sending
    _welcome: set[Stream] = field(default_factory=set)  # streams that were not refused last

    def room(self, stream: Stream, *, batch: bool) -> bool:
        """Whether one more packet of this stream may go now."""
        if stream not in self._welcome and self._has(stream):
            return False
        waiting = sum(1 for sent in self._sent.values() if sent.reason is None)
        limit = self.packets if batch else LIVE_PACKETS
        if stream == "critical":
            return waiting < self.receive_maximum and waiting <= limit
        return waiting < min(limit, self.receive_maximum - 1 or 1)

    def sent(self, stream: Stream, last: int, t: float, *, batch: bool) -> int:
        """A packet went out; its token is for `acked`."""
        self._next += 1
        self._sent[self._next] = _Sent(stream, last, t, batch)
        return self._next

    def round_trip(self, took: float) -> None:
        """Seconds that a small message took to its PUBACK: what the link can do."""
        self._fastest = took if self._fastest is None else min(self._fastest, took)

    def acked(self, token: int, reason: int, t: float) -> None:
        """Its PUBACK came; adapts to how long that took."""
        sent = self._sent[token]
        sent.reason = reason
        if sent.stale:
            del self._sent[token]
        took = t - sent.t
        self.round_trip(took)
        if not sent.batch:
            return
        assert self._fastest is not None
        self.quick = took <= QUICK_S
        if sent.t >= self._changed:
            self._changed = t
            self._adapt(took, self._fastest)

    def _adapt(self, took: float, fastest: float) -> None:
        calm = max(CALM * fastest, QUICK_S)
        if took <= calm:
            if self.quick or self.packets == PACKETS_MAX or self.batch_bytes < BATCH_START:
                self.batch_bytes = min(BATCH_MAX, self.batch_bytes + BATCH_MIN)
            self.packets = min(PACKETS_MAX, self.packets + 1)
            return
        rest = max(0.5, calm / took)
        self.packets = max(PACKETS_MIN, int(self.packets * rest))
        if took > LATE * fastest:
            self.batch_bytes = max(BATCH_MIN, int(self.batch_bytes * rest))

    def take(self, stream: Stream, taken: tuple[int, ...]) -> tuple[int | None, int | None]:
        """What became of the oldest packets of a stream: (taken up to, refused reason).

        Only an unbroken run of the reasons in `taken` counts, because a stream is acknowledged as a
        prefix. A refusal ends the run: the caller sends again from there.
        """
        upto: int | None = None
        mine = [(k, v) for k, v in self._sent.items() if v.stream == stream and not v.stale]
        for token, sent in mine:
            if sent.reason is None:
                break
            del self._sent[token]
            if sent.reason not in taken:
                self._welcome.discard(stream)
                return upto, sent.reason
            self._welcome.add(stream)
            upto = sent.last
        return upto, None

    def _has(self, stream: Stream) -> bool:
        return any(sent.stream == stream and not sent.stale for sent in self._sent.values())

    def forget(self, stream: Stream) -> None:
        """The stream is sent again from an earlier place; late PUBACKs of it mean nothing."""
        for token, sent in [(k, v) for k, v in self._sent.items() if v.stream == stream]:
            if sent.reason is None:
                sent.stale = True
            else:
                del self._sent[token]

    def knows(self, token: int) -> bool:
        return token in self._sent
