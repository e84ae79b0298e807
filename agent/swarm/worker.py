"""A crowd as a process: its plan on the command line, orders on stdin, what it counts on stdout."""

from __future__ import annotations

import asyncio
import json
import sys

import msgspec

from agent.core.clock import SystemClock
from agent.swarm.crowd import Crowd, Plan

TELL_S = 0.25


async def _run(plan: Plan) -> None:
    crowd = Crowd(plan, clock := SystemClock(trusted=True))
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def obey() -> None:
        while line := await reader.readline():
            crowd.cut(int(line))
        sys.exit(0)  # whoever conducts is gone

    async def tell() -> None:
        while True:
            up = sum(device.up for device in crowd.devices.values())
            said = {"up": up, "attempts": crowd.attempts, "sessions": crowd.sessions}
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()
            await clock.sleep(TELL_S)

    async with asyncio.TaskGroup() as group:
        for task in (crowd.run(), obey(), tell()):
            group.create_task(task)


if __name__ == "__main__":
    asyncio.run(_run(msgspec.json.decode(sys.argv[1], type=Plan)))
