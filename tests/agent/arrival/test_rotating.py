"""Identifiers that change, and who knows whose they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.arrival.rotating import EPOCH_S, ID_BYTES, Roster, epoch_of, identifier, new_key

KEY = bytes(range(16))
TIMES = st.integers(0, 2**33)


def said(key: bytes, unix_s: float) -> str:
    return "eddystone-eid:" + identifier(key, epoch_of(unix_s)).hex()


def test_a_published_value_never_changes() -> None:
    # python3 -c "import hmac; print(hmac.new(bytes(range(16)), b'edge-beacon/1' +
    #   (1_700_000_000 // 900).to_bytes(8, 'big'), 'sha256').hexdigest()[:16])"
    assert identifier(KEY, epoch_of(1_700_000_000)).hex() == "ba1c751bdf156984"


@given(sent=TIMES, late=st.integers(-EPOCH_S, EPOCH_S))
def test_clocks_less_than_an_epoch_apart_understand_each_other(sent: int, late: int) -> None:
    roster = Roster({"shop-021": KEY, "shop-022": new_key()})
    assert roster.owner(said(KEY, sent), max(0, sent + late)) == "shop-021"


@given(sent=TIMES, late=st.integers(2 * EPOCH_S, 10**9))
def test_a_recorded_identifier_is_worth_nothing_later(sent: int, late: int) -> None:
    assert Roster({"shop-021": KEY}).owner(said(KEY, sent), sent + late) is None


@given(st.binary(min_size=ID_BYTES, max_size=ID_BYTES), TIMES)
def test_what_nobody_sent_belongs_to_nobody(guess: bytes, now: int) -> None:
    assert Roster({"shop-021": KEY}).owner("eddystone-eid:" + guess.hex(), now) is None
