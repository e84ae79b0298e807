"""`run` and `demo`."""

from __future__ import annotations

import argparse

from agent.cli import common


def add(groups: common.Groups) -> None:
    added = common.command(groups, "run", "Run the agent in the foreground.", _run)
    added.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    demo = groups.add_parser("demo", help="Shop, rider, broker and back end on this machine.")
    demo.set_defaults(run=_demo)
    demo.add_argument("--headless", action="store_true", help="play the story and judge it")
    demo.add_argument("--seconds", type=int, default=60, help="length of the story (headless)")
    demo.add_argument("--port", type=int, default=8750, help="of the page on 127.0.0.1")
    demo.add_argument("--no-browser", action="store_true", help="only print the page's address")


def _run(arguments: argparse.Namespace) -> int:
    from agent.core import memory

    with memory.left_out("typing_extensions"):  # msgspec does without; it costs 0.3 MB
        from agent.daemon import main
    return main(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from agent.cli.demo import main

    return main(arguments)
