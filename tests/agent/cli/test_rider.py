"""What `duty` and `consent` say to a person."""

from __future__ import annotations

from typing import Any

import pytest

from agent.cli.rider import text

RECORD = {"given": True, "person": "r-7", "notice": "2", "by": "cli", "t": 1_800_000_000_000}


def rider(**changes: Any) -> dict[str, Any]:
    here = {"precision": "delivery", "duty": "delivering", "state": "delivering", "notice": "2"}
    return here | {"consent": "given", "record": RECORD} | changes


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (rider(), ["exactly where", "given", "r-7 agreed to text 2 on 2027-01-15 08:00 UTC, cli"]),
        (rider(precision="off", consent="missing", record=None), ["receiver is off", "MISSING"]),
        (rider(precision="idle", duty="idle"), ["about where", "duty: idle"]),
        (
            rider(
                precision="off", consent="withdrawn", record=RECORD | {"given": False}, forgotten=9
            ),
            ["took back", "WITHDRAWN", "9 events that were not sent yet are deleted"],
        ),
        (rider(record=RECORD | {"person": "\x1b[2J"}), ["\\x1b[2J"]),
    ],
)
def test_it_says_what_is_known_of_the_rider_and_by_whose_word(
    view: dict[str, Any], words: list[str]
) -> None:
    said = text(view)
    assert all(word in said for word in words), said
