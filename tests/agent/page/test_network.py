"""The gate to the network: PIN, sessions, roles, TLS, and who tries to get around them."""

from __future__ import annotations

import http.client
import json
import select
import shutil
import socket
import ssl
import subprocess
from contextlib import ExitStack

import pytest

from agent.page import exchange, server, site
from agent.page.server import Lan
from agent.page.sessions import LIFETIME_S
from tests.agent.page.conftest import Served
from tests.support import wait

STAFF, TECHNICIAN = "271828", "314159"
HOST = "127.0.0.2"


class Browser:
    """A browser on the network: it keeps its cookie and says where it comes from."""

    def __init__(self, served, tls=None):
        self.served, self.tls, self.cookie = served, tls, None
        self.scheme = "https" if tls else "http"
        self.host = f"{HOST}:{served.service.lan_port}"

    def ask(self, method, path, body=None, **headers):
        if self.tls:
            connection = http.client.HTTPSConnection(self.host, timeout=10, context=self.tls)
        else:
            connection = http.client.HTTPConnection(self.host, timeout=10)
        own = {"Cookie": self.cookie} if self.cookie else {}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, None if body is None else json.dumps(body), own | given)
        answer = connection.getresponse()
        data = answer.read()
        if cookie := answer.headers["Set-Cookie"]:
            self.set_cookie = cookie
            self.cookie = cookie.partition(";")[0]
        connection.close()
        return answer.status, json.loads(data) if path.startswith("/api/") else data

    def get(self, name, **headers):
        return self.ask("GET", f"/api/{name}", **headers)

    def post(self, name, body, **headers):
        own = {
            "Origin": f"{self.scheme}://{self.host}",
            "Content_Type": "application/json",
            "X_CSRF": self.get("me")[1]["csrf"],
        }
        return self.ask("POST", f"/api/{name}", body, **own | headers)

    def login(self, pin=STAFF, role="staff"):
        return self.post("login", {"role": role, "pin": pin})


@pytest.fixture
def browser(networked):
    networked.set_pin("staff", STAFF)
    networked.set_pin("technician", TECHNICIAN)
    return Browser(networked)


def code(answer):
    status, body = answer
    return status, body["code"]


def test_without_a_pin_the_network_sees_only_the_pages_files(browser):
    assert browser.ask("GET", "/")[0] == 200
    for name in (*site.READS, "events"):
        assert code(browser.get(name)) == (401, "login")
    for name in site.WRITES:
        assert code(browser.post(name, {})) == (401, "login")
    assert browser.served.agent.asked == []


def test_there_is_no_default_pin(networked):
    answer = Browser(networked).login("")
    assert code(answer) == (409, "no_pin")
    assert "edge-agent page pin staff" in answer[1]["text"]


def test_staff_log_in_act_under_their_name_and_log_out(browser, new_order):
    browser.served.agent.orders = [new_order(1)]
    assert browser.login()[0] == 200
    assert "HttpOnly" in browser.set_cookie
    assert "SameSite=Strict" in browser.set_cookie
    assert browser.get("me")[1]["role"] == "staff"
    assert browser.post("order.accept", {"order_id": "o-1"})[0] == 200
    assert browser.served.agent.asked[-1][2] == "page:staff@127.0.0.1"
    kept = browser.cookie
    assert browser.post("logout", {})[0] == 200
    browser.cookie = kept
    assert code(browser.get("status")) == (401, "login")


def test_staff_cannot_do_what_is_a_technicians(browser):
    browser.login()
    technicians = [name for name, role in site.READS.items() if role == "technician"]
    assert technicians
    for name in technicians:
        assert code(browser.get(name)) == (401, "login")
    assert code(browser.post("printer.test", {"printer": "kitchen"})) == (401, "login")
    assert code(browser.login(STAFF, "technician")) == (403, "wrong_pin")
    assert browser.served.agent.asked == []


def test_every_command_of_technicians_is_refused_to_staff_and_to_nobody(browser):
    for session in ("none", "staff"):
        if session == "staff":
            browser.login()
        for name, role in site.WRITES.items():
            if role == "technician":
                assert code(browser.post(name, {})) == (401, "login"), name
    assert browser.served.agent.asked == []


def test_a_session_that_somebody_planted_is_not_adopted(browser):
    """Session fixation: the cookie of before the login opens nothing after it."""
    browser.cookie = "edge_session=planted-by-somebody-else"
    assert browser.login()[0] == 200
    assert "planted" not in browser.cookie
    victim = browser.cookie
    browser.cookie = "edge_session=planted-by-somebody-else"
    assert code(browser.get("status")) == (401, "login")
    browser.cookie = victim
    assert browser.get("status")[0] == 200


def test_a_login_ends_the_session_that_this_browser_had(browser):
    browser.login()
    before = browser.cookie
    browser.login(TECHNICIAN, "technician")
    assert browser.cookie != before
    browser.cookie = before
    assert code(browser.get("status")) == (401, "login")


def test_a_session_ends_by_itself(browser, monkeypatch):
    browser.login(TECHNICIAN, "technician")
    assert browser.get("config.show")[0] == 200
    clock = browser.served.door._clock
    later = clock.monotonic() + LIFETIME_S["technician"]
    monkeypatch.setattr(clock, "monotonic", lambda: later, raising=False)
    assert code(browser.get("config.show")) == (401, "login")


def test_a_login_from_another_site_is_refused(browser):
    body = {"role": "staff", "pin": STAFF}
    assert code(browser.post("login", body, Origin="http://evil.example")) == (403, "cross_site")
    assert code(browser.post("login", body, X_CSRF="guessed")) == (403, "csrf")


def test_logins_are_told_with_who_and_never_with_the_pin(browser):
    browser.login("999999")
    browser.login()
    told = [(a.action, a.by, a.detail["ok"]) for a in browser.served.audits.bodies]
    by = "page:staff@127.0.0.1"
    assert told == [("page.login", by, False), ("page.login", by, True)]
    assert "999999" not in repr(browser.served.audits.bodies)


def test_guessing_is_stopped_and_does_not_stop_who_is_in(browser):
    inside = Browser(browser.served)
    inside.login()
    for _ in range(5):
        assert code(browser.login("999999")) == (403, "wrong_pin")
    assert code(browser.login(STAFF)) == (429, "too_many"), "even the right one"
    assert inside.get("status")[0] == 200


def test_a_new_pin_ends_the_sessions_of_the_old_one(browser):
    browser.login()
    browser.served.set_pin("staff", "161803")
    assert code(browser.get("status")) == (401, "login")
    assert browser.login("161803")[0] == 200


@pytest.mark.parametrize("token", ["", "wrong", "ü"])
def test_a_command_needs_the_token_that_only_the_page_can_read(browser, token, new_order):
    browser.served.agent.orders = [new_order(1)]
    browser.login()
    headers = {"X_CSRF": token.encode().decode("latin-1")}
    answer = browser.post("order.accept", {"order_id": "o-1"}, **headers)
    assert code(answer) == (403, "csrf")
    assert browser.served.agent.told("order.accept") == []


def test_the_devices_own_screen_needs_the_token_too(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    headers = {"Origin": served.url.rstrip("/"), "Content-Type": "application/json"}
    connection.request("POST", "/api/shop.set", b'{"status":"closed"}', headers)
    assert connection.getresponse().status == 403
    connection.close()
    assert served.agent.asked == []


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost", "127.0.0.1", "shop.local.evil.example"]
)
def test_only_its_address_and_names_are_answered_from_the_network(browser, host):
    port = browser.served.service.lan_port
    assert code(browser.get("me", Host=f"{host}:{port}")) == (421, "bad_host")
    assert browser.get("me", Host=f"SHOP.local:{port}")[0] == 200


def test_a_command_of_another_site_is_not_run_with_the_cookie_of_staff(browser):
    browser.login()
    answer = browser.post("shop.set", {"status": "closed"}, Origin="http://evil.example")
    assert code(answer) == (403, "cross_site")


def test_no_answer_bears_a_secret(browser):
    browser.login(TECHNICIAN, "technician")
    names = {"ticket.preview": "?job_id=j", "printer.bytes": "?printer=kitchen"}
    names |= {"queue.list": "?table=critical"}
    reads = [name + names.get(name, "") for name in site.READS if name != "sos.test"]
    answers = repr([browser.get(name) for name in ("me", *reads)])
    assert "'device':" in answers
    token = browser.cookie.partition("=")[2]
    for secret in (STAFF, TECHNICIAN, token, "scrypt"):
        assert secret not in answers


def test_the_own_screen_answers_while_300_sockets_of_the_network_say_nothing(networked):
    with ExitStack() as silent:
        address = (HOST, networked.service.lan_port)
        crowd = [
            silent.enter_context(socket.create_connection(address, timeout=10)) for _ in range(300)
        ]
        wait(lambda: _sent_away(crowd) >= 300 - server.MAX_FROM_ONE, "all were looked at")
        connection = http.client.HTTPConnection("127.0.0.1", networked.port, timeout=10)
        connection.request("GET", "/api/status")
        assert connection.getresponse().status == 200
        connection.close()
        assert networked.service._peers.total() <= server.MAX_FROM_ONE
    wait(lambda: networked.service._connections == 0, "all are gone")


def test_a_request_that_trickles_in_is_dropped(networked, monkeypatch):
    monkeypatch.setattr(exchange, "HEAD_S", 0.2)
    address = (HOST, networked.service.lan_port)
    with socket.create_connection(address, timeout=10) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert slow.recv(10) == b""


def test_a_session_that_ended_hears_nothing_more(browser):
    browser.login()
    connection = http.client.HTTPConnection(browser.host, timeout=10)
    connection.request("GET", "/api/events", headers={"Cookie": browser.cookie})
    response = connection.getresponse()
    assert response.readline().startswith(b"data: ")
    browser.post("logout", {})
    wait(lambda: browser.served.tell() or browser.served.streams == 0, "the stream ends")
    connection.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "30"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=shop"),
            *("-addext", f"subjectAltName=IP:{HOST}", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def test_with_tls_all_is_the_same_and_plain_http_gets_nothing(tmp_path, certificate):
    cert, key = certificate
    with Served(tmp_path, Lan(f"{HOST}:0", cert=cert, key=key)) as served:
        served.set_pin("staff", STAFF)
        browser = Browser(served, ssl.create_default_context(cafile=cert))
        assert browser.login()[0] == 200
        assert "Secure" in browser.set_cookie
        assert browser.get("status")[0] == 200
        with socket.create_connection((HOST, served.service.lan_port), timeout=10) as plain:
            plain.sendall(b"GET /api/me HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP/1" not in _rest(plain)
        with ExitStack() as silent:  # before any handshake
            address = (HOST, served.service.lan_port)
            crowd = [
                silent.enter_context(socket.create_connection(address, timeout=10))
                for _ in range(60)
            ]
            wait(lambda: _sent_away(crowd) >= 60 - server.MAX_FROM_ONE, "all were looked at")
            wait(lambda: served.service._connections <= server.MAX_FROM_ONE, "the rest is gone")
        wait(lambda: served.service._connections == 0, "all are gone")
        assert served.failure is None


def _sent_away(crowd):
    """How many were told something, which is that there are too many, or hung up on."""
    return len(select.select(crowd, [], [], 0)[0])


def _rest(client):
    try:
        return client.recv(4096)
    except ConnectionResetError:
        return b""
