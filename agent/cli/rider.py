"""`duty` and `consent`: whether and how exactly a rider is located."""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli import common

WORDS = {
    "off": "the receiver is off",
    "idle": "about where the rider is, at fixed times",
    "delivery": "exactly where the rider is",
}
CONSENT = {
    "given": "given",
    "missing": "MISSING: nothing is collected before it is given",
    "withdrawn": "WITHDRAWN: nothing is collected",
    "elsewhere": "kept by the employer, as the configuration says",
}


def add(groups: common.Groups) -> None:
    duty = common.command(groups, "duty", "Whether the rider is at work; sets it too.", _duty)
    common.reading(duty).add_argument("duty", nargs="?", choices=["off", "idle", "delivering"])
    consent = common.group(groups, "consent", "The rider's consent to be located.")
    common.reading(common.command(consent, "show", "What was agreed to, by whom, when.", _show))
    give = common.command(consent, "give", "The rider has read the text and agrees.", _give)
    common.reading(give).add_argument(
        "--person", required=True, metavar="ID", help="who agrees, as the fleet names riders"
    )
    give.add_argument("--notice", metavar="VERSION", help="of the text shown; else that in force")
    common.reading(
        common.command(consent, "withdraw", "Taken back; what was not sent is deleted.", _withdraw)
    )


def _duty(arguments: argparse.Namespace) -> int:
    if arguments.duty is None:
        return _show(arguments)
    return common.show(arguments, common.ask(arguments, "duty.set", duty=arguments.duty), text)


def _show(arguments: argparse.Namespace) -> int:
    return common.show(arguments, common.ask(arguments, "consent.show"), text)


def _give(arguments: argparse.Namespace) -> int:
    notice = arguments.notice or common.ask(arguments, "consent.show")["notice"]
    found = common.ask(arguments, "consent.give", person=arguments.person, notice=notice)
    return common.show(arguments, found, text)


def _withdraw(arguments: argparse.Namespace) -> int:
    return common.show(arguments, common.ask(arguments, "consent.withdraw"), text)


def text(rider: dict[str, Any]) -> str:
    """As a person reads it."""
    from datetime import UTC, datetime

    lines = [
        f"duty: {rider['duty']}; the back end learns: {WORDS[rider['precision']]}",
        f"consent: {CONSENT[rider['consent']]} (text {rider['notice']})",
    ]
    if (record := rider["record"]) is not None:
        when = datetime.fromtimestamp(record["t"] / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        word = "agreed to" if record["given"] else "took back"
        lines.append(
            f"{record['person'] or '?'} {word} text {record['notice']} on {when}, {record['by']}"
        )
    if "forgotten" in rider:
        lines.append(f"{rider['forgotten']} events that were not sent yet are deleted")
    return "\n".join(common.plain(line) for line in lines)
