"""One table of commands; MQTT, the control socket and the page are three doors to it.

A command that came over MQTT is a row: `accepted` is committed before the broker's PUBACK,
`running` before the effect, the final status with its event. One found `running` after a restart
ends as `unknown`, because nobody can tell whether it had its effect; the sender decides.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from agent.contract.commands import MAX_BYTES, Command
from agent.contract.errors import Rejected
from agent.contract.events import Audit, CommandEvent
from agent.contract.wire import decode, encode
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.store.database import Database
from agent.store.inbox import Incoming
from drivers.base import DriverError

log = logging.getLogger(__name__)

DEADLINE_S = 60.0
KEEP_S = 7 * 86400.0  # results, so that a repeated cmd_id is recognised

_INSERT = """INSERT INTO commands (cmd_id, name, status, received, reply_topic, correlation, params)
VALUES (?, ?, 'accepted', ?, ?, ?, ?)"""
_FIND = "SELECT status FROM commands WHERE cmd_id = ?"
_OPEN = """SELECT cmd_id, name, status, params, reply_topic, correlation FROM commands
WHERE status IN ('accepted', 'running') ORDER BY received"""
_STATUS = "UPDATE commands SET status = ?, result = ? WHERE cmd_id = ?"
_PRUNE = "DELETE FROM commands WHERE received < ? AND status NOT IN ('accepted', 'running')"


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a command that has none."""


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    summary: str  # one line for the generated table
    params: type[msgspec.Struct]
    run: Callable[[Any, str], Awaitable[Any]]  # (parameters, by whom) -> result
    remote: bool  # may be called over MQTT
    changes: bool  # it changes something: audited
    secret: bool  # the answer goes to who asked, on the topic that they named, and nowhere else
    withheld: frozenset[str]  # parameters that no event repeats


class CommandTable:
    """Name -> what to do; raises Rejected for what is wrong with a request."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._entries: dict[str, Entry] = {}

    def add(
        self,
        name: str,
        summary: str,
        run: Callable[[Any, str], Awaitable[Any]],
        params: type[msgspec.Struct] = Nothing,
        *,
        remote: bool = True,
        changes: bool = True,
        secret: bool = False,
        withheld: frozenset[str] = frozenset(),
    ) -> None:
        self._entries[name] = Entry(name, summary, params, run, remote, changes, secret, withheld)

    def entries(self) -> list[Entry]:
        return sorted(self._entries.values(), key=lambda entry: entry.name)

    def is_secret(self, name: str) -> bool:
        return name in self._entries and self._entries[name].secret

    async def ask(self, name: str, params: dict[str, Any], by: str) -> Any:
        entry, checked = self.check(name, params, remote=False)
        if entry.secret and by.startswith("page"):
            raise Rejected("secret", "its answer is not for a page")
        if entry.changes:
            detail = {key: value for key, value in params.items() if key not in entry.withheld}
            await self._recorder.record(Audit(action=name, by=by, detail=detail))
        return await entry.run(checked, by)

    def check(self, name: str, params: Any, *, remote: bool) -> tuple[Entry, msgspec.Struct]:
        entry = self._entries.get(name)
        if entry is None or (remote and not entry.remote):
            raise Rejected("unknown_command", f"there is no command {name!r} here")
        try:
            return entry, msgspec.convert(params, entry.params)
        except msgspec.ValidationError as error:
            raise Rejected("invalid", str(error)) from None


@dataclass(frozen=True, slots=True)
class _Task:
    cmd_id: str
    name: str
    status: str
    params: bytes
    reply_topic: str | None
    correlation: bytes | None


class CommandService:
    """Runs what came over MQTT, one after the other."""

    name = "commands"

    def __init__(
        self,
        table: CommandTable,
        database: Database,
        clock: Clock,
        recorder: Recorder,
        reply: Callable[[str, bytes, bytes | None], Awaitable[None]],
    ) -> None:
        self._table = table
        self._database = database
        self._clock = clock
        self._recorder = recorder
        self._reply = reply
        self._wake = asyncio.Event()

    # --- the inbox's handlers ---------------------------------------------------------------------

    def handle(self, tx: sqlite3.Connection, message: Incoming) -> Callable[[], None]:
        name, cmd_id = self._identity(message)
        if tx.execute(_FIND, (cmd_id,)).fetchone():
            return lambda: None  # delivered again
        command = decode(message.payload or b"{}", Command, max_bytes=MAX_BYTES)
        now = int(self._clock.wall() * 1000)
        if command.exp is not None and now > command.exp and self._clock.quality() != "none":
            raise Rejected("expired", f"it expired {(now - command.exp) // 1000} s ago")
        entry, _ = self._table.check(name, command.params, remote=True)
        if entry.secret and not message.response_topic:
            raise Rejected("no_response_topic", "its answer only goes to a response topic")
        tx.execute(
            _INSERT,
            (
                cmd_id,
                name,
                now,
                message.response_topic,
                message.correlation,
                encode(command.params),
            ),
        )
        self._recorder.put(tx, CommandEvent(cmd_id=cmd_id, name=name, status="accepted"))
        return self._wake.set

    def refuse(
        self, tx: sqlite3.Connection, message: Incoming, rejected: Rejected
    ) -> Callable[[], None]:
        name, cmd_id = (*message.address.rest, "", "")[:2]
        self._recorder.put(
            tx,
            CommandEvent(
                cmd_id=cmd_id[:64],
                name=name[:64],
                status="rejected",
                reason_code=rejected.code,
                result=str(rejected)[:500],
            ),
        )
        return lambda: None

    def _identity(self, message: Incoming) -> tuple[str, str]:
        if len(message.address.rest) != 2 or not all(
            0 < len(p) <= 64 for p in message.address.rest
        ):
            raise Rejected("bad_topic", "the topic is not cmd/{name}/{cmd_id}")
        return message.address.rest[0], message.address.rest[1]

    # --- the service ------------------------------------------------------------------------------

    async def open_commands(self) -> list[str]:
        return [task.cmd_id for task in await self._database.read(_open)]

    async def run(self, heartbeat: Heartbeat) -> None:
        for task in await self._database.read(_open):
            if task.status == "running":
                await self._finish(task, "unknown", reason_code="restarted")
        while True:
            for task in await self._database.read(_open):
                await heartbeat.idle(self._execute(task))
            await self._database.write(self._prune)
            await heartbeat.idle(self._wake.wait())
            self._wake.clear()

    def _prune(self, tx: sqlite3.Connection) -> None:
        tx.execute(_PRUNE, (int((self._clock.wall() - KEEP_S) * 1000),))

    async def _execute(self, task: _Task) -> None:
        await self._database.write(lambda tx: tx.execute(_STATUS, ("running", None, task.cmd_id)))
        try:
            async with asyncio.timeout(DEADLINE_S):
                params = msgspec.json.decode(task.params)
                result = await self._table.ask(task.name, params, f"command:{task.cmd_id}")
        except TimeoutError:
            await self._finish(task, "timed_out", reason_code="deadline")
        except Rejected as rejected:
            await self._finish(task, "rejected", reason_code=rejected.code, result=str(rejected))
        except DriverError as error:
            await self._finish(task, "failed", reason_code="device", result=str(error))
        else:
            await self._finish(task, "succeeded", result=result)

    async def _finish(
        self, task: _Task, status: Any, *, reason_code: str | None = None, result: Any = None
    ) -> None:
        answer = CommandEvent(
            cmd_id=task.cmd_id,
            name=task.name,
            status=status,
            reason_code=reason_code,
            result=msgspec.to_builtins(result),
        )
        event = answer
        if status == "succeeded" and self._table.is_secret(task.name):
            event = msgspec.structs.replace(answer, result=None)

        def store(tx: sqlite3.Connection) -> None:
            tx.execute(_STATUS, (status, encode(event.result), task.cmd_id))
            self._recorder.put(tx, event)

        await self._database.write(store)
        if task.reply_topic:
            await self._reply(task.reply_topic, encode(answer), task.correlation)


def _open(connection: sqlite3.Connection) -> list[_Task]:
    return [_Task(*row) for row in connection.execute(_OPEN)]
