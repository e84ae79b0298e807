"""`page`: the PINs of the staff page."""

from __future__ import annotations

import argparse
import getpass
import sys

from agent.cli import common
from agent.contract.errors import Rejected


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "page", "The page of this device.")
    added = common.command(sub, "pin", "Set a PIN; it is read from the terminal or a pipe.", _pin)
    added.add_argument("role", choices=["staff", "technician"])


def _pin(arguments: argparse.Namespace) -> int:
    """Never as an argument: other users of the machine see those."""
    if sys.stdin.isatty():
        pin = getpass.getpass(f"new PIN of {arguments.role} (6 to 12 digits): ")
        if getpass.getpass("once more: ") != pin:
            raise Rejected("invalid", "these were two different PINs; nothing is changed")
    else:
        pin = sys.stdin.readline().strip()
    print(common.ask(arguments, "page.pin", role=arguments.role, pin=pin))
    return 0
