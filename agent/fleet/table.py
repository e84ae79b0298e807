"""The table of commands: what there is, with what parameters, who may ask, what it does to whom."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from agent.contract.errors import Rejected
from agent.contract.events import Audit
from agent.core.recorder import Recorder
from agent.fleet.lifecycle import Nature

DEADLINE_S = 60.0
DETAIL_CHARS = 256  # of one value in an audit event

Scope = Literal["order", "ops", "release"]
# What a shop's own system may ask; the rest is for who looks after devices.
ORDER_SCOPE = frozenset({"order", "orders", "stock", "shop", "alert", "printer", "sound", "ping"})
# Says how far a command is; may be called as often as one likes.
Tell = Callable[[Any], Awaitable[None]]


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a command that has none."""


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    summary: str  # one line for the generated table
    params: type[msgspec.Struct]
    run: Callable[..., Awaitable[Any]]  # (parameters, by whom[, tell]) -> result
    remote: bool  # may be called over MQTT
    changes: bool  # it changes something: audited
    secret: bool  # the answer goes to who asked, on the topic that they named, and nowhere else
    withheld: frozenset[str]  # parameters that no event repeats
    nature: Nature  # what an interruption means; see lifecycle
    scope: Scope  # what a key must be for, to sign it
    dangerous: bool  # signed, without a clock, only for this very start of the agent
    tells: bool  # `run` takes a Tell, for its progress
    slow: bool  # it waits in a line of its own, so that quick ones need not
    cost: int  # tokens; see throttle
    deadline_s: float


class CommandTable:
    """Name -> what to do; raises Rejected for what is wrong with a request."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._entries: dict[str, Entry] = {}

    def add(
        self,
        name: str,
        summary: str,
        run: Callable[..., Awaitable[Any]],
        params: type[msgspec.Struct] = Nothing,
        *,
        remote: bool = True,
        changes: bool = True,
        secret: bool = False,
        withheld: frozenset[str] = frozenset(),
        nature: Nature | None = None,
        scope: Scope | None = None,
        dangerous: bool = False,
        tells: bool = False,
        slow: bool = False,
        cost: int = 1,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """What changes nothing may be repeated; what changes something may not, unless it says so.

        `scope`: by the first word of the name, where it is not said.
        `deadline_s`: of the whole; a command that needs longer ends as `timed_out`.
        """
        self._entries[name] = Entry(
            name=name,
            summary=summary,
            params=params,
            run=run,
            remote=remote,
            changes=changes,
            secret=secret,
            withheld=withheld,
            nature=nature or ("once" if changes else "repeatable"),
            scope=scope or _scope(name),
            dangerous=dangerous,
            tells=tells,
            slow=slow,
            cost=cost,
            deadline_s=deadline_s,
        )

    def entries(self) -> list[Entry]:
        return sorted(self._entries.values(), key=lambda entry: entry.name)

    def find(self, name: str) -> Entry | None:
        """None also for what was stored by another version of the agent."""
        return self._entries.get(name)

    async def ask(
        self, name: str, params: dict[str, Any], by: str, tell: Tell | None = None
    ) -> Any:
        entry, checked = self.check(name, params, remote=False)
        if entry.secret and by.startswith("page"):
            raise Rejected("secret", "its answer is not for a page")
        if entry.changes:
            detail = {
                key: brief(value) for key, value in params.items() if key not in entry.withheld
            }
            await self._recorder.record(Audit(action=name, by=by, detail=detail))
        if entry.tells:
            return await entry.run(checked, by, tell or _nobody)
        return await entry.run(checked, by)

    def check(self, name: str, params: Any, *, remote: bool) -> tuple[Entry, msgspec.Struct]:
        entry = self._entries.get(name)
        if entry is None or (remote and not entry.remote):
            raise Rejected("unknown_command", f"there is no command {name[:64]!r} here")
        try:
            return entry, msgspec.convert(params, entry.params)
        except msgspec.ValidationError as error:
            raise Rejected("invalid", str(error)) from None


def _scope(name: str) -> Scope:
    room = name.partition(".")[0]
    return "release" if room == "update" else "order" if room in ORDER_SCOPE else "ops"


async def _nobody(_how_far: Any) -> None:
    """Who asks over the control socket waits for the end."""


def brief(value: Any) -> Any:
    """A long text as its beginning and its digest: an audit shows what was said, not all of it."""
    if not isinstance(value, str):
        text = msgspec.json.encode(value).decode()
        return value if len(text) <= DETAIL_CHARS else brief(text)
    if len(value) <= DETAIL_CHARS:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{value[:64]}… ({len(value)} characters, SHA-256 {digest})"
