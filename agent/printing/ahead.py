"""The bytes of the next ticket, made while the printer is reached or prints another one."""

from __future__ import annotations

import asyncio

import msgspec

from agent.printing.jobs import Job
from agent.printing.render import Rendered, Renderer
from agent.printing.values import Stamp

FRESH_MS = 10_000  # the printing time on the ticket may be older by no more than this


class Ahead:
    """Holds one ticket. Rendering blocks, so it has a thread; never two at a time."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._job_id = ""
        self._stamp = Stamp()
        self._rendering: asyncio.Task[Rendered] | None = None

    def begin(self, job: Job, stamp: Stamp) -> None:
        """Render it now; does nothing while another ticket is being rendered."""
        if self._rendering is not None and not self._rendering.done():
            return
        if self._fits(job, stamp):
            return
        self._job_id, self._stamp = job.job_id, stamp
        thread = asyncio.to_thread(self._renderer.render, job.ticket, stamp)
        self._rendering = asyncio.ensure_future(thread)

    async def rendered(self, job: Job, stamp: Stamp) -> Rendered:
        """The ticket as bytes; made now unless it is there already."""
        fits = self._fits(job, stamp)
        rendering, self._rendering = self._rendering, None
        if rendering is not None:
            made = await rendering
            if fits:
                return made
        return await asyncio.to_thread(self._renderer.render, job.ticket, stamp)

    def _fits(self, job: Job, stamp: Stamp) -> bool:
        then, now = self._stamp.now_ms, stamp.now_ms
        same_time = then == now or (
            then is not None and now is not None and abs(now - then) < FRESH_MS
        )
        stamped = msgspec.structs.replace(stamp, now_ms=then)
        return (
            self._rendering is not None
            and self._job_id == job.job_id
            and self._stamp == stamped
            and same_time
        )
