from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.errors import Rejected
from agent.page import pins
from agent.page.sessions import (
    MAX_PEERS,
    MAX_SESSIONS,
    TRIES_AN_HOUR,
    WAIT_MAX_S,
    WAIT_S,
    Guesses,
    Session,
    Sessions,
)


def session(until=100.0, role="staff"):
    return Session(role, "page:staff@192.0.2.1", until, "csrf")


def waits(guesses, peer, now, *, shared=True):
    try:
        guesses.require(peer, now, shared=shared)
    except Rejected as error:
        return error.code == "too_many"
    return False


@pytest.mark.parametrize("pin", ["", "12345", "1" * 13, "12a456", "１２３４５６", " 271828"])
def test_a_pin_is_six_to_twelve_digits(pin):
    with pytest.raises(Rejected, match="6 to 12 digits"):
        pins.require_strong(pin)


@pytest.mark.parametrize("pin", ["000000", "123456", "654321", "789012", "121212", "135791"])
def test_the_first_pins_that_anybody_tries_are_refused(pin):
    with pytest.raises(Rejected, match="first that anybody tries"):
        pins.require_strong(pin)


def test_a_hash_knows_its_pin_and_no_other():
    stored = pins.hashed("271828", b"salt")
    assert "271828" not in stored
    assert pins.matches("271828", stored)
    assert not pins.matches("271829", stored)
    assert stored != pins.hashed("271828", b"pepper")


def test_a_session_ends_in_time_and_by_word():
    sessions = Sessions()
    sessions.open("a", session())
    sessions.open("b", session(role="technician"))
    assert sessions.find("a", 99.9)
    assert sessions.find("a", 100.0) is None
    assert sessions.find("b", 0.0)
    sessions.close_all("staff")
    assert sessions.find("b", 0.0)
    sessions.close("b")
    assert sessions.find("b", 0.0) is None


def test_sessions_are_bounded_and_the_oldest_goes():
    sessions = Sessions()
    for n in range(MAX_SESSIONS + 1):
        sessions.open(str(n), session())
    assert sessions.find("0", 0.0) is None
    assert sessions.find("1", 0.0)
    assert sessions.find(str(MAX_SESSIONS), 0.0)


def test_wrong_pins_make_an_address_wait_ever_longer_until_a_right_one():
    guesses = Guesses()
    for _ in range(5):
        assert not waits(guesses, "p", 0.0)
        guesses.failed("p", 0.0, shared=True)
    assert waits(guesses, "p", WAIT_S - 1)
    assert not waits(guesses, "p", WAIT_S)
    assert not waits(guesses, "other", 0.0)
    guesses.failed("p", WAIT_S, shared=True)
    assert waits(guesses, "p", 3 * WAIT_S - 1)
    guesses.succeeded("p")
    assert not waits(guesses, "p", WAIT_S)


def test_many_addresses_together_are_stopped_too_but_not_the_own_screen():
    guesses = Guesses()
    for n in range(TRIES_AN_HOUR):
        guesses.failed(f"p{n}", float(n), shared=True)
    assert waits(guesses, "fresh", 100.0)
    assert not waits(guesses, "127.0.0.1", 100.0, shared=False)
    assert not waits(guesses, "fresh", 3600.5)


@given(st.lists(st.tuples(st.integers(0, 400), st.floats(0, 100)), max_size=300))
def test_guessing_is_bounded_in_memory_and_nobody_waits_for_ever(tries):
    guesses, now, let_in = Guesses(), 0.0, []
    for peer, pause in tries:
        now += pause
        if not waits(guesses, str(peer), now):
            guesses.failed(str(peer), now, shared=True)
            let_in.append(now)
    assert len(guesses._peers) <= MAX_PEERS
    assert len([t for t in let_in if t >= now - 3600]) <= TRIES_AN_HOUR
    assert not waits(guesses, "0", now + 3600 + WAIT_MAX_S)
