"""Signed requests: for one device, for a time, for once; also after restarts and lost memories."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.commands import Command
from agent.contract.errors import Rejected
from agent.core.clock import ManualClock
from agent.fleet import signing
from agent.fleet.authority import Authority
from agent.fleet.guard import Guard
from agent.fleet.requests import REMEMBERED, Key, Seen
from agent.fleet.signing import DAY_MS, Request, Signed
from agent.fleet.table import CommandTable, Entry
from agent.store.database import migrate
from tests.support import ListRecorder

SEED = bytes(range(32))
OTHER = bytes(range(1, 33))
OPS = Key(signing.key_bytes(signing.public_of(SEED)), frozenset({"ops"}))
ORDER = Key(signing.key_bytes(signing.public_of(OTHER)), frozenset({"order"}))


async def nothing(_params: Any, _by: str) -> None: ...


def entry(**options: Any) -> Entry:
    table = CommandTable(ListRecorder())
    table.add("greet", "Hello.", nothing, **options)
    return table.entries()[0]


class Device:
    """A database and a file beside it, each of which may be put back."""

    def __init__(self, folder: Path, *, required: bool = True) -> None:
        self.folder = folder
        self.required = required
        self.clock = ManualClock()
        self.tx = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.tx)
        self.start()

    def start(self, nonce: str = "n1") -> None:
        guard = Guard(self.folder / "agent.db.requests")
        self.authority = Authority(
            "sh-1", self.clock, keys={"ops": OPS, "order": ORDER}, required=self.required,
            boot_nonce=nonce, guard=guard,
        )  # fmt: skip
        self.authority.open(self.tx)

    def request(self, **changes: Any) -> Request:
        now = int(self.clock.wall() * 1000)
        made: dict[str, Any] = {
            "aud": "sh-1", "seq": 1, "iat": now, "exp": now + 60_000, "name": "greet",
            "cmd_id": "c1",
        }  # fmt: skip
        return Request(**made | changes)

    def ask(self, payload: bytes, for_: Entry | None = None) -> None:
        command = msgspec.json.decode(payload, type=Command)
        self.tx.execute("BEGIN")
        try:
            asked = self.authority.read("greet", "c1", command)
            self.authority.admit(self.tx, asked, for_ or entry())
        except Rejected:
            self.tx.execute("ROLLBACK")
            raise
        self.tx.execute("COMMIT")

    def code(self, payload: bytes, for_: Entry | None = None) -> str:
        """Why it is refused; "" when it is not."""
        try:
            self.ask(payload, for_)
        except Rejected as rejected:
            return rejected.code
        return ""

    def signed(self, kid: str = "ops", seed: bytes = SEED, **changes: Any) -> bytes:
        return signing.sign(self.request(**changes), kid=kid, seed=seed)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path)
    yield made
    made.tx.close()


def test_a_signed_request_is_taken_once(device: Device) -> None:
    payload = device.signed()
    assert device.code(payload) == ""
    assert device.code(payload) == "replayed"
    assert device.code(device.signed(seq=2)) == ""


def test_what_is_signed_is_exactly_the_text(device: Device) -> None:
    signed = msgspec.json.decode(device.signed(), type=Signed)
    spaced = msgspec.structs.replace(signed, req=signed.req + " ")
    assert device.code(msgspec.json.encode(spaced)) == "bad_signature"
    assert device.code(msgspec.json.encode(signed)) == ""


@given(position=st.integers(0, 400), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_found(position: int, bit: int) -> None:
    request = Request(aud="sh-1", seq=1, iat=1, exp=2, name="greet", cmd_id="c1")
    signed = msgspec.json.decode(signing.sign(request, kid="ops", seed=SEED), type=Signed)
    raw = bytearray(signed.req.encode())
    raw[position % len(raw)] ^= 1 << bit
    changed = Signed(signed.kid, raw.decode("latin-1"), signed.sig)
    with pytest.raises(Rejected):
        signing.check(changed, public=OPS.public, purpose="cmd")


@given(text=st.text(max_size=120))
def test_any_text_as_a_signature_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        signing.check(Signed("ops", "{}", text), public=OPS.public, purpose="cmd")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "sh-2"}, "wrong_audience"),
        ({"name": "reboot"}, "wrong_topic"),
        ({"cmd_id": "c2"}, "wrong_topic"),
        ({"iat": 0, "exp": 60_000}, "expired"),
        ({"iat": 1_800_000_600_000, "exp": 1_800_000_660_000}, "not_yet_valid"),
        ({"exp": 1_800_000_000_000 + 8 * DAY_MS}, "invalid"),
        ({"exp": 1_799_999_999_000}, "invalid"),
        ({"boot_nonce": "n0"}, "wrong_boot"),
        ({"boot_nonce": "n1"}, ""),
    ],
)
def test_a_request_is_for_one_device_one_command_and_a_time(
    device: Device, changes: dict[str, Any], code: str
) -> None:
    assert device.code(device.signed(**changes)) == code


def test_a_key_signs_only_what_it_is_for(device: Device) -> None:
    assert device.code(device.signed(kid="order", seed=OTHER)) == "out_of_scope"
    assert device.code(device.signed(kid="order", seed=OTHER), entry(scope="order")) == ""
    assert device.code(device.signed(kid="order", seed=SEED)) == "bad_signature"
    assert device.code(device.signed(kid="none")) == "unknown_key"


def test_a_signature_for_one_purpose_is_none_for_another(device: Device) -> None:
    request = device.request(version=7, settings={})
    as_config = signing.sign(request, kid="ops", seed=SEED, purpose="config")
    assert device.code(as_config) == "bad_signature"
    with pytest.raises(Rejected, match="not signed by"):
        device.authority.wish(device.tx, signing.sign(request, kid="ops", seed=SEED))


def test_unsigned_requests_are_refused_where_signatures_are_demanded(tmp_path: Path) -> None:
    strict, open_ = Device(tmp_path / "a"), Device(tmp_path / "b", required=False)
    assert strict.code(b'{"params": {}}') == "unsigned"
    assert open_.code(b'{"params": {}}') == ""
    assert open_.code(b'{"kid": "ops", "req": "{}", "sig": "AAAA"}') == "bad_signature"
    for made in (strict, open_):
        made.tx.close()


def test_a_repetition_is_refused_after_a_restart(device: Device) -> None:
    payload = device.signed()
    device.ask(payload)
    device.start("n2")
    assert device.code(payload) == "replayed"
    assert device.code(device.signed(seq=2)) == ""


def test_a_database_that_was_put_back_takes_nothing_from_before(device: Device) -> None:
    copy = sqlite3.connect(":memory:", isolation_level=None)
    device.tx.backup(copy)
    payload = device.signed()
    device.ask(payload)
    device.tx.close()
    device.tx = copy  # knows nothing of it
    device.clock.jump(device.clock.monotonic() + 10)
    device.start("n2")
    assert device.code(payload) == "before_memory"
    assert device.code(device.signed(seq=2)) == ""


def test_a_new_database_takes_nothing_from_before(device: Device) -> None:
    payload = device.signed()
    device.ask(payload)
    device.tx.close()
    device.tx = sqlite3.connect(":memory:", isolation_level=None)
    migrate(device.tx)
    device.clock.jump(device.clock.monotonic() + 10)
    device.start("n2")
    assert device.code(payload) == "before_memory"


def test_a_lost_file_beside_the_database_counts_as_forgotten(device: Device) -> None:
    device.ask(device.signed())
    early = device.signed(seq=2)
    (device.folder / "agent.db.requests").unlink()
    device.clock.jump(device.clock.monotonic() + 10)
    device.start("n2")
    assert device.code(early) == "before_memory"


def test_a_life_that_is_not_on_the_disk_counts_as_forgotten(device: Device) -> None:
    early = device.signed()
    device.tx.execute("INSERT INTO meta VALUES ('lost_before', '5')")
    device.clock.jump(device.clock.monotonic() + 10)
    device.start("n2")
    assert device.code(early) == "before_memory"
    device.start("n3")
    assert device.code(device.signed(seq=2)) == ""


def test_without_a_clock_what_is_dangerous_is_for_this_start_only(device: Device) -> None:
    device.clock.tq = "gps"  # anybody can send it
    dangerous = entry(dangerous=True)
    assert device.code(device.signed(), dangerous) == "needs_nonce"
    assert device.code(device.signed(boot_nonce="n1"), dangerous) == ""
    assert device.code(device.signed(seq=2)) == ""


def test_a_memory_that_began_without_a_clock_is_dated_later(tmp_path: Path) -> None:
    clockless = Device.__new__(Device)
    clockless.folder, clockless.required = tmp_path, True
    clockless.clock = ManualClock()
    clockless.clock.tq = "none"
    clockless.tx = sqlite3.connect(":memory:", isolation_level=None)
    migrate(clockless.tx)
    clockless.start()
    assert clockless.code(clockless.signed()) == "before_memory"
    assert clockless.code(clockless.signed(boot_nonce="n1")) == ""
    clockless.clock.jump(clockless.clock.monotonic() + 5)
    clockless.clock.tq = "ntp"
    assert clockless.code(clockless.signed(seq=2)) == ""
    clockless.tx.close()


@given(st.lists(st.integers(1, 300), max_size=200))
def test_no_number_is_taken_twice(numbers: list[int]) -> None:
    seen, taken = Seen(), []
    for number in numbers:
        try:
            seen = seen.with_(number)
        except Rejected:
            continue
        taken.append(number)
    assert len(taken) == len(set(taken))
    assert len(seen.recent) <= REMEMBERED
    if len(set(numbers)) <= REMEMBERED:
        assert set(taken) == set(numbers)


def test_the_order_of_a_keys_numbers_may_differ_a_little() -> None:
    seen = Seen()
    for number in (3, 1, 2, 1000, 999):
        seen = seen.with_(number)
    for number in range(2000, 2000 + REMEMBERED):
        seen = seen.with_(number)
    with pytest.raises(Rejected):
        seen.with_(998)


def test_a_signed_configuration_is_read(device: Device) -> None:
    request = replace_of(device.request(name="", cmd_id=""), version=4, settings={"alert": {}})
    payload = signing.sign(request, kid="ops", seed=SEED, purpose="config")
    wish = device.authority.wish(device.tx, payload)
    assert (wish.version, wish.settings) == (4, {"alert": {}})
    with pytest.raises(Rejected):
        device.authority.wish(device.tx, b'{"version": 5, "settings": {}}')


def replace_of(request: Request, **changes: Any) -> Request:
    return msgspec.structs.replace(request, **changes)
