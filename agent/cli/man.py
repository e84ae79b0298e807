"""The man page, written from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from agent import __version__
from agent.cli import common
from agent.cli.tree import COMMON, Argument, Node, read

ABOUT = """The daemon of a shop's device or a rider's kit. A shop's prints order tickets, sounds
alerts and shows a page to the staff; a rider's reports where it is, hears shops' beacons and has an
emergency button. What could not be sent yet is kept on the device's own disk."""
STATUS = (
    ("0", "Done."),
    ("1", "It failed: the text says what happened, since when, and what to do."),
    ("2", "Wrong usage."),
    ("78", "The configuration is wrong, with the list of problems. systemd does not try again."),
    ("130", "Ended by Ctrl-C."),
)
FILES = (
    ("/etc/edge-agent/config.toml", "The configuration; `edge-agent setup` writes it."),
    ("/etc/edge-agent/conf.d/*.toml", "More of it, over the first, in the order of their names."),
    ("/etc/edge-agent/places.toml", "Which beacon hangs where."),
    ("/etc/edge-agent/tickets/*.ticket", "The shop's own ticket templates."),
    ("/var/lib/edge-agent/agent.db", "What waits to be sent; never delete it."),
    ("/var/lib/edge-agent/agent.sock", "By which these commands reach the running agent."),
)
ENVIRONMENT = (
    ("EDGE_AGENT_SECTION__KEY", "Overrides a setting, as EDGE_AGENT_UPLINK__URL."),
    ("LC_ALL, LC_MESSAGES, LANG", "Chinese where they begin with zh, unless device.language says."),
)
EXAMPLES = (
    ("sudo edge-agent setup", "Set a new device up."),
    ("edge-agent doctor --fix", "Say what is wrong, and set right what is safe."),
    ("edge-agent printer resume kitchen --choice latest", "After an outage, only the newest."),
    ("edge-agent bundle", "One file for support, without secrets."),
)


def add(groups: common.Groups) -> None:
    added = groups.add_parser("man", help="Print this manual page.", description="The man page.")
    added.set_defaults(run=_man)


def _man(_arguments: argparse.Namespace) -> int:
    from agent.cli import parser

    print(page(read(parser())), end="")
    return 0


def page(top: Node) -> str:
    """In the man(7) macros of troff."""
    return "\n".join(_lines(top)) + "\n"


def _lines(top: Node) -> Iterator[str]:
    yield f'.TH EDGE\\-AGENT 1 "{_date()}" "edge\\-agent {_text(__version__)}" "User Commands"'
    yield from (".nh", ".ad l")  # commands are neither parted nor spread
    yield from (".SH NAME", "edge\\-agent \\- order tickets, alerts and positions from the edge")
    yield from (".SH SYNOPSIS", ".B edge\\-agent", ".I COMMAND", "[options]")
    yield from (".SH DESCRIPTION", _text(ABOUT))
    yield ".SH COMMANDS"
    leaves = [node for node in top.walk() if not node.children and node.path]
    for node in leaves:
        yield from _command(node)
    yield from (".SH OPTIONS", "Every command that reads the configuration takes:")
    for option in next(node for node in leaves if len(node.arguments) > 2).options:
        if set(option.flags) & set(COMMON):
            yield from _option(option)
    for title, rows in (
        ("EXIT STATUS", STATUS),
        ("FILES", FILES),
        ("ENVIRONMENT", ENVIRONMENT),
        ("EXAMPLES", EXAMPLES),
    ):
        yield f".SH {title}"
        for name, what in rows:
            yield from (".TP", f".B {_text(name)}", _text(what))
    yield from (".SH SEE ALSO", ".BR systemctl (1),", ".BR journalctl (1)")


def _date() -> str:
    """The release's, not today's: the same parser gives the same page."""
    from datetime import UTC, datetime

    from agent.core.clock import BUILD_TIME

    return datetime.fromtimestamp(BUILD_TIME, UTC).date().isoformat()


def _command(node: Node) -> Iterator[str]:
    yield from (".TP", f".B edge\\-agent {_text(' '.join(node.path))}")
    own = [a for a in node.arguments if not set(a.flags) & set(COMMON)]
    if own:
        yield from (_text(" ".join(argument.usage() for argument in own)), ".br")
    yield _text(node.help)
    if explained := [argument for argument in own if argument.help]:
        yield ".RS"
        for argument in explained:
            yield from _option(argument)
        yield ".RE"


def _option(argument: Argument) -> Iterator[str]:
    word = "|".join(argument.choices) or argument.word
    flags = f"\\fB{_text(', '.join(argument.flags))}\\fR " if argument.flags else ""
    yield from (".TP", f"{flags}\\fI{_text(word)}\\fR" if word else flags.rstrip())
    yield _text(argument.help)


def _text(text: str) -> str:
    """No line begins with a troff command, no dash becomes a hyphen."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    text = text.replace(",", ",\\:") if "{" in text else text  # a list may be broken there
    return f"\\&{text}" if text.startswith((".", "'")) else text
