"""Bugs as digests: the same one is the same, no value leaves the device, few of them travel."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from agent.contract.events import ErrorEvent
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.fleet.crash import LastWords
from agent.fleet.digest import EVERY_S, KINDS, Digest, Told, digest
from agent.fleet.digest_service import DigestService
from tests.support import ListRecorder, until

SECRET = "13800138000"
log = logging.getLogger(__name__)


def caught(error: type[Exception], *, deeper: bool = False) -> Exception:
    def fail() -> None:
        raise error(SECRET)

    try:
        if deeper:
            list(map(lambda _: fail(), [1]))  # noqa: C417
        fail()
    except error as found:
        return found
    raise AssertionError


def test_a_digest_says_what_and_where_and_no_value() -> None:
    found = digest(caught(ValueError))
    assert SECRET not in found.text
    assert found.text.startswith("ValueError at ")
    assert "test_digest.py" in found.text
    assert "fail" in found.text


def test_the_same_bug_has_the_same_digest_and_another_one_has_another() -> None:
    assert digest(caught(ValueError)).id == digest(caught(ValueError)).id
    others = {digest(caught(KeyError)).id, digest(caught(ValueError, deeper=True)).id}
    assert len(others | {digest(caught(ValueError)).id}) == 3


def test_what_a_task_group_raises_is_the_error_within() -> None:
    inner = caught(ValueError)
    assert digest(BaseExceptionGroup("g", [ExceptionGroup("h", [inner])])).id == digest(inner).id


def test_one_bug_is_told_once_an_hour_with_how_often() -> None:
    told, bug = Told(), Digest("a", "A at b")
    assert told.see(bug, 0) == 1
    assert [told.see(bug, t) for t in range(1, 100)] == [None] * 99
    assert told.see(bug, EVERY_S + 1) == 100


def test_a_thousand_different_bugs_are_no_flood() -> None:
    told = Told()
    events = [told.see(Digest(str(n), ""), float(n)) for n in range(1000)]
    assert len([times for times in events if times]) == KINDS


def test_logged_exceptions_are_told_by_their_digest() -> None:
    recorder = ListRecorder()

    async def story() -> None:
        clock = ManualClock()
        service = DigestService(clock, recorder, None)
        task = asyncio.ensure_future(service.run(Heartbeat("digest", clock, Health(clock))))
        await clock.advance(0)
        for _ in range(5):
            bug = caught(ValueError)
            log.error("it happened with %s", SECRET, exc_info=bug)
        log.error("no exception")
        await until(lambda: recorder.bodies)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(story())
    (event,) = recorder.bodies
    assert isinstance(event, ErrorEvent)
    assert event.source == "bug"
    assert SECRET not in repr(event)
    assert not any(type(h).__name__ == "Catcher" for h in logging.getLogger().handlers)


def test_how_a_life_ended_is_known_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "agent.db.life"

    def begin(boot: str) -> tuple[LastWords, str | None]:
        words = LastWords(path)
        end = words.begin(boot, 5, "1.0")
        return words, end.how if end else None

    words, how = begin("b1")
    assert how is None
    words.end()
    words, how = begin("b1")
    assert how is None
    words, how = begin("b1")  # nobody said good-bye
    assert how == "killed"
    words, how = begin("b2")
    assert how == "machine"
    words.crashed(caught(ValueError))
    assert SECRET not in path.read_text()
    again = LastWords(path).begin("b2", 6, "1.1")
    assert again is not None
    assert (again.how, again.mark.agent) == ("bug", "1.0")
    assert "fail" in again.mark.text
    path.write_text("nonsense")
    assert begin("b2")[1] is None


def test_a_crash_is_told_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "agent.db.life"
    first = LastWords(path)
    first.begin("b1", 5, "1.0")
    first.crashed(caught(ValueError))
    recorder = ListRecorder()

    async def story() -> None:
        clock = ManualClock()
        ended = LastWords(path).begin("b1", 6, "1.0")
        service = DigestService(clock, recorder, ended)
        task = asyncio.ensure_future(service.run(Heartbeat("digest", clock, Health(clock))))
        await until(lambda: recorder.bodies)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(story())
    (event,) = recorder.bodies
    assert isinstance(event, ErrorEvent)
    assert event.source == "crash.bug"
    assert event.text is not None
    assert "ValueError" in event.text
