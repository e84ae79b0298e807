"""The log in memory: bounded, in order, what matters outlives chatter; a level for a while."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.core.tail import CHATTER_BYTES, HISTORY_BYTES, LevelService, Tail
from tests.support import until


@pytest.fixture
def logger() -> logging.Logger:
    made = logging.Logger("agent.test", logging.DEBUG)  # noqa: LOG001 - nobody else's
    made.addHandler(Tail())
    return made


def tail(logger: logging.Logger) -> Tail:
    (found,) = logger.handlers
    assert isinstance(found, Tail)
    return found


def test_lines_are_read_on_from_the_last_one(logger: logging.Logger) -> None:
    logger.info("one", extra={"topic": "a/b"})
    logger.debug("two")
    first = tail(logger).since()
    assert [line.text for line in first] == ["agent.test: one topic=a/b", "agent.test: two"]
    logger.warning("three\x1b[2J")
    (new,) = tail(logger).since(first[-1].n)
    assert (new.n, new.level, new.text) == (3, logging.WARNING, "agent.test: three\\x1b[2J")
    assert [line.n for line in tail(logger).since(level="INFO")] == [1, 3]
    assert [line.n for line in tail(logger).since(limit=2)] == [2, 3]


def test_chatter_does_not_push_out_what_warned(logger: logging.Logger) -> None:
    logger.warning("the printer is gone")
    for n in range(2000):
        logger.info("chatter %d", n)
    lines = tail(logger).since(limit=5000)
    assert lines[0].text == "agent.test: the printer is gone"
    assert lines[-1].text == "agent.test: chatter 1999"
    assert len(lines) < 2000


@given(st.lists(st.text(max_size=5000), max_size=60))
def test_it_never_grows_beyond_its_bound(texts: list[str]) -> None:
    kept = Tail()
    for n, text in enumerate(texts):
        kept.emit(logging.makeLogRecord({"msg": text, "levelno": 20 + 20 * (n % 2)}))
    lines = kept.since(limit=5000)
    size = sum(len(line.text.encode("utf-8", "replace")) for line in lines)
    assert size <= CHATTER_BYTES + HISTORY_BYTES
    assert [line.n for line in lines] == sorted({line.n for line in lines})


def test_a_level_falls_back_by_itself_and_a_later_word_replaces_an_earlier() -> None:
    async def play() -> None:
        clock, root = ManualClock(), logging.Logger("root", logging.INFO)  # noqa: LOG001
        service = LevelService(clock, root)
        task = asyncio.ensure_future(service.run(Heartbeat("logs", clock, Health(clock))))
        service.put("DEBUG", 600)
        assert root.level == logging.DEBUG
        await asyncio.sleep(0)
        await clock.advance(590)
        service.put("WARNING", 600)
        await clock.advance(30)
        assert root.level == logging.WARNING
        await clock.advance(600)
        await until(lambda: root.level == logging.INFO)
        service.put("DEBUG", 600)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert root.level == logging.INFO

    asyncio.run(play())
