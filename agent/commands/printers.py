"""Printers, tickets and their templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agent.commands.params import Params
from agent.config import Name
from agent.contract.errors import Rejected
from agent.fleet.commands import CommandTable
from agent.fleet.throttle import PAPER
from agent.printing.desk import PrintingDesk
from agent.printing.views import Dump
from drivers.base import Examination


class Reprint(Params, frozen=True):
    order_id: str | None = None
    job_id: str | None = None


class Resume(Params, frozen=True):
    printer: str
    choice: Literal["all", "latest", "none"] = "all"


class OnPrinter(Params, frozen=True):
    printer: str


class OnJob(Params, frozen=True):
    job_id: str


class SetTemplate(Params, frozen=True):
    name: Name
    text: Annotated[str, Meta(max_length=8192)]


class OnTemplate(Params, frozen=True):
    name: Name


@dataclass(slots=True)
class PrinterCommands:
    """What the printing desk is asked for."""

    desk: PrintingDesk

    def add_to(self, table: CommandTable) -> None:
        add = table.add
        add("printer.reprint", "Print tickets again, marked.", self.reprint, Reprint, cost=PAPER)
        add("printer.resume", "Decide about tickets that waited.", self.resume, Resume)
        add("printer.test", "Print a test page.", self.test_page, OnPrinter, slow=True, cost=PAPER)
        add(
            "printer.examine",
            "Find out what a printer can prove.",
            self.examine,
            OnPrinter,
            slow=True,
            cost=PAPER,
        )
        add("ticket.preview", "What a ticket looks like.", self.preview, OnJob, changes=False)
        add(
            "printer.bytes", "The bytes of its newest ticket.", self.dump, OnPrinter,
            changes=False, remote=False,
        )  # fmt: skip
        add("ticket.templates", "The templates.", self.list_templates, changes=False)
        add(
            "ticket.set", "Tickets look by this template from now on.", self.set_ticket, SetTemplate
        )
        add("ticket.reset", "Forget a template that was sent.", self.reset_ticket, OnTemplate)

    async def reprint(self, params: Reprint, by: str) -> list[str]:
        target = params.job_id or params.order_id
        if target is None:
            raise Rejected("invalid", "say which order_id or job_id")
        return await self.desk.reprint(target, by)

    async def resume(self, params: Resume, by: str) -> int:
        return await self.desk.resume(params.printer, params.choice, by)

    async def test_page(self, params: OnPrinter, _by: str) -> str:
        return await self.desk.test_page(params.printer)

    async def examine(self, params: OnPrinter, _by: str) -> Examination:
        return await self.desk.examine(params.printer)

    async def preview(self, params: OnJob, _by: str) -> dict[str, Any]:
        return msgspec.structs.asdict(await self.desk.preview(params.job_id))

    async def dump(self, params: OnPrinter, _by: str) -> Dump:
        return await self.desk.dump(params.printer)

    async def list_templates(self, _params: Any, _by: str) -> list[dict[str, str]]:
        return self.desk.templates()

    async def set_ticket(self, params: SetTemplate, _by: str) -> None:
        await self.desk.set_template(params.name, params.text)

    async def reset_ticket(self, params: OnTemplate, _by: str) -> None:
        await self.desk.reset_template(params.name)
