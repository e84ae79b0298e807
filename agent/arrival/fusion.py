"""All that an advert or the passing of time means: places entered and left, and the floor.

A place is entered when one of its beacons is, but not while the GPS says that the rider is far from
it (a copied or doubled identity) or the floor model names another floor. Every statement carries
its evidence, the moment `t` when it became so and the moment `said` when that was decided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.arrival.floor import FloorAnswer, FloorFilter
from agent.arrival.places import BeaconRule, Place, Places
from agent.arrival.presence import DWELL_S, BeaconPresence
from drivers.base import Advert

NEAR_DB = 6.0  # a place within this of another's margin is named as its rival
FLOOR_MOVED = 0.2  # change of confidence worth telling

Word = Literal["enter", "exit", "arrived", "unknown", "floor"]


@dataclass(frozen=True, slots=True)
class Statement:
    """`place` is the building's name when the word is `floor`; no floor then withdraws it."""

    t: float
    said: float
    word: Word
    place: str
    evidence: dict[str, Any] = field(default_factory=dict)
    floor: str | None = None
    confidence: float | None = None


@dataclass(slots=True)
class _Watched:
    """A place and what was said of it."""

    place: Place
    live: dict[BeaconRule, BeaconPresence] = field(default_factory=dict)  # heard of late, or inside
    state: Literal["outside", "inside", "arrived", "unknown"] = "outside"
    entered: float = 0.0
    held: bool = False  # would have been entered, but for a contradiction


class Arrivals:
    """The policy over all places."""

    def __init__(self, places: Places) -> None:
        self.conflicts: set[str] = set()  # places heard while the GPS excludes them
        self._watched = [_Watched(place) for place in places.places]
        self._by_address: dict[str, list[tuple[_Watched, BeaconRule, BeaconPresence]]] = {}
        self._by_identity: dict[str, list[tuple[_Watched, BeaconRule, BeaconPresence]]] = {}
        for watched in self._watched:
            for rule in watched.place.beacon:
                key = rule.address or rule.identity or ""
                index = self._by_address if rule.address else self._by_identity
                beacon = BeaconPresence(rule.enter_rssi)
                index.setdefault(key, []).append((watched, rule, beacon))
        self._building = places.building
        self._floor = FloorFilter(places.floor_model) if places.floor_model else None
        self._told: FloorAnswer | None = None
        self._answer: FloorAnswer | None = None
        self._now = 0.0  # the radio's time: that of the last advert
        self._lost = False

    def hear(self, advert: Advert) -> None:
        if self._lost:
            self._lost = False
            for watched in self._watched:
                for beacon in watched.live.values():
                    beacon.resume(advert.t)
        self._now = advert.t
        if self._floor is not None:
            self._floor.hear(advert.t, advert.address, advert.rssi)
        for watched, rule, beacon in self._rules(advert):
            if rule.identity is None or rule.identity == advert.identity:
                beacon.hear(advert.t, advert.rssi)
                watched.live[rule] = beacon

    def judge(self, said: float, excluded: Collection[str] = ()) -> list[Statement]:
        """What can be said at `said`. `excluded`: places that the GPS rules out."""
        statements: list[Statement] = []
        if self._lost:
            return statements
        if self._floor is not None:
            statements += self._judge_floor(self._now, said)
        self.conflicts.clear()
        for watched in self._watched:
            if watched.live:
                statements += self._judge_place(watched, said, excluded)
        return statements

    def lose(self, said: float, cause: str) -> list[Statement]:
        """The scanner cannot hear: what was inside is unknown until it hears again."""
        if self._lost:
            return []
        self._lost = True
        statements = []
        for watched in self._watched:
            for beacon in watched.live.values():
                beacon.forget()
            if watched.state in {"inside", "arrived"}:
                watched.state = "unknown"
                evidence = {"cause": cause, "silent_s": round(said - self._now, 1)}
                statements.append(Statement(said, said, "unknown", watched.place.id, evidence))
        if self._floor is not None:
            self._floor.forget()
            self._answer = None
            if self._told is not None:
                self._told = None
                statements.append(Statement(said, said, "floor", self._building, {"cause": cause}))
        return statements

    def _rules(self, advert: Advert) -> Iterable[tuple[_Watched, BeaconRule, BeaconPresence]]:
        yield from self._by_address.get(advert.address, ())
        if advert.identity is not None:
            yield from self._by_identity.get(advert.identity, ())

    def _judge_place(
        self, watched: _Watched, said: float, excluded: Collection[str]
    ) -> list[Statement]:
        for beacon in watched.live.values():
            beacon.judge(self._now)
        inside = [(rule, beacon) for rule, beacon in watched.live.items() if beacon.inside]
        if watched.state in {"outside", "unknown"}:
            held, watched.held = watched.held, bool(inside)
            if inside and not self._contradicted(watched.place, excluded):
                first = min(beacon.since for _, beacon in inside)
                return self._enter(watched, inside, self._now if held else first, said)
        if watched.state != "outside" and all(b.inside is False for b in watched.live.values()):
            return self._exit(watched, said)
        watched.live = {rule: beacon for rule, beacon in watched.live.items()
                        if beacon.inside is not False or beacon.audible(self._now)}  # fmt: skip
        steady = any(not beacon.weakening() for _, beacon in inside)
        dwelt = steady and self._now - watched.entered >= DWELL_S
        if watched.state == "inside" and dwelt and not self._contradicted(watched.place, excluded):
            watched.state = "arrived"
            evidence = {"dwell_s": round(self._now - watched.entered, 1),
                        **self._evidence(*_loudest(inside, self._now))}  # fmt: skip
            return [self._statement(watched, watched.entered, said, "arrived", evidence)]
        return []

    def _enter(
        self,
        watched: _Watched,
        inside: Sequence[tuple[BeaconRule, BeaconPresence]],
        t: float,
        said: float,
    ) -> list[Statement]:
        rule, beacon = _loudest(inside, self._now)
        evidence = self._evidence(rule, beacon)
        if watched.state == "unknown":
            evidence["after"] = "unknown"
        rivals = self._rivals(watched, evidence.get("margin_db", 0.0))
        if rivals:
            evidence["rivals"] = rivals
        watched.state, watched.entered, watched.held = "inside", t, False
        return [self._statement(watched, t, said, "enter", evidence)]

    def _exit(self, watched: _Watched, said: float) -> list[Statement]:
        last = max(watched.live.values(), key=lambda beacon: beacon.since)
        watched.state = "outside"
        evidence = {"cause": last.cause, "decided_after_s": round(said - last.since, 1)}
        return [Statement(last.since, said, "exit", watched.place.id, evidence)]

    def _contradicted(self, place: Place, excluded: Collection[str]) -> bool:
        if place.id in excluded:
            self.conflicts.add(place.id)
            return True
        answer = self._answer
        return answer is not None and place.floor not in {None, answer.floor}

    def _evidence(self, rule: BeaconRule, beacon: BeaconPresence) -> dict[str, Any]:
        level = beacon.level(self._now)
        evidence: dict[str, Any] = {"beacon": rule.identity or rule.address}
        if level is not None:
            margin = round(level.p75 - rule.enter_rssi, 1)
            evidence |= {"packets": level.packets, "p75": level.p75, "margin_db": margin}
        return evidence

    def _rivals(self, watched: _Watched, margin: float) -> list[str]:
        """Other places about as loud: the rider may be next door."""
        return [
            other.place.id
            for other in self._watched
            if other is not watched
            and any(_margin(b, self._now) >= margin - NEAR_DB for b in other.live.values())
        ]

    def _statement(
        self, watched: _Watched, t: float, said: float, word: Word, evidence: dict[str, Any]
    ) -> Statement:
        """With the floor: as the model says, else that of the place."""
        if self._floor is None:
            return Statement(t, said, word, watched.place.id, evidence, watched.place.floor)
        floor, confidence = _spoken(self._answer)
        self._told = self._answer or self._told
        return Statement(t, said, word, watched.place.id, evidence, floor, confidence)

    def _judge_floor(self, now: float, said: float) -> list[Statement]:
        assert self._floor is not None
        self._answer = answer = self._floor.judge(now)
        told = self._told
        if (answer and answer.floor) == (told and told.floor) and (
            answer is None or told is None or abs(answer.confidence - told.confidence) < FLOOR_MOVED
        ):
            return []
        self._told = answer
        floor, confidence = _spoken(answer)
        return [Statement(now, said, "floor", self._building, {}, floor, confidence)]


def _spoken(answer: FloorAnswer | None) -> tuple[str | None, float | None]:
    return (answer.floor, round(answer.confidence, 4)) if answer else (None, None)


def _margin(beacon: BeaconPresence, now: float) -> float:
    level = beacon.level(now)
    return -127.0 if level is None else level.p75 - beacon.enter_rssi


def _loudest(
    beacons: Sequence[tuple[BeaconRule, BeaconPresence]], now: float
) -> tuple[BeaconRule, BeaconPresence]:
    return max(beacons, key=lambda item: _margin(item[1], now))
