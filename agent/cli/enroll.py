"""`enroll`: a device gets its certificate."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import common

if TYPE_CHECKING:
    from agent.config import Config
    from agent.contract.enrolment import EnrollRequest
    from agent.fleet.identity import Identity
    from agent.uplink.link import LinkSettings


def add(groups: common.Groups) -> None:
    added = common.command(
        groups, "enroll", "Get this device's certificate; without CODE the next one.", _enroll
    )
    added.add_argument("code", nargs="?", metavar="CODE", help="as `edge-agent ca code` gave it")
    added.add_argument("--url", help="broker for enrolment; else uplink.enroll_url, uplink.url")
    added.add_argument("--ca", metavar="F", help="PEM file to check that broker by")
    added.add_argument("--user", metavar="NAME", help="of the account that may only enrol")
    added.add_argument("--password-file", metavar="F", help="with its password")
    added.add_argument(
        "--ticket", metavar="PRINTER", help="only print what the authority must know, as a ticket"
    )
    added.add_argument(
        "--serial", action="store_true", help="only say this machine's serial number"
    )


def _enroll(arguments: argparse.Namespace) -> int:
    from agent.fleet.identity import beside, hardware

    if arguments.serial:
        print(hardware())
        return 0
    config = common.load(arguments).config
    if arguments.ticket:
        return _print_ticket(config, arguments.ticket, hardware())
    identity = beside(Path(config.store.path))
    if arguments.code is None and not identity.enrolled:
        common.complain("this device was never enrolled, so it needs a code: edge-agent ca code")
        return 2
    return _obtain(config, identity, _claim(config, identity, arguments), arguments.code)


def _claim(config: Config, identity: Identity, arguments: argparse.Namespace) -> LinkSettings:
    """How the authority is reached by who has no certificate."""
    from agent.fleet.identity_client import claim
    from agent.passwords import first_line

    known = identity.files().ca if identity.enrolled else None
    ca = arguments.ca or config.uplink.enroll_ca or config.uplink.ca or known
    password_file = arguments.password_file or config.uplink.enroll_password_file
    return claim(
        arguments.url or config.uplink.enroll_url or config.uplink.url,
        config.device.id,
        Path(ca) if ca else None,
        arguments.user or config.uplink.enroll_username,
        first_line(password_file),
    )


def _obtain(config: Config, identity: Identity, claim: LinkSettings, code: str | None) -> int:
    import asyncio

    from agent.contract import enrolment
    from agent.core.clock import SystemClock
    from agent.fleet import identity_work
    from agent.fleet.identity import hardware
    from agent.fleet.identity_client import exchange

    device = config.device.id
    if code is not None:
        try:
            enrolment.normal(code)
        except ValueError as error:
            common.complain(str(error))
            return 2
    asked = identity_work.Asked(device, hardware(), code)
    request: EnrollRequest = identity_work.ask(identity, asked)
    answer = asyncio.run(exchange(claim, SystemClock(), device, request))
    about = identity_work.take(identity, identity_work.Taken(device, request, answer, code))
    identity.adopt(trial=False)
    until = common.utc(about.not_after * 1000)
    print(f"{device} is enrolled until {until} UTC and will renew its certificate by itself.")
    if config.uplink.cert:
        print("uplink.cert is set, so it stays in use; remove uplink.cert and uplink.key.")
    return 0


def _print_ticket(config: Config, name: str, serial: str) -> int:
    import asyncio

    from agent.core.clock import SystemClock
    from agent.fleet.identity_ticket import ticket
    from agent.printing.devices import open_printer
    from agent.printing.render import dots_of
    from drivers.printer import escpos
    from drivers.printer.raster import Rasterizer

    section = next((one for one in config.printer if one.name == name), None)
    if section is None:
        common.complain(f"there is no printer {name} in the configuration")
        return 2
    draw = Rasterizer(dots_of(section), section.font).draw
    job = escpos.encode(ticket(config.device.id, serial), charset=section.charset, draw=draw)

    async def write() -> None:
        async with open_printer(section, SystemClock()) as printer:
            await printer.resync()
            await printer.write(job)
            await printer.barrier()

    asyncio.run(write())
    return 0
