"""`edge-agent demo`: the arguments are in agent/cli/run.py."""

from __future__ import annotations

import argparse

from agent.demo.run import Options
from agent.demo.run import main as perform


def main(arguments: argparse.Namespace) -> int:
    """0, or 1 when something was lost or printed twice in silence."""
    return perform(
        Options(
            headless=arguments.headless,
            seconds=arguments.seconds,
            port=arguments.port,
            browser=not arguments.no_browser,
        )
    )
