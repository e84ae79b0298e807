"""`fleet list|watch|exec|config|rollout`: many devices at once, over MQTT and nothing else."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from agent.cli import common
from agent.contract.errors import Rejected

if TYPE_CHECKING:
    from agent.operators.fleet import Fleet, Outcome
    from agent.operators.rollout import Rollout
    from agent.operators.signer import KeySigner

BROKER = "EDGE_BROKER"
WATCH_S = 1.0
COLUMNS = ("state", "role", "site", "agent", "since")


def add(groups: common.Groups) -> None:
    list_ = _tool(groups, "list", "The devices, as they said last.", _list)
    watch = _tool(groups, "watch", "The same, live, until Ctrl-C.", _watch)
    exec_ = _tool(groups, "exec", "Ask many devices for the same thing.", _exec)
    exec_.add_argument("name", metavar="COMMAND")
    exec_.add_argument("params", nargs="?", default="{}", help="JSON")
    exec_.add_argument("--timeout", type=float, default=60.0, metavar="S")
    config = _tool(groups, "config", "What devices run with, and what they were to.", _config)
    for one in (list_, watch, exec_, config):
        _add_where(one)
    for one in (list_, exec_, config):
        common.reading(one)
    _signing(exec_)
    _add_rollout(common.group(groups, "rollout", "Bring a release or settings out in rings."))


def _add_rollout(groups: common.Groups) -> None:
    start = _tool(
        groups, "start", "Plan it and go; Ctrl-C leaves it to whoever takes over.", _start
    )
    start.add_argument("file", type=Path, help="keeps all that is known; it must not exist yet")
    what = start.add_mutually_exclusive_group(required=True)
    what.add_argument("--update", metavar="VERSION", help="a release")
    what.add_argument("--settings", type=Path, metavar="F", help="JSON: version, settings")
    start.add_argument("--rings", default="0.001,0.01,0.1,0.5,1", help="shares of the fleet")
    start.add_argument("--by", default="role", metavar="FIELD", help="each ring has all of these")
    start.add_argument("--soak", type=float, default=600.0, metavar="S", help="after each ring")
    start.add_argument("--patience", type=float, default=900.0, metavar="S", help="then: missing")
    _add_where(start)
    _signing(start)
    run = _tool(groups, "run", "Go on with one that somebody else began.", _go_on)
    _signing(run)
    status = common.tool(groups, "status", "How far it is.", _status)
    common.reading(status)
    pause = common.tool(groups, "pause", "Ask nobody any more.", lambda a: _mark(a, paused=True))
    resume = common.tool(groups, "resume", "Go on asking.", lambda a: _mark(a, paused=False))
    for one in (run, status, pause, resume):
        one.add_argument("file", type=Path)


def _tool(
    groups: common.Groups, name: str, help_: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    added = common.tool(groups, name, help_, run)
    added.add_argument(
        "--broker", default=os.environ.get(BROKER), metavar="URL",
        help=f"mqtts://USER@HOST[:PORT]; or in ${BROKER}",
    )  # fmt: skip
    for name_, what in (("ca", "to check it by"), ("cert", "who we are"), ("key", "its key")):
        added.add_argument(f"--{name_}", type=Path, metavar="PEM", help=what)
    return added


def _add_where(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--where", action="append", default=[], metavar="FIELD=GLOB",
        help="only these, e.g. role=shop, site=shop-0*, id=sh-021-01; may be given again",
    )  # fmt: skip


def _signing(added: argparse.ArgumentParser) -> None:
    added.add_argument("--sign-as", metavar="KID", help="the key's name on the devices")
    added.add_argument("--sign-key", type=Path, metavar="F", help="file with the secret key")


# --- looking --------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    return _with_fleet(arguments, _listing)


async def _listing(arguments: argparse.Namespace, fleet: Fleet) -> int:
    chosen = _chosen(arguments, fleet)
    found = [_row(fleet, device) for device in chosen]
    return common.show(arguments, found, _devices)


def _row(fleet: Fleet, device: str) -> dict[str, Any]:
    import msgspec

    presence = msgspec.to_builtins(fleet.devices[device])
    return {"id": device, **presence, "waiting": _waiting(presence)}


def _waiting(presence: dict[str, Any]) -> int:
    """Events that the device keeps, as it said when it connected."""
    streams = presence.get("streams", {}).values()
    return sum(max(0, s["last"] - s["first_unacked"] + 1) for s in streams)


def _devices(found: list[dict[str, Any]]) -> str:
    rows = [
        [d["id"], *(common.utc(d[c]) if c == "since" else d.get(c, "") for c in COLUMNS),
         d["waiting"], len(d.get("open_commands", []))]
        for d in found
    ]  # fmt: skip
    up = sum(d["state"] == "online" for d in found)
    table = common.table(rows, ["device", *COLUMNS, "waiting", "commands"])
    return f"{table}\n{len(found)} devices, {up} online"


def _watch(arguments: argparse.Namespace) -> int:
    return _with_fleet(arguments, _watching)


async def _watching(arguments: argparse.Namespace, fleet: Fleet) -> int:
    """On a terminal the whole table again; else each device that changed."""
    shown: dict[str, dict[str, Any]] = {}
    while True:
        now = {device: _row(fleet, device) for device in _chosen(arguments, fleet)}
        if common.is_terminal():
            print("\x1b[H\x1b[2J" + _devices(list(now.values())), flush=True)
        else:
            for device, row in now.items():
                if shown.get(device) != row:
                    print(json.dumps(row, ensure_ascii=False), flush=True)
        shown = now
        await fleet.clock.sleep(WATCH_S)


def _config(arguments: argparse.Namespace) -> int:
    return _with_fleet(arguments, _configs)


async def _configs(arguments: argparse.Namespace, fleet: Fleet) -> int:
    import msgspec

    found = {
        device: msgspec.to_builtins(reported)
        for device in _chosen(arguments, fleet)
        if (reported := fleet.reported.get(device)) is not None
    }

    def text(found: dict[str, Any]) -> str:
        rows: list[list[object]] = [
            [d, r.get("version"), r.get("in_force"), r.get("state", ""), r.get("error") or ""]
            for d, r in found.items()
        ]
        return common.table(rows, ["device", "wished", "in force", "state", "why"])

    return common.show(arguments, found, text)


# --- asking ---------------------------------------------------------------------------------------


def _exec(arguments: argparse.Namespace) -> int:
    return _with_fleet(arguments, _asking)


async def _asking(arguments: argparse.Namespace, fleet: Fleet) -> int:
    params = json.loads(arguments.params)
    if not isinstance(params, dict):
        raise Rejected("invalid", "the parameters are a JSON object")
    if not arguments.where:
        raise Rejected("where", "say which devices: --where role=shop, or --where 'id=*' for all")
    chosen = _chosen(arguments, fleet)
    expiry_s = int(arguments.timeout) + 1
    outcomes = await asyncio.gather(
        *(fleet.command(d, arguments.name, params, expiry_s=expiry_s) for d in chosen)
    )
    waiting = asyncio.ensure_future(fleet.finish(outcomes, arguments.timeout))
    while not waiting.done():
        _bar(sum(outcome.over for outcome in outcomes), len(outcomes))
        await asyncio.wait([waiting], timeout=0.2)
    _bar(sum(outcome.over for outcome in outcomes), len(outcomes), end="\n")
    common.show(arguments, [_told(outcome) for outcome in outcomes], _outcomes)
    return 0 if all(outcome.status == "succeeded" for outcome in outcomes) else 1


def _told(outcome: Outcome) -> dict[str, Any]:
    status = outcome.status if outcome.over else f"no answer ({outcome.status})"
    return {
        "device": outcome.device,
        "cmd_id": outcome.cmd_id,
        "status": status,
        "reason_code": outcome.reason,
        "result": outcome.result,
    }


def _outcomes(found: list[dict[str, Any]]) -> str:
    rows: list[list[object]] = [
        [o["device"], o["status"], o["reason_code"] or "", _short(o["result"])] for o in found
    ]
    good = sum(o["status"] == "succeeded" for o in found)
    table = common.table(rows, ["device", "status", "reason", "result"])
    return f"{table}\n{good} of {len(found)} succeeded"


def _short(result: Any) -> str:
    text = "" if result is None else json.dumps(result, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"


def _bar(done: int, of: int, end: str = "") -> None:
    if sys.stderr.isatty():
        full = 30 * done // max(1, of)
        print(f"\r[{'#' * full}{'.' * (30 - full)}] {done}/{of}", end=end, file=sys.stderr)


# --- roll-outs ------------------------------------------------------------------------------------


def _start(arguments: argparse.Namespace) -> int:
    return _with_fleet(arguments, _starting)


async def _starting(arguments: argparse.Namespace, fleet: Fleet) -> int:
    import msgspec

    from agent.operators import rollout_file
    from agent.operators.rollout import plan

    if arguments.file.exists():
        raise Rejected("exists", f"{arguments.file} is there; `fleet rollout run` goes on with it")
    task = rollout_file.read_task(arguments.update, arguments.settings)
    strata = {
        device: str(msgspec.to_builtins(fleet.devices[device]).get(arguments.by, ""))
        for device in _chosen(arguments, fleet)
    }
    if not strata:
        raise Rejected("nobody", "no device is chosen")
    try:
        rings = tuple(float(share) for share in arguments.rings.split(","))
        made = plan(
            task.name, strata, fleet.clock.wall(), rings=rings,
            soak_s=arguments.soak, patience_s=arguments.patience,
        )  # fmt: skip
    except ValueError as error:
        raise Rejected("invalid", f"--rings: {error}") from None
    rollout_file.write(arguments.file, task, made)
    return await _driving(arguments, fleet)


def _go_on(arguments: argparse.Namespace) -> int:
    return _with_fleet(arguments, _driving)


async def _driving(arguments: argparse.Namespace, fleet: Fleet) -> int:
    from agent.operators.rollout_service import RolloutService

    last = ""

    def tell(rollout: Rollout) -> None:
        nonlocal last
        if (text := _progress(rollout)) != last:
            print(text, flush=True)
            last = text

    done = await RolloutService(arguments.file, fleet, tell).run()
    return 0 if done.phase == "done" else 1


def _status(arguments: argparse.Namespace) -> int:
    import msgspec

    from agent.operators import rollout_file

    _, rollout = rollout_file.read(arguments.file)
    return common.show(arguments, msgspec.to_builtins(rollout), lambda _: _progress(rollout))


def _mark(arguments: argparse.Namespace, *, paused: bool) -> int:
    from agent.operators import rollout_file

    rollout_file.mark(arguments.file, paused=paused)
    return 0


def _progress(rollout: Rollout) -> str:
    within = rollout.within(rollout.ring).values()
    count = {
        what: sum(member.progress == what for member in within)
        for what in ("waiting", "asked", "succeeded", "failed", "missing")
    }
    told = ", ".join(f"{number} {what}" for what, number in count.items() if number)
    phase = f"{rollout.phase}, paused" if rollout.paused else rollout.phase
    where = f"ring {rollout.ring + 1} of {len(rollout.rings)}"
    lines = [f"{rollout.release}: {phase}, {where}: {told}"]
    if rollout.reason:
        lines.append(rollout.reason)
    lines += [f"  {id_}: {m.progress}: {m.reason}" for id_, m in list(rollout.bad().items())[:20]]
    return "\n".join(map(common.plain, "\n".join(lines).splitlines()))


# --- the broker -----------------------------------------------------------------------------------


def _with_fleet(
    arguments: argparse.Namespace,
    do: Callable[[argparse.Namespace, Fleet], Coroutine[Any, Any, int]],
) -> int:
    from agent.core.clock import SystemClock
    from agent.operators.fleet import Fleet, subscriptions
    from agent.uplink.link import LinkSettings

    if not arguments.broker:
        raise Rejected("no_broker", f"say which broker: --broker URL, or ${BROKER}")
    parts = urlsplit(arguments.broker)
    settings = LinkSettings(
        url=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
        client_id=f"operator-{os.getpid()}-{os.urandom(3).hex()}",
        subscriptions=subscriptions(),
        session_expiry_s=0,
        retry_max_s=5.0,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        ca=arguments.ca,
        cert=arguments.cert,
        key=arguments.key,
    )

    async def main() -> int:
        fleet = Fleet(settings, SystemClock(), _signer(arguments))
        async with fleet.open():
            return await do(arguments, fleet)

    return asyncio.run(main())


def _signer(arguments: argparse.Namespace) -> KeySigner | None:
    kid = getattr(arguments, "sign_as", None)
    if kid is None:
        return None
    from agent.core.clock import SystemClock
    from agent.operators.signer import KeySigner, read_seed

    return KeySigner(kid, read_seed(arguments.sign_key), SystemClock())


def _chosen(arguments: argparse.Namespace, fleet: Fleet) -> list[str]:
    from agent.operators.fleet import matches

    conditions = {}
    for given in arguments.where:
        name, equals, glob = given.partition("=")
        if not equals:
            raise Rejected("invalid", f"--where {given}: write FIELD=GLOB")
        conditions[name] = glob
    return sorted(d for d, p in fleet.devices.items() if matches(p, d, conditions))
