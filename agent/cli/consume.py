"""`consume`: the back end's side. It belongs to no device and reads no configuration of one."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import common

if TYPE_CHECKING:
    from agent.consumer.service import Status


def add(groups: common.Groups) -> None:
    help_ = "Store what devices send in a database, and acknowledge it to them."
    added = groups.add_parser("consume", help=help_, description=help_)
    added.set_defaults(run=_consume)
    # A password in a URL is safer in the environment, which other users cannot read.
    added.add_argument(
        "--to",
        default=os.environ.get("EDGE_CONSUME_TO"),
        metavar="URL",
        help="sqlite:///FILE or postgresql://USER@HOST/DB; or in $EDGE_CONSUME_TO",
    )
    added.add_argument(
        "--from",
        dest="from_",
        default=os.environ.get("EDGE_CONSUME_FROM", "mqtt://127.0.0.1:1883"),
        metavar="URL",
        help="mqtt://HOST[:PORT] or amqp://...; several of one cluster with commas;"
        " or in $EDGE_CONSUME_FROM",
    )
    added.add_argument(
        "--group", default="ingest", help="who share the work: of a queue edge.GROUP with AMQP"
    )
    added.add_argument("--name", metavar="INSTANCE", help="of its own within the group")
    added.add_argument(
        "--batch", type=_positive, default=500, metavar="N", help="messages in one transaction"
    )
    added.add_argument(
        "--session",
        type=int,
        default=30,
        metavar="SECONDS",
        help="so long the broker keeps messages for this instance when it is gone (MQTT)",
    )
    added.add_argument(
        "--datum",
        choices=("wgs84", "gcj02", "bd09"),
        help="store positions so, labelled; else as the devices send them",
    )
    for file in ("ca", "cert", "key"):
        added.add_argument(f"--{file}", type=Path, metavar="PEM", help="for mqtts:// and amqps://")
    common.reading(added)


def _consume(arguments: argparse.Namespace) -> int:
    from agent.consumer.app import Options, serve
    from agent.core import logs

    if not arguments.to:
        common.complain("consume: --to is missing; for example --to sqlite:///events.db")
        return 2
    logs.setup()
    options = Options(
        to=arguments.to,
        from_=arguments.from_,
        group=arguments.group,
        instance=arguments.name,
        batch=arguments.batch,
        session_s=arguments.session,
        ca=arguments.ca,
        cert=arguments.cert,
        key=arguments.key,
        datum=arguments.datum,
    )
    serve(options, _as_json if arguments.json else _as_text)
    return 0


def _as_json(status: Status) -> None:
    print(json.dumps(dataclasses.asdict(status)), flush=True)


def _as_text(status: Status) -> None:
    line = (
        f"{status.events_s:.0f} events/s ({status.events} stored), {status.devices} devices, "
        f"{status.duplicates} duplicates dropped, {status.holes} awaited, "
        f"{status.set_aside} set aside"
    )
    for what in (status.database, status.broker):
        if what is not None:
            line += f"; {common.plain(what)}"
    print(line, flush=True)


def _positive(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 30_000:  # twice this many may be unacknowledged, of 65,535 at most
        raise argparse.ArgumentTypeError("from 1 to 30000")
    return number
