"""Replies of printers; the bytes are those of Epson's command reference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.base import PrinterStatus
from drivers.printer.status import (
    Automatic,
    Information,
    JobDone,
    RealTime,
    ReplyParser,
    Transmitted,
    automatic_status,
    real_time_status,
)


@pytest.mark.parametrize(
    ("data", "replies"),
    [
        (b"\x12", [RealTime(0x12)]),
        (b"\x1a\x16", [RealTime(0x1A), RealTime(0x16)]),
        (b"\x00", [Transmitted(0)]),
        (b"\x0c", [Transmitted(0x0C)]),
        (b"\x11\x13\x12", [RealTime(0x12)]),
        (b"\x10\x00\x00\x0f", [Automatic(PrinterStatus(True, "ok", cover_open=False))]),
        (b"\x3c\x00\x0c\x0f\x12", [
            Automatic(PrinterStatus(False, "out", cover_open=True)), RealTime(0x12),
        ]),
        (b"\x37\x22AB12\x00\x00", [JobDone(b"AB12"), Transmitted(0)]),
        (b"\x5fTM-T20\x00\x12", [Information("TM-T20"), RealTime(0x12)]),
    ],
)  # fmt: skip
def test_kinds_of_replies_are_told_apart(data, replies):
    assert ReplyParser().feed(data) == replies
    slowly = ReplyParser()
    assert [r for byte in data for r in slowly.feed(bytes([byte]))] == replies


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_replies_or_are_counted(data):
    parser = ReplyParser()
    replies = parser.feed(data)
    assert len(replies) + sum(parser.rejected.values()) <= len(data)


def test_a_block_without_end_is_dropped():
    parser = ReplyParser()
    parser.feed(b"\x5f" + b"x" * 1000)
    assert parser.rejected["block_too_long"] == 1


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ({}, None),
        ({1: 0x12, 4: 0x12}, None),
        ({1: 0x12, 4: 0x1E}, None),  # near end
        ({1: 0x1A}, "offline"),
        ({1: 0x1A, 4: 0x72}, "paper_out"),
        ({1: 0x1A, 2: 0x32, 4: 0x12}, "paper_out"),
        ({1: 0x1A, 2: 0x16, 4: 0x12}, "cover_open"),
        ({1: 0x1A, 2: 0x52, 3: 0x1A, 4: 0x12}, "error"),
    ],
)
def test_real_time_answers_name_the_fault(answers, fault):
    assert real_time_status(answers).fault == fault


def test_errors_have_names():
    assert real_time_status({2: 0x52, 3: 0x1A}).error == "cutter jammed"
    assert automatic_status(b"\x18\x20\x00\x0f").error == "unrecoverable error"
    assert automatic_status(b"\x18\x40\x03\x0f").paper == "low"
