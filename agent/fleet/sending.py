"""A file to the back end, in parts on a topic of its own: slowly, so that nothing else waits.

One part is under way at a time, and the next goes when the broker has it: between two of them an
order's alert, a print, an SOS go first. A part that is not acknowledged is sent again. Parts are
not events: they are not kept on the disk, have no number, and end with the command that asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from agent.contract.errors import Rejected
from agent.core.clock import Clock

PART_BYTES = 32 * 1024
PAUSE_S = 0.05  # between two parts
RETRY_S = 5.0
NOBODY = 0x10  # PUBACK: no subscriber
CONTENT_TYPE = "application/octet-stream"

# (number of the part from 0, its bytes) -> reason code of the PUBACK; None when none came.
Deliver = Callable[[int, bytes], Awaitable[int | None]]


async def send(
    data: bytes, deliver: Deliver, clock: Clock, tell: Callable[[Any], Awaitable[None]]
) -> dict[str, Any]:
    """What is needed to put it together again. Rejected: nobody_listens, refused."""
    parts = max(1, -(-len(data) // PART_BYTES))
    for number in range(parts):
        piece = data[number * PART_BYTES : (number + 1) * PART_BYTES]
        while (code := await deliver(number, piece)) is None:
            await clock.sleep(RETRY_S)
        if code == NOBODY:
            raise Rejected("nobody_listens", "nobody has subscribed to bundle/#")
        if code:
            raise Rejected("refused", f"the broker refused a part (reason {code:#04x})")
        await tell({"part": number + 1, "parts": parts})
        await clock.sleep(PAUSE_S)
    return {"parts": parts, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
