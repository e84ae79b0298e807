"""A person at a real terminal: what is expected there, and what is typed then."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
DEADLINE_S = 60.0
CTRL_C, ENTER = "\x03", "\r"


def at_terminal(
    arguments: Sequence[str], talk: Sequence[tuple[str, str]], **environment: str
) -> tuple[int, str]:
    """`edge-agent ARGUMENTS` at a terminal; see in_terminal."""
    return in_terminal([sys.executable, "-m", "agent", *arguments], talk, **environment)


def in_terminal(
    command: Sequence[str], talk: Sequence[tuple[str, str]], **environment: str
) -> tuple[int, str]:
    """A program in a pty: (exit status, all that was on the screen).

    `talk`: when this is read (behind what was answered last), that is typed.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(ROOT)
        variables = os.environ | {"TERM": "xterm", "LANG": "C.UTF-8", "LC_ALL": ""} | environment
        os.execvpe(command[0], list(command), variables)
    seen, at, end, left, typed = b"", 0, time.monotonic() + DEADLINE_S, list(talk), ""
    try:
        while time.monotonic() < end:
            ready, _, _ = select.select([terminal], [], [], 0.5)
            try:
                data = os.read(terminal, 4096) if ready else None
                if not ready and typed == CTRL_C:  # it came just before Python began to read
                    os.write(terminal, typed.encode())
            except OSError:  # the other side is gone
                break
            if data == b"":
                break
            seen += data or b""
            if left and (found := seen.find(left[0][0].encode(), at)) >= 0:
                at = found + len(left[0][0].encode())
                typed = left.pop(0)[1]
                os.write(terminal, typed.encode())
        else:
            os.kill(pid, signal.SIGKILL)
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    screen = seen.decode("utf-8", "replace")
    assert not left, f"never read {left[0][0]!r}:\n{screen}"
    return os.waitstatus_to_exitcode(status), screen
