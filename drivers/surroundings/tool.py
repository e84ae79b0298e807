"""Runs a command-line tool of the system, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from drivers.base import DriverError

DEADLINE_S = 15.0
OUTPUT_MAX = 256 * 1024  # more is no list of neighbours


async def run(command: Sequence[str], package: str) -> str:
    """What it prints; DriverError when it is missing, fails or hangs."""
    tool = command[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        text = f"{tool} cannot be run ({error.strerror}); `apt install {package}`"
        raise DriverError(text) from error
    try:
        async with asyncio.timeout(DEADLINE_S):
            out, complaint = await process.communicate()
    except TimeoutError:
        raise DriverError(f"{tool} did not answer in {DEADLINE_S:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        words = complaint[:200].decode("utf-8", "replace").strip()
        raise DriverError(f"{tool} says: {words or process.returncode}")
    return out[:OUTPUT_MAX].decode("utf-8", "replace")
