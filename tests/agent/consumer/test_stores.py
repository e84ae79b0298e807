"""One suite over both databases."""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
import threading
import uuid

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.consumer.app import open_store
from agent.consumer.intake import read
from agent.consumer.ledger import Span
from agent.consumer.records import StreamKey
from agent.consumer.store import Unavailable
from agent.contract.errors import Rejected
from agent.layers import ConfigError
from tests.agent.consumer.support import batch, event, gap, presence, rows

CRITICAL = StreamKey("d", "e1", "critical")


@pytest.fixture
def store(database, open_):
    return open_(database)


def put(store, *payloads, topic="edge/v1/d/evt/order", now_ms=5):
    return store.apply([r for p in payloads for r in read(topic, p, None)], now_ms)


def put_gap(store, first, last):
    return put(store, gap(first, last), topic="edge/v1/d/evt/gap")


def put_state(store, **said):
    return put(store, presence(**said), topic="edge/v1/d/state")


def missing(database):
    sql = "SELECT device, epoch, stream, first, last, awaited FROM missing ORDER BY 1, 2, 3, 4"
    return [(StreamKey(*row[:3]), Span(*row[3:5]), bool(row[5])) for row in rows(database, sql)]


def test_an_event_is_stored_once_and_acknowledged_each_time(store, database):
    body = '{"action": "received", "note": "多放辣椒"}'
    first, again = put(store, event(1, body=body)), put(store, event(1, body='{"action": "other"}'))
    assert (first.stored, first.duplicates, first.acks) == (1, 0, {CRITICAL: 1})
    assert (again.stored, again.duplicates, again.acks) == (0, 1, {CRITICAL: 1})
    assert rows(
        database, "SELECT device, epoch, stream, seq, kind, t, tq, received FROM event"
    ) == [("d", "e1", "critical", 1, "order", 1001, "ntp", 5)]
    assert rows(database, "SELECT body ->> 'note' FROM event") == [("多放辣椒",)]


def test_a_key_twice_in_one_transaction_is_stored_once(store):
    outcome = put(store, event(1), event(1), event(2))
    assert (outcome.stored, outcome.duplicates, outcome.acks) == (2, 1, {CRITICAL: 2})


def test_nothing_behind_a_hole_is_acknowledged_until_it_is_filled(store, database):
    assert put(store, event(2), event(3), event(7)).acks == {}
    assert missing(database) == [(CRITICAL, Span(1, 1), True), (CRITICAL, Span(4, 6), True)]
    assert put(store, event(1)).acks == {CRITICAL: 3}
    assert put(store, event(5)).acks == {CRITICAL: 3}
    assert put(store, event(6), event(4)).acks == {CRITICAL: 7}
    assert missing(database) == []
    assert rows(database, "SELECT count(*) FROM ahead") == [(0,)]


def test_streams_epochs_and_devices_are_apart(store):
    put(store, event(1), event(2, stream="state"), event(1, epoch="e2"))
    outcome = put(store, event(1), event(3), topic="edge/v1/other/evt/order")
    assert outcome.acks == {StreamKey("other", "e1", "critical"): 1}
    assert put(store, event(2)).acks == {CRITICAL: 2}


def test_a_gap_counts_as_present(store, database):
    put(store, event(1), event(6))
    assert put_gap(store, 2, 5).acks == {CRITICAL: 6}
    assert rows(database, "SELECT first, last, reason FROM gap") == [(2, 5, "evicted")]


@pytest.mark.parametrize("gap_first", [False, True])
def test_a_gap_takes_no_place_from_an_event_that_came_after_all(store, database, gap_first):
    arrivals = [lambda: put(store, event(3)), lambda: put_gap(store, 1, 3)]
    for arrive in reversed(arrivals) if gap_first else arrivals:
        arrive()
    assert rows(database, "SELECT seq, kind FROM event") == [(3, "order")]
    assert put(store, event(4)).acks == {CRITICAL: 4}


def test_what_the_device_has_deleted_is_not_waited_for_but_reported(store, database):
    put(store, event(1), event(12))
    assert put_state(store, critical=11).acks == {CRITICAL: 10}
    assert missing(database) == [(CRITICAL, Span(11, 11), True), (CRITICAL, Span(13, 20), True)]
    assert rows(database, "SELECT first, last, absent FROM forgotten") == [(2, 10, 9)]
    assert put(store, event(11)).acks == {CRITICAL: 12}
    assert put(store, event(5)).stored == 1  # it was under way in the broker
    assert rows(database, "SELECT first, last, absent FROM forgotten") == [(2, 10, 8)]


def test_a_birth_is_answered_with_what_the_device_may_forget(store):
    put(store, event(1), event(2), event(3))
    assert put_state(store, critical=2).acks == {CRITICAL: 3}
    assert put_state(store, bd_seq=2, critical=4).acks == {}


def test_what_a_lost_disk_had_is_missing_and_not_awaited(store, database):
    put(store, event(2))
    put_state(store, epoch="e2", telemetry=1)
    assert (CRITICAL, Span(1, 1), False) in missing(database)
    assert store.counts().holes == 10  # those that e2 told of


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ([("online", 1), ("lost", 1)], "lost"),
        ([("online", 1), ("online", 2), ("lost", 1)], "online"),
        ([("online", 1), ("lost", 1), ("online", 1)], "lost"),  # a copy that came late
        ([("online", 2), ("offline", 2), ("online", 3)], "online"),
        ([("online", 9), ("online", 1, "e2", 5)], "online"),
        ([("online", 1, "e2", 5), ("lost", 9, "e1", 1)], "online"),
        ([("online", 9, "e1", 1), ("lost", 1, "e2", 5)], "lost"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_a_late_will_does_not_bury_a_device(store, database, said, seen, together):
    payloads = [
        presence(state, bd_seq, epoch=(rest or ["e1"])[0], since=(rest or [0, 1])[1])
        for state, bd_seq, *rest in said
    ]
    for group in [payloads] if together else [[payload] for payload in payloads]:
        put(store, *group, topic="edge/v1/d/state")
    assert rows(database, "SELECT state FROM device") == [(seen,)]


def test_what_is_set_aside_is_counted_and_kept_once(store, database):
    put(store, b"junk", now_ms=1)
    put(store, b"junk", b"junk", now_ms=9)
    assert put(store, b"other").set_aside == 1
    sql = "SELECT topic, code, payload, size, times, first_received, last_received FROM set_aside"
    found = [(t, c, bytes(p), *rest) for t, c, p, *rest in rows(database, sql)]
    assert ("edge/v1/d/evt/order", "not_json", b"junk", 4, 2, 1, 9) in found
    assert store.counts().set_aside == 2


def test_all_of_it_is_there_when_it_is_opened_again(store, database, open_):
    put(store, event(1), event(2), event(4))
    store.close()
    again = open_(database)
    assert put(again, event(3)).acks == {CRITICAL: 4}
    assert put(store, event(4)).duplicates == 1  # and the first one connects again


def test_instances_that_start_together_make_the_tables_once(database, open_):
    stores = [open_store(database, f"i{n}") for n in range(4)]
    failed: list[BaseException] = []

    def work(store, seq):
        try:
            put(store, event(seq))
        except BaseException as error:  # noqa: BLE001 - asserted below
            failed.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=work, args=(s, n + 1)) for n, s in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert put(open_(database), event(5)).acks == {CRITICAL: 5}


def test_instances_side_by_side_neither_lose_nor_deadlock(database):
    """Each has every stream in every transaction, in an order of its own."""
    devices, count, instances = ["a", "b", "c"], 60, 3
    arrivals = [
        (f"edge/v1/{device}/evt/order", event(seq, stream=stream))
        for device, stream, seq in itertools.product(
            devices, ["critical", "state"], range(1, count + 1)
        )
    ]
    failed: list[BaseException] = []
    acked: list[tuple[StreamKey, int]] = []

    def work(number):
        store, own = open_store(database, f"i{number}"), random.Random(number)
        mine = arrivals[number::instances] + own.sample(arrivals, 40)
        own.shuffle(mine)
        try:
            while mine:
                taken, mine = mine[:25], mine[25:]
                acked.extend(
                    store.apply([r for t, p in taken for r in read(t, p, None)], 1).acks.items()
                )
        except BaseException as error:  # noqa: BLE001 - asserted below
            failed.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(instances)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert rows(database, "SELECT count(*) FROM event") == [(len(arrivals),)]
    assert rows(database, "SELECT DISTINCT contiguous, newest FROM mark") == [(count, count)]
    assert max(seq for _, seq in acked) == count


messages = st.one_of(
    st.integers(1, 12).map(lambda seq: ("evt/order", event(seq))),
    st.tuples(st.integers(1, 12), st.integers(0, 4)).map(
        lambda at: ("evt/gap", gap(max(1, at[0] - at[1]), at[0]))
    ),
    st.lists(st.integers(1, 12), min_size=1, max_size=4).map(
        lambda seqs: ("batch/critical", batch(*(event(seq, kind="order") for seq in seqs)))
    ),
    st.binary(max_size=3).map(lambda junk: ("evt/order", b"{" + junk)),
)
SIZES = st.tuples(
    st.integers(0, 2), st.integers(1, 5), st.sampled_from(["done", "before", "after"])
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(messages, max_size=25), st.lists(SIZES, max_size=30), st.randoms())
def test_any_instances_order_and_crash_end_in_the_same_store(tmp_path, sent, steps, shuffled):
    """Instances take messages in any order and repeatedly, and die before or after their commit;
    what is acknowledged is always committed and unbroken, and at the end everything is there."""
    path = tmp_path / f"{uuid.uuid4().hex}.db"
    database = f"sqlite:///{path}"
    with contextlib.ExitStack() as stack:  # an example may be given up in the middle
        stores = [stack.enter_context(contextlib.closing(open_store(database))) for _ in range(3)]
        stores[0].counts()  # makes the tables
        waiting = list(sent)
        shuffled.shuffle(waiting)
        numbers, seqs = _accounted(sent)

        def take(instance, size, fate):
            taken = waiting[:size]
            if fate != "before":
                outcome = stores[instance].apply(
                    [r for t, p in taken for r in read(f"edge/v1/d/{t}", p, None)], 1
                )
                for key, upto in outcome.acks.items():
                    assert key == CRITICAL
                    committed, _ = _stored(database)
                    assert set(range(1, upto + 1)) <= committed <= numbers
            if fate == "done":
                del waiting[:size]
            else:  # the broker gives it to somebody, some time
                stores[instance].close()
                shuffled.shuffle(waiting)

        for instance, size, fate in steps:
            take(instance, size, fate)
        while waiting:
            take(0, 3, "done")
        stored, events = _stored(database)
        assert (stored, events) == (numbers, seqs)
        upto = next(n for n in itertools.count() if n + 1 not in numbers)
        marks = rows(database, "SELECT contiguous, newest FROM mark")
        assert marks == ([(upto, max(numbers))] if numbers else [])
    path.unlink(missing_ok=True)


def _accounted(sent):
    numbers, seqs = set(), set()
    for topic, payload in sent:
        for record in read(f"edge/v1/d/{topic}", payload, None):
            if hasattr(record, "span"):
                numbers |= set(range(record.span.first, record.span.last + 1))
            elif hasattr(record, "seq"):
                numbers.add(record.seq)
                seqs.add(record.seq)
    return numbers, seqs


def _stored(database):
    events = {seq for (seq,) in rows(database, "SELECT seq FROM event")}
    gaps = rows(database, "SELECT first, last FROM gap")
    return events | {n for first, last in gaps for n in range(first, last + 1)}, events


# --- what is not ours, and what is refused --------------------------------------------------------


def test_tables_of_another_version_are_left_alone(store, database, open_):
    put(store, event(1))
    store.close()
    if database.startswith("sqlite"):
        with sqlite3.connect(database.removeprefix("sqlite:///")) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE consumer_schema SET version = 99")
    with pytest.raises(ConfigError, match="version 99"):
        put(open_(database), event(2))


def test_a_file_of_another_program_is_left_alone(tmp_path, open_):
    (tmp_path / "text").write_text("no database " * 100)
    with sqlite3.connect(tmp_path / "other") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    for name in ("text", "other"):
        with pytest.raises(ConfigError):
            put(open_(f"sqlite:///{tmp_path}/{name}"), event(1))


def test_a_database_that_is_away_is_told_apart(tmp_path, open_):
    for url in (f"sqlite:///{tmp_path}/no/folder.db", "postgresql://127.0.0.1:1/x"):
        with pytest.raises(Unavailable):
            put(open_(url), event(1))


def test_postgresql_refuses_what_its_json_cannot_hold_and_keeps_nothing_of_it(cluster, open_):
    database = cluster.database()
    store = open_(database)
    for body in ('"\\u0000"', "1" + "0" * 140_000):
        with pytest.raises(Rejected):
            put(store, event(1), event(2, body=body))
    assert put(store, event(3)).acks == {}
    assert rows(database, "SELECT seq FROM event") == [(3,)]


@pytest.mark.parametrize(
    "url", ["", "events.db", "sqlite://", "mysql://x", "postgresql://x?nonsense=1"]
)
def test_an_address_that_is_none_is_the_users(url):
    with pytest.raises(ConfigError):
        open_store(url)
