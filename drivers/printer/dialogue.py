"""What is said to a printer and what it answers, over any transport. Blocking; for one thread.

Waiting is counted in reads that brought nothing, each of a known length, so that no clock is needed
and a printer that keeps making progress is never cut off.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

from drivers.base import DriverError, Evidence, Examination, PrinterStatus, WriteError
from drivers.printer import escpos
from drivers.printer.status import (
    Automatic,
    Information,
    JobDone,
    RealTime,
    ReplyParser,
    Transmitted,
    real_time_status,
)
from drivers.printer.transport import Settings, Transport

RESYNC_S = 9.0  # the bytes of RESYNC at 9600 baud, behind a print server that hides the line
SLICE_S = 0.5
FAULT_S = 1.0  # a fault that outlasts this is told
READS_MAX = 64  # at a stretch, should something chatter without end
RESUME_S = 15.0  # for a ticket of an earlier life: nobody knows how long it is
LINE_S = 0.1  # a slow printer's time for a line of text, and for a byte of picture
BYTE_S = 0.0001


class Dialogue:
    """`talks` is decided once, by `probe`: a printer that answers nothing is written to blindly."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self.talks = False
        self._settings = settings
        self._transport = transport
        self._parser = ReplyParser()
        self._asked: deque[int] = deque()  # DLE EOT n without an answer yet
        self._answers: dict[int, int] = {}
        self._fresh = False  # the probe's answers are still the printer's state
        self._mute: set[int] = set()  # n that this printer does not answer
        self._barriers = 0  # GS r without an answer yet
        self._printing_s = 0.0  # how long the last job may take to print
        self._jobs = 0  # that got no token from elsewhere
        self._token = b""  # the last job id asked for
        self._job_waits = False  # for that id
        self._job_proved = False  # by that id
        self._reports = False  # has said something by itself
        self._told: Information | None = None
        self._cuts: int | None = None  # before the job
        self._counted: int | None = None  # just now, behind the last job
        self._unasked = 0  # answers to GS r that nobody here asked for: an earlier life did
        self._done: deque[bytes] = deque(maxlen=8)  # job ids told, whoever asked for them
        self._resuming = self._trusted = False
        self._kept = transport.inherited
        self._job = ""  # the token of what was delivered, until it is proved

    @property
    def rejected(self) -> Counter[str]:
        return self._parser.rejected

    def probe(self) -> None:
        """Find out whether the printer answers; raises DriverError when it is gone."""
        if not self._transport.readable:
            return
        self._forget()
        whole = self._ask([1, 4], self._settings.probe_s)  # in one go: each answer is a round trip
        self.talks = 1 in self._answers
        if not self.talks:
            return
        if not whole:
            self._ask([4], self._settings.answer_s)
        self._fresh = not self._transport.inherited  # else it may be what an earlier life asked
        if self._settings.watch:
            self._transport.write(escpos.ASB_ON)

    def status(self) -> PrinterStatus:
        """Asked now. Causes are asked for only where there is something to explain."""
        self._counted = None
        if not self.talks:
            return PrinterStatus()
        self._forget()
        if self._fresh:
            self._fresh = False
        else:
            self._answers.clear()
            self._ask([1, 4], self._settings.answer_s)
        if 1 not in self._answers:
            raise DriverError(
                f"printer {self._settings.name} does not answer any more; switch it off and on"
            )
        if (
            self._answers[1] & 0x08
            and self._ask([2], self._settings.answer_s)
            and self._answers[2] & 0x40
        ):
            self._ask([3], self._settings.answer_s)
        return real_time_status(self._answers)

    def resync(self) -> None:
        """Finish whatever picture a broken job left half sent, and reset."""
        self._barriers = 0
        self._job_waits = False
        self._cuts = None
        self._job = ""
        self._forget()
        self._transport.write(escpos.RESYNC)
        if self.talks and not self._ask([1], self._settings.stall_s + RESYNC_S):
            raise DriverError(
                f"printer {self._settings.name} does not recover; switch it off and on"
            )

    def write(self, data: bytes) -> None:
        """A printer that hung up meanwhile is found out before the first byte is lost in it."""
        self._ready()
        self._send(data, b"")

    def deliver(self, data: bytes, token: str) -> Evidence:
        """A job with the questions behind it in one write, so that a death of this process
        between the two cannot leave it without them; then as `barrier`."""
        self._ready()
        by_id = self._settings.evidence == "job_id"
        self._job = token
        self._send(data, self._questions(token.encode(), by_id=by_id) if self.talks else b"")
        return self.barrier()

    def _ready(self) -> None:
        self._job = ""
        try:
            self._forget()
        except DriverError as error:
            raise WriteError(str(error), accepted=0) from error

    def _send(self, data: bytes, questions: bytes) -> None:
        self._fresh = False
        self._printing_s = data.count(b"\n") * LINE_S + len(data) * BYTE_S
        self._keep()
        self._transport.write(data + questions)

    def _keep(self) -> None:
        """From now on something may come back that this process does not live to hear."""
        keeper, fd = self._settings.keeper, self._transport.fileno()
        if keeper is None or fd is None or self._kept or not self._transport.keepable:
            return
        if self.talks:
            keeper.keep(self._settings.name, fd)
            self._kept = True

    @property
    def counts(self) -> bool:
        """Whether the cutter's counter is what proves a job."""
        return self._settings.evidence == "counter"

    def mark(self) -> str | None:
        """The counter before a job; None where it proves nothing."""
        counted, self._counted = self._counted, None
        if self.counts:
            self._cuts = self._count() if counted is None else counted
        return None if self._cuts is None else str(self._cuts)

    def came_out(self, mark: str) -> bool | None:
        """Whether the counter moved by the one cut of the job since `mark`."""
        now = self._count() if self.counts and mark.isdecimal() else None
        return None if now is None else {0: False, 1: True}.get(now - int(mark))

    @property
    def counted(self) -> bool:
        """Whether the mark before the next job is known without asking."""
        return self._counted is not None

    def barrier(self, *, by_id: bool | None = None) -> Evidence:
        """Until GS r is answered and the printer has nothing to complain of.

        Raises DriverError after a fault of FAULT_S or a silence; calling again waits on. The better
        evidence that the settings promise is waited for too; a printer that does not give it after
        all has proved no more than the barrier. `by_id` asks for a job id, whatever they promise.
        """
        if not self.talks:
            self._transport.drain()  # no proof, but what is still in our kernel is surely not out
            return Evidence.NONE
        if not self._barriers:
            wanted = self._settings.evidence == "job_id" if by_id is None else by_id
            self._jobs += 1
            self._transport.write(self._questions(b"%d" % self._jobs, by_id=wanted))
        self._await(lambda: not self._barriers and not self._job_waits)
        return self._evidence()

    def resume(self, token: str) -> Evidence:
        """What proves a job of an earlier life: its note, or an answer on the connection it left.

        First we listen. Then our own GS r comes behind everything that was written: when that is
        answered, the job's id or its own GS r has been answered before, or was never written. An
        answer to GS r does not say what it is for: it counts while nobody else has asked, and where
        the printer does not report by itself (ASB), because a report that was cut looks like one.
        """
        if noted := self._noted(token):
            return noted
        if not self.talks:
            return Evidence.NONE
        if self._noted_text() == f"{token} answered":
            self._await(lambda: True)  # it has no fault: that was all that was missing
            return Evidence.BARRIER
        if not self._transport.inherited:
            return Evidence.NONE
        if not self._resuming:
            self._resuming = True
            self._inherit(token)
            if not self._overheard():
                self._keeper_notes(f"{token} asked")
                self._barriers = 1
                self._transport.write(escpos.BARRIER)
        self._await(lambda: not self._barriers)  # no answer of ours is to be left for the next job
        while not self._job_proved and self._listen(self._settings.answer_s / 4):
            pass  # our own answer would follow the job's at once
        self._resuming = False
        proved = Evidence.JOB_ID if self._job_proved else Evidence.NONE
        if not self._job_proved and self._unasked and self._trusted:
            proved = Evidence.BARRIER
            self._note(proved)
        self._job = ""
        return proved

    def _inherit(self, token: str) -> None:
        """Take the job for ours, with what has been heard of it."""
        self._printing_s = RESUME_S
        self._job, self._token = token, escpos.job_id(token.encode())[-escpos.JOB_ID_BYTES :]
        self._job_waits, self._job_proved = self._settings.evidence == "job_id", False
        if self._token in self._done:
            self._prove()
        asked = self._noted_text() == f"{token} asked"
        self._trusted = not asked and not self._settings.watch
        self._answered(self._unasked and self._trusted)

    def _overheard(self) -> bool:
        """Whether the proof comes without being asked for: then a death now costs nothing."""
        for _ in range(READS_MAX):
            if self._job_proved or (self._unasked and self._trusted and not self._job_waits):
                return True
            if not self._listen(2 * self._settings.answer_s):
                break
        return False

    def _keeper_notes(self, text: str) -> None:
        if self._settings.keeper is not None:
            self._settings.keeper.jot(self._settings.name, text)

    def _answered(self, behind_the_job: object) -> None:
        """GS r is answered; whether the printer has a fault is asked now, or by a next life."""
        if behind_the_job and self._job and not self._job_waits:
            self._keeper_notes(f"{self._job} answered")

    def _noted_text(self) -> str:
        keeper = self._settings.keeper
        return keeper.jotted(self._settings.name) if keeper else ""

    def _noted(self, token: str) -> Evidence | None:
        name, _, evidence = self._noted_text().partition(" ")
        known = name == token and evidence in set(Evidence)
        return Evidence(evidence) if known else None

    def _await(self, over: Callable[[], bool]) -> None:
        """Until this holds; DriverError after a fault of FAULT_S or a silence."""
        idle = faulty = 0.0
        while not over():
            if self._listen(SLICE_S):
                idle += SLICE_S / READS_MAX
                continue
            fault = self.status().fault
            idle += SLICE_S
            faulty = faulty + SLICE_S if fault else 0.0
            if fault and faulty >= FAULT_S:
                raise DriverError(f"printer {self._settings.name} stopped in a ticket: {fault}")
            if idle >= self._settings.stall_s + self._printing_s and not fault:
                if not self._barriers:
                    break
                raise DriverError(f"printer {self._settings.name} does not come to an end")
        fault = self.status().fault
        if fault:
            raise DriverError(f"printer {self._settings.name} stopped behind a ticket: {fault}")

    def _questions(self, token: bytes, *, by_id: bool) -> bytes:
        """What is written behind a job so that its end is told."""
        self._barriers = 1
        self._job_proved = False
        self._unasked = 0
        self._done.clear()
        asb = escpos.ASB_ON if self._settings.watch else b""  # ESC @ ended it
        if not by_id:
            return escpos.BARRIER + asb
        question = escpos.job_id(token)
        self._token = question[-escpos.JOB_ID_BYTES :]
        self._job_waits = True
        return question + escpos.BARRIER + asb

    def _evidence(self) -> Evidence:
        before, self._cuts = self._cuts, None
        self._job_waits = False
        evidence = Evidence.JOB_ID if self._job_proved else Evidence.BARRIER
        if before is not None and not self._job_proved:
            self._counted = self._count()
            if self._counted == before + 1:
                evidence = Evidence.COUNTER
        self._note(evidence)
        return evidence

    def _prove(self) -> None:
        self._job_waits, self._job_proved = False, True
        self._note(Evidence.JOB_ID)

    def _note(self, evidence: Evidence) -> None:
        """Until it is committed, for a life after this one."""
        if self._job:
            self._keeper_notes(f"{self._job} {evidence.value}")
        self._job = ""

    def _count(self) -> int | None:
        """Cuts since the printer was made; None when it does not say."""
        text = self._told_by(escpos.CUTS)
        return int(text) if text.isdecimal() else None

    def _told_by(self, question: bytes) -> str:
        """The text that answers GS I or GS g; empty when there is none."""
        if not self.talks:
            return ""
        self._told = None
        self._transport.write(question)
        for _ in range(READS_MAX):
            heard = self._listen(self._settings.answer_s)
            if self._told is not None:
                return self._told.text
            if not heard:
                break
        return ""

    def examine(self, pages: Sequence[bytes]) -> Examination:
        """Print these pages, each ending with a cut, and see what the printer can prove.

        What a printer does not know it may print as a few characters: on a test page, no harm.
        """
        if not self.talks:
            for page in pages:
                self.write(page)
            self._transport.drain()
            return Examination(talks=False)
        about = {n: self._told_by(escpos.INFORMATION + bytes([n])) for n in (66, 67, 65, 69)}
        reports = self._tells_by_itself()
        counts = [self._count()]
        best = []
        for page in pages:
            self.write(page)
            best.append(self.barrier(by_id=True))
            counts.append(None if counts[-1] is None else self._count())
        numbers = [count for count in counts if count is not None]
        first = numbers[0] if numbers else 0
        return Examination(
            talks=True,
            maker=about[66],
            model=about[67],
            firmware=about[65],
            language=about[69],
            reports=reports,
            job_id=Evidence.JOB_ID in best,
            counter=len(numbers) > 1 and numbers == list(range(first, first + len(pages) + 1)),
            barrier=True,
        )

    def _tells_by_itself(self) -> bool:
        """Whether ASB is answered: switched on, a printer says at once how it is."""
        self._reports = False
        self._transport.write(escpos.ASB_ON)
        for _ in range(READS_MAX):
            if not self._listen(self._settings.answer_s) or self._reports:
                break
        if not self._settings.watch:
            self._transport.write(escpos.ASB_OFF)
        return self._reports

    def farewell(self) -> None:
        """Leave the printer to others as it was found."""
        if self._kept and self._settings.keeper is not None:
            self._settings.keeper.drop(self._settings.name)
        if self.talks and self._settings.watch:
            self._transport.write(escpos.ASB_OFF)

    def fileno(self) -> int | None:
        return self._transport.fileno() if self._transport.readable else None

    def _ask(self, questions: list[int], patience_s: float) -> bool:
        """DLE EOT n for each n; whether all were answered.

        One that is asked alone and not answered is not asked again: many printers know 1 and 4
        only, and an answer does not say which question it is for.
        """
        asked = [n for n in questions if n not in self._mute]
        if not asked:
            return False
        self._asked.extend(asked)
        self._transport.write(b"".join(escpos.REAL_TIME + bytes([n]) for n in asked))
        for _ in range(READS_MAX):
            heard = self._listen(patience_s)
            if not self._asked:
                return True
            if not heard:
                break
        self._asked.clear()
        if len(asked) == 1:
            self._mute.update(set(asked) - {1})
        return False

    def _listen(self, wait_s: float) -> bool:
        """Read once; whether anything came."""
        data = self._transport.read(wait_s)
        for reply in self._parser.feed(data):
            if isinstance(reply, RealTime) and self._asked:
                self._answers[self._asked.popleft()] = reply.byte
            elif isinstance(reply, Transmitted):
                if self._barriers:
                    self._barriers -= 1
                    self._answered(not self._barriers and not self._resuming)
                else:
                    self._unasked += 1
                    self._answered(self._resuming and self._trusted)
            elif isinstance(reply, JobDone):
                self._done.append(reply.id)
                if self._job_waits and reply.id == self._token:
                    self._prove()
            elif isinstance(reply, Automatic):
                self._reports = True
            elif isinstance(reply, Information):
                self._told = reply
        return bool(data)

    def _forget(self) -> None:
        """Take what came unasked off the line."""
        self._asked.clear()
        for _ in range(READS_MAX):
            if not self._listen(0.0):
                break
