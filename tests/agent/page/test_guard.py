from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import config
from agent.contract.errors import Rejected
from agent.page import guard

HOSTS = guard.hosts(("127.0.0.1", *guard.LOOPBACK), 8080)
HOST = "127.0.0.1:8080"
JSON = {"Host": HOST, "Content-Type": "application/json", "Origin": f"http://{HOST}"}


def verdict(method: str, path: str, headers: dict[str, str], length: int = 0) -> str:
    try:
        guard.check(method, path, headers, length, HOSTS)
    except Rejected as error:
        return error.code
    return "ok"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8080", "ok"),
        ("LOCALHOST:8080", "ok"),
        ("[::1]:8080", "ok"),
        ("localhost", "bad_host"),
        ("localhost:8081", "bad_host"),
        ("evil.example:8080", "bad_host"),
        ("localhost.evil.example:8080", "bad_host"),
        ("127.0.0.1:8080@evil.example", "bad_host"),
        ("", "bad_host"),
    ],
)
def test_only_the_names_of_this_device_are_answered(host, expected):
    assert verdict("GET", "/", {"Host": host}) == expected
    assert verdict("GET", "/api/status", {"Host": host}) == expected


def test_the_port_is_left_out_of_the_host_only_where_it_is_80():
    assert {"localhost", "[fe80::1]:80"} <= guard.hosts(("localhost", "fe80::1"), 80)
    assert "localhost" not in guard.hosts(("localhost",), 80, "https")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "ok"),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, "ok"),
        ({"Origin": None, "Sec-Fetch-Site": "same-origin"}, "ok"),
        ({"Origin": None}, "cross_site"),
        ({"Origin": "null"}, "cross_site"),
        ({"Origin": "https://127.0.0.1:8080"}, "cross_site"),
        ({"Origin": "http://localhost:8080"}, "cross_site"),
        ({"Origin": "http://evil.example"}, "cross_site"),
        ({"Origin": None, "Sec-Fetch-Site": "none"}, "cross_site"),
        ({"Sec-Fetch-Site": "same-site"}, "cross_site"),
        ({"Content-Type": None}, "content_type"),
        ({"Content-Type": "text/plain"}, "content_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "content_type"),
    ],
)
def test_a_command_comes_from_the_page_itself_and_is_json(change, expected):
    headers = {name: value for name, value in (JSON | change).items() if value is not None}
    assert verdict("POST", "/api/order.accept", headers, 20) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "ok"),
        ({"Sec-Fetch-Site": "none"}, "ok"),
        ({"Sec-Fetch-Site": "cross-site"}, "cross_site"),
        ({"Origin": "http://evil.example"}, "cross_site"),
    ],
)
def test_other_sites_cannot_even_read(headers, expected):
    assert verdict("GET", "/api/events", {"Host": HOST} | headers) == expected


@pytest.mark.parametrize(
    ("length", "expected"), [(0, "ok"), (4096, "ok"), (4097, "too_large"), (-1, "too_large")]
)
def test_a_body_is_small(length, expected):
    assert verdict("POST", "/api/shop.set", JSON, length) == expected


@given(
    st.text(max_size=8),
    st.text(max_size=20),
    st.dictionaries(
        st.sampled_from(["Host", "Origin", "Sec-Fetch-Site", "Content-Type"]),
        st.one_of(st.text(max_size=30), st.sampled_from([HOST, f"http://{HOST}"])),
    ),
    st.integers(),
)
def test_any_request_gets_a_verdict(method, path, headers, length):
    assert verdict(method, path, headers, length)


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:8080", None),
        ("127.1.2.3:8080", None),
        ("localhost:8080", None),
        ("[::1]:8080", None),
        ("0.0.0.0:8080", "reached from the network without a PIN"),
        ("[::]:8080", "reached from the network without a PIN"),
        ("192.0.2.7:8080", "reached from the network without a PIN"),
        ("shop.example:8080", "reached from the network without a PIN"),
        ("127.0.0.1:99999", "there is no port 99999"),
    ],
)
def test_a_configuration_that_opens_the_page_to_the_network_is_refused(listen, expected):
    data = {
        "role": "shop",
        "device": {"id": "sh-1"},
        "printer": [{"name": "kitchen", "uri": "simulated://"}],
        "page": {"listen": listen},
    }
    problems = [line for line in config.check(data) if line.startswith("page.listen")]
    assert problems == [] if expected is None else expected in problems[0]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
def test_behind_a_proxy_nobody_is_at_the_devices_own_screen(header):
    assert verdict("GET", "/api/status", {"Host": HOST, header: "192.0.2.1"}) == "proxied"
