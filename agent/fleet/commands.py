"""What the back end asks of a device over MQTT: each request ends once, in the open.

See lifecycle for the states and throttle for how many. The result of each is kept for a week: the
same request again is answered from there, whether it was sent twice or asked by somebody who did
not hear. Quick commands wait in one line and slow ones in another, so that examining a dead printer
keeps no order from being accepted.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from agent.contract.commands import MAX_BYTES, Command
from agent.contract.errors import Rejected
from agent.contract.events import CommandEvent, ErrorEvent
from agent.contract.wire import decode, encode
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.logs import printable
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.fleet import lifecycle
from agent.fleet.authority import OPEN_HOUSE, Authority
from agent.fleet.lifecycle import EVENT_BYTES, REPLY_BYTES, Found, Status, Verdict
from agent.fleet.table import CommandTable, Entry, Nothing, Tell
from agent.fleet.throttle import ANSWERED, ANSWERED_PER_S, Bucket
from agent.store.database import Database
from agent.store.inbox import Incoming
from drivers.base import DriverError

__all__ = ["CommandService", "CommandTable", "Entry", "Nothing"]

log = logging.getLogger(__name__)

KEEP_S = 7 * 86400.0  # results, so that a repeated cmd_id is recognised
OPEN_MAX = 100  # commands that wait for their turn
PROGRESS_S = 2.0  # between two words about how far a command is; the newest counts
FLOOD_S = 300.0  # without a command turned away, a flood is over
NAME = re.compile(r"[!-~]{1,64}")
FLOOD = "commands.flood"

_INSERT = """INSERT INTO commands
(cmd_id, name, status, received, reply_topic, correlation, params, exp, digest, kid)
VALUES (?, ?, 'accepted', ?, ?, ?, ?, ?, ?, ?)"""
_KNOWN = "SELECT name, status, reason, result, digest FROM commands WHERE cmd_id = ?"
_REPLY_TO = "UPDATE commands SET reply_topic = ?, correlation = ? WHERE cmd_id = ?"
_OPEN = """SELECT cmd_id, name, status, params, reply_topic, correlation, exp, tries, boot, kid
FROM commands WHERE status IN ('accepted', 'running') ORDER BY received"""
_LINE = """SELECT count(*), coalesce(max(received), 0) FROM commands
WHERE status IN ('accepted', 'running')"""
_WHOM = "SELECT reply_topic, correlation FROM commands WHERE cmd_id = ?"
_BEGIN = "UPDATE commands SET status = 'running', tries = tries + 1, boot = ? WHERE cmd_id = ?"
_END = """UPDATE commands SET status = ?, reason = ?, result = ?
WHERE cmd_id = ? AND status IN ('accepted', 'running')"""
_PRUNE = "DELETE FROM commands WHERE received < ? AND status NOT IN ('accepted', 'running')"

Reply = Callable[[str, bytes, bytes | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Task:
    cmd_id: str
    name: str
    status: Status
    params: bytes
    reply_topic: str | None
    correlation: bytes | None
    exp: int | None
    tries: int
    boot: str | None
    kid: str | None

    @property
    def by(self) -> str:
        return f"command:{self.cmd_id}" + (f":{self.kid}" if self.kid else "")


class CommandService:
    """Accepts what comes over MQTT, and runs it."""

    name = "commands"

    def __init__(
        self,
        table: CommandTable,
        database: Database,
        clock: Clock,
        recorder: Recorder,
        reply: Reply,
        *,
        health: Health | None = None,
        authority: Authority = OPEN_HOUSE,
    ) -> None:
        self._table = table
        self._database = database
        self._clock = clock
        self._recorder = recorder
        self._reply = reply
        self._health = health
        self._authority = authority
        self._bucket = Bucket()
        self._turned = Bucket(ANSWERED, ANSWERED_PER_S)  # of those turned away, the answered ones
        self._flood = 0  # turned away since the flood began
        self._flood_at = 0.0  # monotonic s of the last one
        self._flooded = asyncio.Event()
        self._news = asyncio.Event()
        self._resumed: set[str] = set()  # begun by an earlier process, to be begun again
        # What ended and could not be written down, because the disk refused.
        self._unwritten: dict[str, tuple[Verdict, Any]] = {}
        self._replies: asyncio.Queue[tuple[str, bytes, bytes | None]] = asyncio.Queue(OPEN_MAX)

    # --- the inbox's handlers, in the store's thread ----------------------------------------------

    def handle(self, tx: sqlite3.Connection, message: Incoming) -> Callable[[], None]:
        name, cmd_id = (*message.address.rest, "", "")[:2]
        entry = self._table.find(name)
        if not self._bucket.take(self._clock.monotonic(), entry.cost if entry else 1):
            return self._turn_away(tx, message)
        name, cmd_id = self._identity(message)
        command = decode(message.payload or b"{}", Command, max_bytes=MAX_BYTES)
        request = self._authority.read(name, cmd_id, command)
        digest = _digest(name, request.params)
        if known := tx.execute(_KNOWN, (cmd_id,)).fetchone():
            return self._again(tx, message, digest, known)
        now = int(self._clock.wall() * 1000)
        self._require_fresh(request.exp, now)
        entry, _ = self._table.check(name, request.params, remote=True)
        if entry.secret and not message.response_topic:
            raise Rejected("no_response_topic", "its answer only goes to a response topic")
        waiting, newest = tx.execute(_LINE).fetchone()
        if waiting >= OPEN_MAX:
            raise Rejected("busy", f"{waiting} commands wait already; send it again later")
        self._authority.admit(tx, request, entry)
        tx.execute(
            _INSERT,
            (
                cmd_id,
                name,
                max(now, newest + 1),  # those of one millisecond keep their order
                message.response_topic,
                message.correlation,
                encode(request.params),
                request.exp,
                digest,
                request.kid,
            ),
        )
        self._recorder.put(tx, CommandEvent(cmd_id=cmd_id, name=name, status="accepted"))
        return self._news.set

    def _again(
        self, tx: sqlite3.Connection, message: Incoming, digest: bytes, known: tuple[Any, ...]
    ) -> Callable[[], None]:
        """Its answer once more; while it is open, the one who asked last is told of its end."""
        name, status, reason, result, before = known
        if before not in (None, digest):
            raise Rejected("cmd_id_used", "this id was given to another request before")
        if status in lifecycle.OPEN:
            if message.response_topic:
                reply_to = (message.response_topic, message.correlation, message.address.rest[1])
                tx.execute(_REPLY_TO, reply_to)
            return lambda: None
        answer = CommandEvent(
            cmd_id=message.address.rest[1],
            name=name,
            status=status,
            reason_code=reason,
            result=None if result is None else msgspec.json.decode(result),
        )
        if not message.response_topic:
            self._recorder.put(tx, answer)
        return lambda: self._answer(message.response_topic, message.correlation, answer)

    def _require_fresh(self, exp: int | None, now_ms: int) -> None:
        known = self._clock.quality() != "none"
        late_s = lifecycle.expired_s(exp, now_ms, clock_known=known)
        if late_s is not None:
            raise Rejected("expired", f"it expired {late_s:.0f} s ago")

    def refuse(
        self, tx: sqlite3.Connection, message: Incoming, rejected: Rejected
    ) -> Callable[[], None]:
        answer = _refusal(message, rejected.code, str(rejected))
        if rejected.code != "cmd_id_used":  # what was said of the first request holds
            self._recorder.put(tx, answer)
        return lambda: self._answer(message.response_topic, message.correlation, answer)

    def _turn_away(self, tx: sqlite3.Connection, message: Incoming) -> Callable[[], None]:
        """Cheaply: without a write to the disk for each of thousands."""
        now = self._clock.monotonic()
        answer = None
        if self._turned.take(now):
            answer = _refusal(message, "too_many", "too many commands at a time; send it later")
            self._recorder.put(tx, answer)

        def after() -> None:
            self._flood += 1
            self._flood_at = now
            self._flooded.set()
            if answer is not None:
                self._answer(message.response_topic, message.correlation, answer)
            if self._health is not None:
                self._health.set(
                    FLOOD,
                    "commands come too fast and are turned away; orders go on. Find out what in the"
                    " back end sends them",
                )

        return after

    def _identity(self, message: Incoming) -> tuple[str, str]:
        rest = message.address.rest
        if len(rest) != 2 or not all(NAME.fullmatch(part) for part in rest):
            raise Rejected("bad_topic", "the topic is not cmd/{name}/{cmd_id}")
        return rest[0], rest[1]

    # --- the service ------------------------------------------------------------------------------

    async def open_commands(self) -> list[str]:
        return [task.cmd_id for task in await self._database.read(_open)]

    async def run(self, heartbeat: Heartbeat) -> None:
        await self._resume()
        async with asyncio.TaskGroup() as group:
            quick, slow = asyncio.Event(), asyncio.Event()
            group.create_task(self._work(quick, slow=False))
            group.create_task(self._work(slow, slow=True))
            group.create_task(self._send_replies())
            group.create_task(self._watch_flood())
            while True:
                quick.set()
                slow.set()
                await heartbeat.idle(self._news.wait())
                self._news.clear()

    async def _resume(self) -> None:
        """What an earlier process left open, or this one could not write down."""
        for task in await self._database.read(_open):
            if task.cmd_id in self._unwritten:
                await self._finish(task, *self._unwritten[task.cmd_id])
            elif task.status == "running":
                entry = self._table.find(task.name)
                found = Found(task.status, task.tries, task.boot)
                nature = entry.nature if entry else "once"
                verdict = lifecycle.after_restart(found, nature, self._clock.boot_id)
                if verdict.status == "running":
                    await self._say(task, verdict.reason)
                    self._resumed.add(task.cmd_id)
                else:
                    await self._finish(task, verdict)

    async def _work(self, wake: asyncio.Event, *, slow: bool) -> None:
        """One line of them, in the order of their arrival."""
        while True:
            await wake.wait()
            wake.clear()
            for task in await self._database.read(_open):
                entry = self._table.find(task.name)
                mine = (entry is not None and entry.slow) is slow
                if mine and (task.status == "accepted" or task.cmd_id in self._resumed):
                    self._resumed.discard(task.cmd_id)
                    await self._execute(task, entry)
            await self._database.write(self._prune)

    async def _watch_flood(self) -> None:
        """Says when one is over; sleeps while there is none."""
        while True:
            await self._flooded.wait()
            while (left := self._flood_at + FLOOD_S - self._clock.monotonic()) > 0:
                await self._clock.sleep(left)
            self._flooded.clear()
            counts, self._flood = {"too_many": self._flood}, 0
            await self._recorder.record(ErrorEvent(source="cmd", counts=counts))
            if self._health is not None:
                self._health.clear(FLOOD)

    def _prune(self, tx: sqlite3.Connection) -> None:
        tx.execute(_PRUNE, (int((self._clock.wall() - KEEP_S) * 1000),))

    async def _execute(self, task: _Task, entry: Entry | None) -> None:
        if entry is None or not entry.remote:  # the agent was changed while it waited
            await self._finish(task, Verdict("rejected", "unknown_command"))
            return
        try:
            self._require_fresh(task.exp, int(self._clock.wall() * 1000))
        except Rejected as late:
            await self._finish(task, Verdict("rejected", late.code), str(late))
            return
        begun = (self._clock.boot_id, task.cmd_id)
        await self._database.write(lambda tx: tx.execute(_BEGIN, begun))
        await self._finish(task, *await self._effect(task, entry))

    async def _effect(self, task: _Task, entry: Entry) -> tuple[Verdict, Any]:
        try:
            async with asyncio.timeout(entry.deadline_s):
                params = msgspec.json.decode(task.params)
                result = await self._table.ask(task.name, params, task.by, self._teller(task))
                if entry.nature in ("restart", "reboot"):
                    await asyncio.get_running_loop().create_future()  # until the process is ended
        except TimeoutError:
            return Verdict("timed_out", "deadline"), None
        except Rejected as rejected:
            return Verdict("rejected", rejected.code), str(rejected)
        except DriverError as error:
            return Verdict("failed", "device"), str(error)
        except Exception as error:
            # A bug that a command from afar runs into must not end the agent that prints orders,
            # or whoever may ask could stop a shop at will. It is told, and logged for a person.
            log.exception("command failed", extra={"command": printable(task.name)})
            return Verdict("failed", "bug"), type(error).__name__
        return Verdict("succeeded"), msgspec.to_builtins(result)

    def _teller(self, task: _Task) -> Tell:
        """For the progress of a command: what comes too soon after another word is left out."""
        told: list[float] = []

        async def tell(how_far: Any) -> None:
            now = self._clock.monotonic()
            if not told or now - told[-1] >= PROGRESS_S:
                told.append(now)
                await self._say(task, "progress", how_far)

        return tell

    async def _say(self, task: _Task, reason: str | None, result: Any = None) -> None:
        event = CommandEvent(
            cmd_id=task.cmd_id,
            name=task.name,
            status="running",
            reason_code=reason,
            result=msgspec.to_builtins(result),
        )
        await self._recorder.record(_bounded(event, EVENT_BYTES))

    async def _finish(self, task: _Task, verdict: Verdict, result: Any = None) -> None:
        self._unwritten[task.cmd_id] = verdict, result
        answer = CommandEvent(
            cmd_id=task.cmd_id,
            name=task.name,
            status=verdict.status,
            reason_code=verdict.reason,
            result=result,
        )
        entry = self._table.find(task.name)
        event = _bounded(answer, EVENT_BYTES)
        if verdict.status == "succeeded" and entry is not None and entry.secret:
            event = msgspec.structs.replace(answer, result=None)

        def store(tx: sqlite3.Connection) -> tuple[str | None, bytes | None]:
            row = (verdict.status, event.reason_code, encode(event.result), task.cmd_id)
            if tx.execute(_END, row).rowcount:
                self._recorder.put(tx, event)
            topic, correlation = tx.execute(_WHOM, (task.cmd_id,)).fetchone()
            return topic, correlation

        self._answer(*await self._database.write(store), answer)
        del self._unwritten[task.cmd_id]

    # --- answers ----------------------------------------------------------------------------------

    def _answer(self, topic: str | None, correlation: bytes | None, answer: CommandEvent) -> None:
        """To the topic that the request named, if any: a convenience, the event is the record."""
        if topic and not self._replies.full():
            payload = encode(_bounded(answer, REPLY_BYTES))
            self._replies.put_nowait((topic, payload, correlation))

    async def _send_replies(self) -> None:
        while True:
            await self._reply(*(await self._replies.get()))


def _bounded(answer: CommandEvent, limit: int) -> CommandEvent:
    """A result that is too large is left out, and its size said."""
    size = len(encode(answer.result))
    if size <= limit:
        return answer
    return msgspec.structs.replace(
        answer,
        reason_code=answer.reason_code or "result_left_out",
        result={"bytes": size, "at_most": limit},
    )


def _refusal(message: Incoming, code: str, text: str) -> CommandEvent:
    name, cmd_id = (*message.address.rest, "", "")[:2]
    return CommandEvent(
        cmd_id=cmd_id[:64],
        name=name[:64],
        status="rejected",
        reason_code=code,
        result=text[:500],
    )


def _digest(name: str, params: dict[str, Any]) -> bytes:
    """Of what is asked, whatever the order of its parameters."""
    text = msgspec.json.encode([name, params], order="deterministic")
    return hashlib.sha256(text).digest()


def _open(connection: sqlite3.Connection) -> list[_Task]:
    return [_Task(*row) for row in connection.execute(_OPEN)]
