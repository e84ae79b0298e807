from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.alerting.policy import CAUSES, Alert, Policy, siren, urgency
from agent.alerting.voice import clips

WALL = 1_800_000_000_000


def alert(name: str, cause: str = "new_order", *, raised: int = WALL) -> Alert:
    return Alert(name, cause, raised)


def policy() -> Policy:
    return Policy(repeat_s=8, escalate_s=[90])


def test_nothing_open_nothing_to_do() -> None:
    step = policy().look(0, WALL, [])
    assert (step.sound, step.wait_s, step.escalate) == (None, None, ())


def test_an_alert_sounds_at_once_and_again_after_repeat_s() -> None:
    p, one = policy(), alert("a")
    assert p.look(0, WALL, [one]).sound is one
    early = p.look(3, WALL, [one])
    assert early.sound is None
    assert early.wait_s == 5
    assert p.look(8, WALL, [one]).sound is one


@given(st.lists(st.integers(-(10**9), 10**9), min_size=40, max_size=40))
def test_a_clock_that_jumps_changes_no_interval(jumps: list[int]) -> None:
    steady, jumping = policy(), policy()
    one = alert("a")
    for second, jump in enumerate(jumps):
        wall = WALL + 1000 * second + (jump if second else 0)
        now = 4.0 * second
        assert jumping.look(now, wall, [one]) == steady.look(now, WALL + 1000 * second, [one])


def test_a_rush_is_one_sound_for_its_newest_order() -> None:
    p = policy()
    rush = [alert(f"o{n:04}", raised=WALL + n) for n in range(1_000)]
    assert p.look(0, WALL, rush).sound is rush[-1]
    assert p.look(1, WALL, rush).sound is None


def test_a_new_cause_does_not_wait_and_the_most_urgent_is_first() -> None:
    p = policy()
    order, printer = alert("o"), alert("p", "printer")
    courier = alert("c", "courier")
    assert p.look(0, WALL, [order]).sound is order
    everything = [order, courier, printer]
    assert p.look(1, WALL, everything).sound is printer
    assert p.look(2, WALL, everything).sound is courier
    assert p.look(3, WALL, everything).sound is None


def test_repeats_go_round_the_causes_so_that_none_hides_another() -> None:
    p = policy()
    both = [alert("o"), alert("p", "printer")]
    said = []
    for second in range(50):
        step = p.look(second, WALL, both)
        if step.sound:
            said.append(step.sound.alert_id)
    assert said[:6] == ["p", "o", "p", "o", "p", "o"]


def test_an_alert_escalates_once_and_is_loud_from_then_on() -> None:
    p, one = policy(), alert("a")
    p.look(0, WALL, [one])
    p.look(89, WALL, [one])
    late = p.look(90, WALL, [one])
    assert late.escalate == (replace(one, level=1),)
    assert late.sound is one, "escalating is worth a sound at once"
    assert late.level == 1
    stored = replace(one, level=1)
    after = p.look(98, WALL, [stored])
    assert after.escalate == ()
    assert after.level == 1


def test_while_the_escalation_cannot_be_stored_it_is_asked_for_but_does_not_sound_more_often() -> (
    None
):
    p, one = policy(), alert("a")
    p.look(0, WALL, [one])
    sounds = [step for t in range(90, 190) if (step := p.look(t, WALL, [one])).sound]
    assert len(sounds) <= 14
    assert p.look(190, WALL, [one]).escalate == (replace(one, level=1),)


def test_each_level_is_told_once_and_the_siren_is_for_the_second() -> None:
    p, one = Policy(repeat_s=8, escalate_s=[30, 90, 180]), alert("a")
    told, levels = [], []
    for second in range(0, 300, 2):
        step = p.look(second, WALL + second * 1000, [one])
        for late in step.escalate:
            told.append((second, late.level))
            one = late
        if step.sound and step.level not in levels:
            levels.append(step.level)
    assert told == [(30, 1), (90, 2), (180, 3)]
    assert levels == [0, 1, 2, 3]
    assert [siren(level, 3) for level in levels] == [False, False, True, True]
    assert [siren(level, 1) for level in (0, 1)] == [False, True]


def test_after_a_restart_no_level_is_told_twice() -> None:
    old = alert("a", raised=WALL - 100_000)
    p = Policy(repeat_s=8, escalate_s=[30, 90, 180])
    (late,) = p.look(0, WALL, [old]).escalate
    assert late.level == 2
    again = Policy(repeat_s=8, escalate_s=[30, 90, 180])
    assert again.look(5, WALL + 5_000, [late]).escalate == ()


def test_in_quiet_hours_only_an_sos_is_heard_and_the_rest_when_they_are_over() -> None:
    p, order, sos = policy(), alert("o"), alert("s", "sos")
    assert p.look(0, WALL, [order], quiet=True).sound is None
    assert p.look(10, WALL, [order, sos], quiet=True).sound is sos
    assert p.look(12, WALL, [order, sos], quiet=True).sound is None
    late = p.look(90, WALL, [order], quiet=True)
    assert late.sound is None
    assert [a.alert_id for a in late.escalate] == ["o"], "the back end hears of it all the same"
    assert p.look(95, WALL, late.escalate).sound is late.escalate[0]


def test_after_a_restart_age_is_taken_from_the_wall_clock() -> None:
    old = alert("a", raised=WALL - 100_000)
    assert policy().look(0, WALL, [old]).escalate == (replace(old, level=1),)
    from_the_future = alert("b", raised=WALL + 10**9)
    assert policy().look(0, WALL, [from_the_future]).escalate == ()


def test_an_answered_alert_is_forgotten_and_its_cause_may_sound_anew() -> None:
    p, one, two = policy(), alert("a"), alert("b")
    p.look(0, WALL, [one])
    assert p.look(1, WALL, []).sound is None
    assert p.look(2, WALL, [two]).sound is two


def test_unknown_causes_come_last() -> None:
    assert all(urgency(cause) < urgency("meteor") for cause in CAUSES)


OPENING = st.tuples(st.just("open"), st.sampled_from([*CAUSES, "meteor"]))
EVENTS = st.lists(
    st.tuples(
        st.floats(0.1, 20.0), st.one_of(OPENING, st.tuples(st.just("close"), st.integers(0, 9)))
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(EVENTS)
def test_every_open_cause_is_heard_in_bounded_time_and_sounds_never_pile_up(
    events: list[tuple[float, tuple[str, object]]],
) -> None:
    p = policy()
    now, end = 0.0, 0.0
    alerts: list[Alert] = []
    since: dict[str, float] = {}  # cause -> open and unheard since
    sounds: list[float] = []
    escalated: list[tuple[str, int]] = []
    raised = 0
    news: list[float] = []  # when something was raised or escalated: it is heard before the rest
    for wait, (what, which) in [*events, (100.0, ("close", 99))]:
        end = now + wait
        while True:
            step = p.look(now, WALL + int(now * 1000), alerts)
            for late in step.escalate:
                escalated.append((late.alert_id, late.level))
                news.append(now)
                alerts = [late if a.alert_id == late.alert_id else a for a in alerts]
            if step.sound:
                assert step.sound.alert_id in {a.alert_id for a in alerts}
                sounds.append(now)
                since[step.sound.cause] = now
            for cause, unheard in since.items():
                turns = len(CAUSES) + 1 + sum(t >= unheard for t in news)
                assert now - unheard <= 8 * turns, cause
            assert step.wait_s is None or step.wait_s > 0
            ahead = now + step.wait_s if step.wait_s is not None else end
            if step.sound:
                ahead = now + 1.0  # the sound's own length; then it is asked again
            if ahead >= end:
                break
            now = ahead
        now = end
        if what == "open":
            raised += 1
            news.append(now)
            alerts.append(Alert(f"a{raised}", str(which), WALL + int(now * 1000)))
            since.setdefault(str(which), now)
        elif isinstance(which, int) and which < len(alerts):
            del alerts[which]
            since = {c: t for c, t in since.items() if c in {a.cause for a in alerts}}
    assert len(escalated) == len(set(escalated))
    assert len(sounds) <= now / 8 + 2 * raised + 1


@pytest.mark.parametrize(
    ("cause", "detail", "loud", "said"),
    [
        ("new_order", {"day_seq": 12}, False, "chime new_order 1 2"),
        ("new_order", {"day_seq": "A-0317"}, True, "siren new_order 0 3 1 7"),
        ("new_order", {"day_seq": 1234567}, False, "chime new_order 4 5 6 7"),
        ("new_order", {"day_seq": None}, False, "chime new_order"),
        ("printer", {"day_seq": ["1"]}, False, "chime printer"),
        ("cancelled", {"day_seq": "../5"}, False, "chime cancelled 5"),
        ("../../etc/passwd", {}, False, "chime"),
        ("new_order", {"day_seq": "٣"}, False, "chime new_order"),
    ],
)
def test_an_alert_in_words(cause: str, detail: dict[str, object], loud: bool, said: str) -> None:
    assert " ".join(clips(Alert("a", cause, 0, detail=detail), loud=loud)) == said
