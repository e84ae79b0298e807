"""Log lines: fields, journal priorities, and strangers' text made harmless."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.logs import Formatter, printable
from agent.core.notify import Notifier


def record(message: str, level: int = logging.WARNING, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "agent.x", "levelno": level, "msg": message})
    vars(made).update(extra)
    return made


def test_fields_follow_the_message_and_journald_gets_its_priority() -> None:
    line = Formatter(journal=True).format(record("rejected", topic="a/b"))
    assert line == "<4>agent.x: rejected topic=a/b"


def test_terminal_escapes_in_a_message_are_shown_not_obeyed() -> None:
    line = Formatter(journal=True).format(record("name \x1b[31mred\x07"))
    assert "\x1b" not in line
    assert "\\x1b[31mred\\x07" in line


@given(st.text())
def test_printable_text_is_printable_and_bounded(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) <= 2200


def test_the_notifier_speaks_to_systemds_socket(tmp_path: pytest.TempPathFactory) -> None:
    import socket

    path = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        notifier = Notifier(path)
        notifier.ready("shop sh-1")
        notifier.feed()
        assert systemd.recv(100) == b"READY=1\nSTATUS=shop sh-1"
        assert systemd.recv(100) == b"WATCHDOG=1"


def test_without_systemd_the_notifier_is_silent() -> None:
    Notifier("").feed()
