"""No secret is in the settings that a technician sees, however deep it stands."""

from __future__ import annotations

from typing import Any

import pytest

from agent import shown


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("uplink.url", "mqtts://shop:swordfish@192.0.2.1"),
        ("uplink.fallbacks", ["mqtt://192.0.2.1", "mqtt://shop:swordfish@192.0.2.2"]),
        ("printer", [{"name": "kitchen", "uri": "tcp://a:swordfish@192.0.2.9"}]),
        ("printer", [{"name": "kitchen", "options": {"token": "swordfish"}}]),
        ("page.pin", "swordfish"),
    ],
)
def test_a_secret_is_hidden_however_deep_it_stands(key: str, value: Any) -> None:
    told = shown.concealed(key, value)
    assert "swordfish" not in repr(told)
    assert shown.HIDDEN in repr(told)


def test_what_is_no_secret_is_shown() -> None:
    assert shown.concealed("printer", [{"name": "kitchen"}]) == [{"name": "kitchen"}]
    assert shown.concealed("uplink.fallbacks", []) == []
