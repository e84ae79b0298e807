"""Keeps one MQTT 5 session: connects, goes to another broker when it must, and comes back."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass

from agent.core.clock import Clock
from agent.uplink import words
from agent.uplink.attempts import SHORT_MAX, STEADY_S, WINDOW_MAX_S, Attempts
from agent.uplink.dial import Dialler
from agent.uplink.session import ANSWER_S, Refused, Session
from agent.uplink.values import Connected, Ended, LinkDown, LinkSettings, Message, TlsFiles, Will

__all__ = ["Connected", "Link", "LinkDown", "LinkSettings", "Message", "TlsFiles", "Will"]

log = logging.getLogger(__name__)

RETURN_MAX = 8  # times `return_after_s`, when the first broker answers and then does not serve us
CLOCK_LOOK_S = 1.0  # while a certificate waits for the clock
CLOCK_JUMP_S = 60.0


@dataclass(frozen=True, slots=True)
class _Made:
    """A connection that waits to take the place of the one in use."""

    url: str
    sock: socket.socket
    outcome: asyncio.Future[None]

    def failed(self, reason: str) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(ConnectionError(reason))


class Link:
    """`run()` keeps the session; callbacks are called from the event loop and must not wait."""

    def __init__(
        self,
        settings: LinkSettings,
        clock: Clock,
        *,
        on_message: Callable[[Message], None],
        on_up: Callable[[Connected], None],
        on_down: Callable[[str], None],
        seed: int | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._attempts = Attempts(
            urls=(settings.url, *settings.fallbacks),
            retry_max_s=settings.retry_max_s,
            uniform=random.Random(seed).uniform,  # noqa: S311 - jitter, no secret
            window_s=settings.window_s,
        )
        self._dialler = Dialler(settings)
        self._session: Session | None = None
        self._since: float | None = None  # monotonic s at which this one was made
        self._return_s = settings.return_after_s
        self._for_clock = False  # the last attempt failed of a certificate's dates
        self._made: _Made | None = None
        self.up = False

    @property
    def url(self) -> str:
        """The broker that is in use, or is tried next."""
        return self._attempts.url

    @property
    def contested(self) -> bool:
        """Whether another client seems to take this session over, because it uses the same id.

        Not every broker says so (mosquitto 2.0 just hangs up), so several short ones count too.
        """
        return self._attempts.short >= SHORT_MAX and not self._steady()

    def _steady(self) -> bool:
        return self._since is not None and self._clock.monotonic() - self._since >= STEADY_S

    async def run(self) -> None:
        """Until cancelled; says good-bye then, without the will."""
        while True:
            url, at_first = self.url, not self._attempts.away
            will = await self._settings.will() if self._settings.will else None
            made, self._made = self._made, None
            ended, progressed = await self._once(url, will, made)
            if self._made is not None:  # the next one is there already
                self._since = None
                self._on_down(ended.reason)
                continue
            if self._since is None:
                pause = self._attempts.failed(ended.told, by_broker=ended.by_broker)
            else:
                lasted = self._clock.monotonic() - self._since
                if at_first and lasted >= STEADY_S:
                    self._return_s = self._settings.return_after_s
                self._since = None
                pause = self._attempts.ended(
                    lasted,
                    ended.told,
                    progressed=progressed,
                    by_broker=ended.by_broker,
                    taken_over=ended.taken_over,
                    silent=ended.silent,
                )
            self._on_down(ended.reason)
            await self._wait(pause)

    async def _once(self, url: str, will: Will | None, made: _Made | None) -> tuple[Ended, bool]:
        """One connection from its beginning to its end, and whether it carried something."""
        self._for_clock = False
        session = None
        try:
            sock = made.sock if made else await self._dialler.dial(url)
            # Known before it is up: with the CONNACK the broker may deliver what waited.
            self._session = session = Session(self._settings, url, sock, will, self._on_message)
            connected = await session.connect()
            self._dialler.accepted(url)
            connected = await session.subscribe(connected)
            self._begin(connected)
            if made is not None and not made.outcome.done():
                made.outcome.set_result(None)
            return await self._serve(session), session.progressed
        except Refused as error:
            if not session or not session.accepted:
                self._dialler.rejected(url)
            return _at(url, error.ended), False
        except (OSError, ValueError) as error:
            return Ended(f"{url}: {self._words(error, url, session)}"), False
        finally:
            self.up = False
            self._session = None
            if session is not None:
                session.close()
            if made is not None:
                made.sock.close()
                made.failed("the broker gave no session")

    def _begin(self, connected: Connected) -> None:
        self._since = self._clock.monotonic()
        if connected.told.window_s is not None:
            self._attempts.window_s = connected.told.window_s
        self.up = True
        self._on_up(connected)

    def _words(self, error: OSError | ValueError, url: str, session: Session | None) -> str:
        if not isinstance(error, OSError):
            return str(error)
        if session is not None and isinstance(error, TimeoutError):
            if session.accepted:
                return f"it does not answer a subscription within {ANSWER_S:.0f} s"
            self._dialler.rejected(url)
            return words.SILENT.format(seconds=ANSWER_S)
        self._for_clock = words.waits_for_clock(error)
        clock_set = self._clock.quality() != "none"
        return words.network_fault(error, self._clock.wall(), clock_set=clock_set)

    async def _serve(self, session: Session) -> Ended:
        """Until it ends; away from the first broker, also until that one works again."""
        if not self._attempts.away:
            return await session.serve()
        watching = asyncio.ensure_future(self._watch_first(session))
        try:
            return await session.serve()
        finally:
            watching.cancel()

    async def _watch_first(self, session: Session) -> None:
        first = self._settings.url
        while True:
            await self._clock.sleep(self._return_s)
            try:
                (await self._dialler.dial(first)).close()
            except (OSError, ValueError) as error:
                log.debug("%s is still away: %s", first, error)
                continue
            self._return_s = min(self._return_s * 2, self._settings.return_after_s * RETURN_MAX)
            self._attempts.go_home()
            session.end(Ended(f"going back to {first}, which answers again"))
            return

    async def _wait(self, pause: float) -> None:
        """At most `pause`; less when only the clock was missing and is set now."""
        if not self._for_clock:
            await self._clock.sleep(pause)
            return
        now = self._clock.monotonic()
        end, quality = now + pause, self._clock.quality()
        offset = self._clock.wall() - now
        while (now := self._clock.monotonic()) < end:
            await self._clock.sleep(min(CLOCK_LOOK_S, end - now))
            moved = abs(self._clock.wall() - self._clock.monotonic() - offset)
            if self._clock.quality() != quality or moved > CLOCK_JUMP_S:
                return

    def spread(self, window_s: float) -> None:
        """From now on, come back within so many seconds when the broker ends the connection."""
        self._attempts.window_s = min(max(0.0, window_s), WINDOW_MAX_S)

    def reset(self, reason: str) -> None:
        """End this connection and make a new one, so that the broker sends again."""
        if self._session is not None:
            self._session.end(Ended(reason))

    async def switch(self, files: TlsFiles) -> None:
        """Go over to a connection that is made with these files before the old one ends.

        Returns when the broker has accepted it. Raises LinkDown without a connection, OSError where
        the new one is refused: then the old one goes on, or comes back with the files of before.
        """
        session, url = self._session, self.url
        if session is None or not self._serves(session):
            raise LinkDown
        sock = await self._dialler.dial_as(url, files)
        if not self._serves(session) or self._made is not None:
            sock.close()
            raise LinkDown
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._made = _Made(url, sock, outcome)
        session.leave(Ended("going over to a new connection"))
        await outcome

    def _serves(self, session: Session) -> bool:
        return self.up and self._session is session

    def pause(self) -> None:
        """Read nothing more from this connection until `resume()`.

        For brokers that overrun the Receive Maximum, as mosquitto 2.0.11 does when many PUBACKs
        come at once. A pause of twice the keep-alive ends the connection.
        """
        if self._session is not None:
            self._session.pause()

    def resume(self) -> None:
        if self._session is not None:
            self._session.resume()

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: int | None = None,
        content_type: str | None = None,
        correlation: bytes | None = None,
        on_ack: Callable[[int], None] | None = None,
    ) -> None:
        """Hand a message to the connection; `on_ack(reason_code)` when PUBACK came.

        Raises LinkDown; a message whose `on_ack` was not called before `on_down` is unconfirmed.
        """
        if self._session is None or not self._session.accepted:
            raise LinkDown
        self._session.publish(
            topic,
            payload,
            qos=qos,
            retain=retain,
            expiry_s=expiry_s,
            content_type=content_type,
            correlation=correlation,
            on_ack=on_ack,
        )

    def acknowledge(self, message: Message) -> None:
        """PUBACK; nothing where the connection that brought the message is gone."""
        if self._session is not None and message._session is self._session:  # noqa: SLF001 - ours
            self._session.acknowledge(message._mid, message.qos)  # noqa: SLF001


def _at(url: str, ended: Ended) -> Ended:
    return Ended(f"{url} refused: {ended.reason}", ended.by_broker, ended.taken_over, ended.told)
