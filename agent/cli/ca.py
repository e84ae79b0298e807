"""`ca`: the small certificate authority for pilots."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import common
from agent.contract.errors import Rejected

if TYPE_CHECKING:
    from agent.fleet.ca import Authority

FOLDER = "/var/lib/edge-ca"


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "ca", "A certificate authority for pilots; see docs/identity.md.")
    init = _command(sub, "init", "Make an authority.", _init)
    init.add_argument("--name", default="edge", help="how its certificates call it")
    init.add_argument("--url", default="", help="the broker, for `serve` and `revoke`")
    init.add_argument("--crl", default="", metavar="F", help="copy of the revoked, for the broker")
    init.add_argument("--reload", default="", metavar="CMD", help="lets the broker read it anew")
    init.add_argument("--days", type=float, default=30.0, help="life of a device's certificate")
    issue = _command(sub, "issue", "A certificate for a broker or a program.", _issue)
    issue.add_argument("name", metavar="NAME")
    issue.add_argument("--host", action="append", default=[], help="a broker's name or address")
    issue.add_argument("--out", default=".", metavar="DIR", help="for NAME.pem and NAME.key")
    code = _command(sub, "code", "A one-time code for a device, good for 10 minutes.", _code)
    code.add_argument("device", metavar="DEVICE|SCANNED", help="its id, or the ticket's QR code")
    code.add_argument("--serial", help="of its machine: edge-agent enroll --serial")
    serve = _command(sub, "serve", "Answer what devices ask.", _serve)
    serve.add_argument("--url", help="the broker")
    common.reading(_command(sub, "list", "Who has a certificate.", _list))
    revoke = _command(sub, "revoke", "Take a certificate back and end the connection.", _revoke)
    revoke.add_argument("name", metavar="NAME")
    revoke.add_argument("--reason", default="revoked")
    revoke.add_argument("--url", help="the broker")
    _command(sub, "crl", "Write the list of the revoked anew.", _crl)
    roll = _command(sub, "roll", "Change the root: first trust a second one.", _roll)
    step = roll.add_mutually_exclusive_group()
    step.add_argument("--switch", action="store_true", help="then issue with it")
    step.add_argument("--finish", action="store_true", help="at last, trust the old one no more")
    roll.add_argument("--force", action="store_true", help="though some devices stay behind")


def _command(sub: common.Groups, name: str, help_: str, run: Any) -> argparse.ArgumentParser:
    added = common.command(sub, name, help_, run)
    added.add_argument("--folder", default=FOLDER, metavar="DIR", help="of the authority")
    return added


def _authority(arguments: argparse.Namespace) -> Authority:
    try:
        from agent.fleet.ca import Authority
    except ImportError as error:
        raise Rejected("not_installed", f"{error}: pip install cryptography") from error
    return Authority(Path(arguments.folder))


def _now() -> float:
    from agent.core.clock import SystemClock

    return SystemClock().wall()


def _url(authority: Authority, arguments: argparse.Namespace) -> str:
    url = arguments.url or authority.setting("url")
    if not url:
        raise Rejected("no_url", "which broker? --url mqtts://HOST")
    return str(url)


def _init(arguments: argparse.Namespace) -> int:
    from agent.fleet.ca import Authority

    chosen = {name: getattr(arguments, name) for name in ("url", "crl", "reload")}
    settings = {name: value for name, value in chosen.items() if value}
    folder = Path(arguments.folder)
    Authority.create(folder, arguments.name, _now(), days=str(arguments.days), **settings)
    print(
        f"{folder}/trust.pem is what brokers and devices trust. Its root key, {folder}/1/root.key,"
        " is needed again for `ca roll` only: keep it elsewhere."
    )
    return 0


def _issue(arguments: argparse.Namespace) -> int:
    from agent.fleet.ca import replace

    authority = _authority(arguments)
    key, chain = authority.issue(arguments.name, _now(), arguments.host)
    out = Path(arguments.out)
    replace(out / f"{arguments.name}.key", key, 0o600)
    replace(out / f"{arguments.name}.pem", chain.encode())
    print(f"{out / arguments.name}.key and .pem, for a year")
    return 0


def _code(arguments: argparse.Namespace) -> int:
    from agent.fleet.identity_ticket import scanned

    device, serial = scanned(arguments.device) or (arguments.device, arguments.serial)
    if not serial:
        common.complain(
            "for which machine? --serial, as `edge-agent enroll --serial` says it there"
        )
        return 2
    code = _authority(arguments).code(device, serial, _now())
    print(f"{code}  for 10 minutes; on the device: edge-agent enroll {code}")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    import asyncio
    import contextlib
    import signal

    from agent.core import logs
    from agent.core.clock import SystemClock
    from agent.fleet.ca_service import CaService

    authority = _authority(arguments)
    logs.setup()
    service = CaService(authority, SystemClock(), _url(authority, arguments))

    async def until_stopped() -> None:
        running = asyncio.ensure_future(service.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(until_stopped())
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    authority, now = _authority(arguments), _now()
    owners = [asdict(owner) for owner in authority.owners()]

    def text(owners: Any) -> str:
        rows = [
            [o["name"], o["kind"], o["hardware"], common.utc(o["not_after"] * 1000),
             _state(o, now), o["generation"], o["trusts"]]
            for o in owners
        ]  # fmt: skip
        return common.table(
            rows, ["NAME", "KIND", "SERIAL", "UNTIL (UTC)", "STATE", "ROOT", "KNOWS ROOT"]
        )

    return common.show(arguments, owners, text)


def _state(owner: dict[str, Any], now: float) -> str:
    if owner["revoked"] is not None:
        return f"revoked: {owner['reason']}"
    return "good" if owner["not_after"] > now else "ended"


def _revoke(arguments: argparse.Namespace) -> int:
    import asyncio

    from agent.core.clock import SystemClock
    from agent.fleet.ca_service import shut_out

    authority = _authority(arguments)
    ended = authority.revoke(arguments.name, _now(), arguments.reason)
    url = _url(authority, arguments)
    reached = asyncio.run(shut_out(authority, SystemClock(), url, arguments.name))
    print(f"{ended} certificates of {arguments.name} ended")
    if not reached:
        common.complain(f"its connection could not be ended at {url}: end it there")
    return 0 if reached else 1


def _crl(arguments: argparse.Namespace) -> int:
    from agent.fleet.ca_service import publish_lists

    authority = _authority(arguments)
    publish_lists(authority, _now())
    print(authority.setting("crl") or authority.folder / "crl.pem")
    return 0


def _roll(arguments: argparse.Namespace) -> int:
    authority, now = _authority(arguments), _now()
    if not (arguments.switch or arguments.finish):
        number = authority.roll(now)
        print(
            f"root {number} is trusted, too. Give {arguments.folder}/trust.pem to the broker and"
            " the back end, let devices renew (command identity.renew), then: ca roll --switch"
        )
        return 0
    behind = authority.behind(now) if arguments.switch else authority.remaining(now)
    if behind and not arguments.force:
        common.complain(
            "these do not know the new root yet:" if arguments.switch
            else "these have a certificate of the old root still:",
            *(f"  {name}" for name in behind),
        )  # fmt: skip
        return 1
    if arguments.switch:
        authority.switch(now)
        print("the new root issues. Renew brokers' certificates (ca issue); then: ca roll --finish")
    else:
        authority.finish(now)
        print(f"the old root is trusted no more. Give {arguments.folder}/trust.pem to the broker")
    return 0
