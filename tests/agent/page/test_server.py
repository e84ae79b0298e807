"""The page over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.contract.errors import Rejected
from agent.core.changes import Changes
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.page import exchange, server, site
from agent.page.door import Door
from agent.store.database import Database, StoreError
from drivers.base import DriverError
from tests.support import ListRecorder, free_port, wait


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def verdict(self):
        return self.status, self.json["code"]


def get(served, path, **headers) -> Answer:
    return send(served, "GET", path, None, headers)


def post(served, name, body, **headers) -> Answer:
    own = {
        "Origin": served.url.rstrip("/"),
        "Content-Type": "application/json",
        "X-CSRF": get(served, "/api/me").json["csrf"],
    }
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return send(served, "POST", f"/api/{name}", data, own | headers)


def send(served, method, path, body, headers) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    connection.request(method, path, body, named)
    try:
        return Answer(connection.getresponse())
    finally:
        connection.close()


@contextmanager
def dial(served, request: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        client.sendall(request)
        yield client


def everything(client: socket.socket) -> bytes:
    data = b""
    try:
        while piece := client.recv(4096):
            data += piece
    except ConnectionResetError:
        pass
    return data


@contextmanager
def stream(served) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    connection.request("GET", "/api/events")
    response = connection.getresponse()
    try:
        yield response
    finally:
        response.close()
        connection.close()


def event(response) -> dict[str, int]:
    line = response.readline()
    assert line.startswith(b"data: "), line
    assert response.readline() == b"\n"
    return json.loads(line[6:])


# --- what there is --------------------------------------------------------------------------------


def test_the_page_allows_itself_nothing_but_its_own_files(served):
    answer = get(served, "/")
    assert answer.status == 200
    assert b"<!doctype html>" in answer.body
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_files_are_kept_by_the_browser_until_they_change(served):
    first = get(served, "/main.js")
    assert first.headers["Content-Type"].startswith("text/javascript")
    again = get(served, "/main.js", If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/server.py",
        "/../server.py",
        "/..%2fserver.py",
        "/%2e%2e/server.py",
        "/static/main.js",
        "/main.js/",
        "//etc/passwd",
        "/....//server.py",
        "/main.js%00.html",
        "/api/",
        "/api/status/x",
        "http://evil.example/",
    ],
)
def test_what_is_not_a_file_of_the_page_does_not_exist(served, path):
    with dial(
        served, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode()
    ) as c:
        head, _, body = everything(c).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 404")
    assert b"nosniff" in head
    assert json.loads(body)["code"] == "not_found"


def test_what_is_read_is_asked_of_the_command_table_and_not_stored_by_the_browser(served):
    answer = get(served, "/api/orders.list?limit=15&before=1790000000000&limit=99")
    assert answer.json == {"orders": [], "more": False}
    assert answer.headers["Cache-Control"] == "no-store"
    assert served.agent.asked == [
        ("orders.list", {"limit": 15, "before": 1_790_000_000_000}, "page")
    ]


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "before=1e9", "limit=" + "9" * 400])
def test_a_number_must_be_one(served, query):
    assert get(served, f"/api/orders.list?{query}").verdict == (400, "invalid")
    assert served.agent.asked == []


def test_a_command_reaches_the_command_table(served, new_order):
    served.agent.orders = [new_order(1)]
    assert post(served, "order.accept", {"order_id": "o-1"}).status == 200
    assert served.agent.asked == [("order.accept", {"order_id": "o-1"}, "page")]


@pytest.mark.parametrize("name", ["status", "config.set", "update.install", "../order.accept"])
def test_the_page_may_not_run_other_commands(served, name):
    assert post(served, name, {}).status == 404
    assert served.agent.asked == []


def test_a_command_is_not_a_get(served):
    assert get(served, "/api/order.accept?order_id=o-1").verdict == (404, "not_found")
    assert send(served, "DELETE", "/main.js", None, {}).verdict == (405, "bad_method")
    assert served.agent.asked == []


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Rejected("unknown_order", "there is no order o-1"), (404, "unknown_order")),
        (Rejected("not_now", "the order is rejected"), (409, "not_now")),
        (Rejected("invalid", "order_id is missing"), (400, "invalid")),
        (DriverError("printer kitchen does not answer"), (503, "device")),
        (StoreError("the disk is full"), (503, "device")),
    ],
)
def test_a_failure_has_a_code_a_text_and_a_status(served, error, expected):
    served.agent.failure = error
    answer = post(served, "order.accept", {"order_id": "o-1"})
    assert answer.verdict == expected
    assert answer.json["text"] == str(error)


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{", "not_json"), (b"\xff", "not_json"), (b"[]", "invalid"), (b"", "not_json")],
)
def test_a_body_that_is_no_object_is_refused(served, body, code):
    assert post(served, "order.accept", body).verdict == (400, code)
    assert served.agent.asked == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Host": "evil.example:8080"}, (421, "bad_host")),
        ({"Origin": "http://evil.example"}, (403, "cross_site")),
        ({"Origin": None}, (403, "cross_site")),
        ({"Sec-Fetch-Site": "cross-site"}, (403, "cross_site")),
        ({"Content-Type": "text/plain"}, (415, "content_type")),
    ],
)
def test_a_command_of_another_site_is_not_run(served, headers, expected):
    answer = post(served, "order.reject", {"order_id": "o-1"}, **headers)
    assert answer.verdict == expected
    assert answer.headers["Access-Control-Allow-Origin"] is None
    assert served.agent.asked == []


@pytest.mark.parametrize("size", [5_000, 16_384, 100_000])
def test_an_oversized_body_is_refused(served, size):
    length = f"Host: 127.0.0.1:{served.port}\r\nContent-Length: {size}\r\n\r\n"
    body = b"x" * min(size, 16_384)
    with dial(served, f"POST /api/shop.set HTTP/1.1\r\n{length}".encode() + body) as client:
        assert everything(client).startswith(b"HTTP/1.0 413")


def test_settings_may_be_longer_than_other_commands(served):
    text = "# " + "x" * 9000
    assert post(served, "config.try", {"text": text}).verdict == (401, "login")
    assert post(served, "config.try", {"text": text * 2}).verdict == (413, "too_large")
    assert post(served, "shop.set", {"status": text}).verdict == (413, "too_large")


def test_a_body_that_trickles_in_is_dropped(served, monkeypatch):
    monkeypatch.setattr(exchange, "HEAD_S", 0.2)
    head = f"Host: 127.0.0.1:{served.port}\r\nContent-Length: 99\r\n\r\n"
    with dial(served, f"POST /api/shop.set HTTP/1.1\r\n{head}{{".encode()) as client:
        assert everything(client) == b""
    assert served.agent.asked == []


def test_a_client_that_takes_no_answer_is_dropped(served, monkeypatch, new_order):
    monkeypatch.setattr(exchange, "WRITE_S", 0.2)
    served.agent.orders = [new_order(n, note="x" * 200_000) for n in range(15)]
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(("127.0.0.1", served.port))
        lazy.sendall(
            f"GET /api/orders.list HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode()
        )
        wait(lambda: served.agent.asked and not served.service._connections, "it is cut off")
    assert served.failure is None


def test_no_page_may_be_framed_or_sniffed_or_tell_where_one_came_from(served):
    for path in ("/", "/tech.html", "/main.js", "/api/status", "/nothing"):
        headers = get(served, path).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 1000 + b"\r\n" * 1 + (b"C: d\r\n" * 4000), b"413"),
        (b"\xff\xfe / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"421"),
    ],
)
def test_what_is_no_request_is_said_to_be_none(served, request_, status):
    with dial(served, request_) as client:
        assert everything(client).startswith(b"HTTP/1.0 " + status)


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=150)
def test_any_bytes_are_a_request_or_a_rejection(data, started):
    class Writer:
        def get_extra_info(self, _name):
            return ("127.0.0.1", 1)

    async def main() -> None:
        reader = asyncio.StreamReader(limit=exchange.MAX_HEAD)
        reader.feed_data((b"GET /?" if started else b"") + data)
        reader.feed_eof()
        with suppress(Rejected, ConnectionError):
            await exchange.receive(None, reader, Writer())

    asyncio.run(main())


def test_a_bug_is_answered_and_then_ends_the_service(served, capsys):
    served.agent.failure = RuntimeError("a bug")
    assert get(served, "/api/status").verdict == (500, "internal")
    group = wait(lambda: served.failure, "the service ended")
    assert isinstance(group, ExceptionGroup)
    assert "a bug" in str(group.exceptions[0])
    served.failure = None
    capsys.readouterr()


# --- the stream -----------------------------------------------------------------------------------


def test_a_change_reaches_the_open_page(served):
    with stream(served) as response:
        first = event(response)
        assert first["now"] > 1_600_000_000_000
        served.tell()
        assert event(response)["version"] > first["version"]


def test_a_burst_of_changes_is_told_once_or_twice(served):
    with stream(served) as response:
        event(response)
        for _ in range(500):
            served.tell()
        told = 0
        while event(response)["version"] < 500:
            told += 1
        assert told < 100


def test_a_silent_stream_says_that_it_lives(served, monkeypatch):
    monkeypatch.setattr(site, "BEAT_S", 0.01)
    with stream(served) as response:
        assert event(response)["version"] == event(response)["version"]


def test_pages_beyond_the_limit_are_told_so_until_one_is_closed(served):
    streams = [stream(served) for _ in range(site.MAX_STREAMS)]
    for one in streams:
        event(one.__enter__())
    assert get(served, "/api/events").verdict == (503, "full")
    assert [condition.code for condition in served.health.conditions()] == ["page.full"]
    for one in streams:
        one.__exit__(None, None, None)
    wait(lambda: served.streams == 0, "closed streams are noticed")
    assert list(served.health.conditions()) == []
    with stream(served) as response:
        event(response)


# --- connections ----------------------------------------------------------------------------------


def test_a_client_that_says_nothing_is_dropped(served, monkeypatch):
    monkeypatch.setattr(exchange, "HEAD_S", 0.05)
    with dial(served, b"GET / HT") as client:
        assert everything(client) == b""


def test_too_many_connections_are_sent_away_and_the_page_lives_on(served):
    idle = [dial(served) for _ in range(server.MAX_CONNECTIONS)]
    for one in idle:
        one.__enter__()
    wait(lambda: served.service._connections == server.MAX_CONNECTIONS, "all are connected")
    with dial(served) as client:
        assert everything(client).startswith(b"HTTP/1.0 503")
    for one in idle:
        one.__exit__(None, None, None)
    wait(lambda: served.service._connections == 0, "all are gone")
    assert get(served, "/").status == 200


def test_a_port_in_use_is_explained(tmp_path):
    clock = SystemClock()
    health = Health(clock)
    door = Door(Database(tmp_path / "agent.db", clock, health), clock, ListRecorder())

    async def ask(*_args):
        raise AssertionError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        page = server.PageService(
            listen=listen, clock=clock, health=health, ask=ask, changes=Changes(), door=door
        )
        with pytest.raises(DriverError, match=f"{listen}: another program has this port"):
            asyncio.run(page.run(Heartbeat("page", clock, health)))
