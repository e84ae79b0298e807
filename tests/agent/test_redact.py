"""What leaves for support: secrets and people are taken out, what explains a fault stays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import redact

SECRET = st.text(
    st.sampled_from("abcdefghjkmnpqrstuvwxyzABCDEFGH23456789"), min_size=12, max_size=48
)
MOBILE = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
AROUND = st.sampled_from(["", "x ", "订单 ", "order o-17: ", '{"a": 1} ', "\n"])


@pytest.mark.parametrize(
    "form",
    [
        "password = {}",
        'password="{}"',
        "mqtt_password: {}",
        '{{"token": "{}"}}',
        "{{'api_key': '{}'}}",
        "?pin={}&x=1",
        "uplink.secret={}",
        "Authorization: Bearer {}",
        "mqtts://user:{}@broker.example:8883",
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\n{}",
    ],
)
@given(secret=SECRET, before=AROUND, after=AROUND)
def test_a_secret_does_not_get_out(form: str, secret: str, before: str, after: str) -> None:
    said = redact.text(before + form.format(secret) + " " + after)
    assert secret not in said
    assert redact.HIDDEN in said


@given(
    number=MOBILE,
    before=AROUND,
    form=st.sampled_from(["{}", "+86{}", "+86 {}", "tel:{}", "张三{}号"]),
)
def test_a_phone_does_not_get_out(number: str, before: str, form: str) -> None:
    assert number[3:] not in redact.text(before + form.format(number))


@pytest.mark.parametrize(
    "text",
    [
        "朝阳区建国路88号3单元502室",
        "上海市浦东新区世纪大道100号",
        "customer at 221 Baker Street, third floor",
        "ann.other@example.com",
        "call 021-55551234",
        "call (555) 123-4567",
        "+44 20 7946 0958",
    ],
)
def test_where_people_live_and_how_to_reach_them_is_hidden(text: str) -> None:
    said = redact.text(f"note: {text}") + redact.text(f"x {text}")
    assert not any(
        part in said for part in ("88号", "100号", "Baker", "ann.other", "5555", "4567", "7946")
    )


@given(
    st.floats(-89, 89).map(lambda x: round(x, 6)), st.floats(-179, 179).map(lambda x: round(x, 6))
)
def test_a_position_stays_only_as_an_area(lat: float, lon: float) -> None:
    said = redact.text(f"fix lat={lat:.6f} lon={lon:.6f} acc=4")
    near = [float(part.partition("=")[2]) for part in said.split()[1:3]]
    assert near == pytest.approx([lat, lon], abs=0.0051)
    assert all(len(part.partition(".")[2]) <= 2 for part in said.split()[1:3])
    hidden = redact.value("", {"fence": [{"id": "a", "lat": lat, "lon": lon}]})
    assert hidden["fence"][0]["lat"] == round(lat, 2)


def test_a_receivers_sentence_says_no_place() -> None:
    said = redact.text('raw "$GNGGA,123519,4807.038123,N,01131.000456,E,1,08,0.9" seen')
    assert "4807" not in said
    assert "$GNGGA" in said


@pytest.mark.parametrize(
    "text",
    [
        "printer kitchen: out of paper: open the lid and put in a new roll. Since 12:04.",
        "uplink: no connection to the back end: mqtt://192.0.2.9:1883: Connection refused.",
        "rejected seq=1234567890 t=1800000000000 epoch=7f3a",
        "sh-021-01 at shop-021, agent 0.1.0; 12 of 4096 bytes at 9600 baud",
        "2026-11-22 21:55:10,123 INFO agent.app: shop sh-021-01 runs",
        "shipping: pinned spinning keyboard",
    ],
)
def test_what_explains_a_fault_stays(text: str) -> None:
    assert redact.text(text) == text


def test_settings_hide_what_their_names_say() -> None:
    settings = {
        "uplink": {"url": "mqtts://me:geheim@b:8883", "password_file": "/etc/edge-agent/pw"},
        "page": {"pin": "482913", "names": ["till.local"]},
        "on": True,
        "none": None,
        "token": "",
    }
    told = json.dumps(redact.value("", settings))
    assert "geheim" not in told
    assert "482913" not in told
    assert "till.local" in told


@given(st.text(max_size=400))
def test_any_text_is_redacted_in_the_end(text: str) -> None:
    assert isinstance(redact.text(text), str)
    assert redact.text(redact.text(text)) == redact.text(text)
