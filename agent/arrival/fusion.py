"""All that an advert or the passing of time means: places entered and left, and the floor.

A place is entered when one of its beacons is, but not while the GPS says that the rider is far from
it or the floor model names another floor; and an identity that was heard at two distant spots
counts for nothing (`clones.py`). Who still rides has not arrived, nor who is as near to another
place (`contest.py`). Every statement carries its
evidence, the moment `t` when it became so and the moment `said` when that was decided.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from agent.arrival.clones import Clones, Doubt
from agent.arrival.contest import Contest
from agent.arrival.floor import FloorAnswer, FloorFilter
from agent.arrival.geofence import Located
from agent.arrival.places import BeaconRule, Place, Places
from agent.arrival.presence import DWELL_S, BeaconPresence
from agent.arrival.thresholds import Thresholds
from drivers.base import Advert

NEAR_DB = 6.0  # a place within this of another's margin is named as its rival
FLOOR_MOVED = 0.2  # change of confidence worth telling
EXPECTED_DB = 6.0  # what an order at one of two places is worth
RIDING_MS = 3.0  # faster than anybody walks in a shop

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


@dataclass(frozen=True, slots=True)
class Ride:
    """What a position of the last minute says; nothing when there is none."""

    excluded: Collection[str] = ()  # places that the rider is too far from
    distance_m: Mapping[str, float] = field(default_factory=dict)  # from the centre of its fence
    speed: float | None = None  # m/s, of a position that is sure enough to believe it

    def evidence(self, place: str) -> dict[str, Any]:
        said: dict[str, Any] = {}
        if place in self.distance_m:
            said["fence_m"] = round(self.distance_m[place], 1)
        if self.speed is not None:
            said["speed"] = round(self.speed, 1)
        return said


NOWHERE = Ride()


@dataclass(slots=True)
class _Watched:
    """A place and what was said of it."""

    place: Place
    live: dict[BeaconRule, BeaconPresence] = field(default_factory=dict)  # heard of late, or inside
    state: Literal["outside", "inside", "arrived", "unknown"] = "outside"
    entered: float = 0.0
    changed: float = 0.0  # the date of what was said last; none is dated before it
    held: bool = False  # would have been entered, but for a contradiction


class Arrivals:
    """The policy over all places."""

    def __init__(
        self, places: Places, *, rivals: bool = True, thresholds: Thresholds | None = None
    ) -> None:
        """`rivals`: one can be at one of the places only; not so when they are people who carry
        their beacons."""
        self.conflicts: set[str] = set()  # places heard while the GPS excludes them
        self._watched: list[_Watched] = []
        self._beacons: dict[tuple[str, BeaconRule], BeaconPresence] = {}
        self._by_address: dict[str, list[tuple[_Watched, BeaconRule, BeaconPresence]]] = {}
        self._by_identity: dict[str, list[tuple[_Watched, BeaconRule, BeaconPresence]]] = {}
        self._building = places.building
        self._floor = FloorFilter(places.floor_model) if places.floor_model else None
        self._floors = frozenset(places.floor_model.windows if places.floor_model else ())
        self._told: FloorAnswer | None = None
        self._answer: FloorAnswer | None = None
        self._now = 0.0  # the radio's time: that of the last advert
        self._lost = False
        self._clones = Clones()
        self._doubts: list[Doubt] = []
        self._exclusive = rivals
        self._contest = Contest()
        self._thresholds = thresholds or Thresholds()
        self._expected: frozenset[str] = frozenset()
        self.revise(places.places)

    def revise(self, places: Iterable[Place], expected: Collection[str] = ()) -> None:
        """From now on these. What was found out stays, and who is in a place that is not among
        them any more is watched until they have left it. `expected`: where something is to be
        picked up."""
        for over in self._expected.difference(expected):
            self._thresholds.forget(over)
        self._expected = frozenset(expected)
        wanted = {place.id: place for place in places}
        old = {watched.place.id: watched for watched in self._watched}
        for watched in self._watched:
            if watched.state != "outside":
                wanted.setdefault(watched.place.id, watched.place)
        self._watched = []
        self._by_address, self._by_identity = {}, {}
        beacons, self._beacons = self._beacons, {}
        for place in wanted.values():
            watched = old.get(place.id) or _Watched(place)
            stay = [rule for rule, b in watched.live.items() if b.inside is not False]
            rules = dict.fromkeys([*place.beacon, *stay])
            watched.place = place
            watched.live = {rule: b for rule, b in watched.live.items() if rule in rules}
            self._watched.append(watched)
            for rule in rules:
                key = place.id, rule
                beacon = beacons.get(key) or BeaconPresence(rule.enter_rssi)
                beacon.enter_rssi = self._thresholds.enter_rssi(place.id, rule)
                self._beacons[key] = beacon
                index = self._by_address if rule.address else self._by_identity
                entry = (watched, rule, beacon)
                index.setdefault(rule.address or rule.identity or "", []).append(entry)
        everybody = frozenset(wanted)
        self._kin = (
            _sharing(self._watched)
            if self._exclusive
            else {watched.place.id: everybody for watched in self._watched}
        )
        self._contest.keep(everybody)
        self._identities = {rule.identity for _, rule in self._beacons if rule.identity}

    def hear(self, advert: Advert, where: Located | None = None) -> None:
        """`where`: the rider's position, if it is one of this moment."""
        if self._lost:
            self._lost = False
            for watched in self._watched:
                for beacon in watched.live.values():
                    beacon.resume(advert.t)
        self._now = advert.t
        if self._floor is not None:
            self._floor.hear(advert.t, advert.address, advert.rssi)
        identity = advert.identity
        if (
            identity is not None
            and identity in self._identities
            and self._suspect(identity, advert, where)
        ):
            return
        for watched, rule, beacon in self._rules(advert):
            if rule.identity is None or rule.identity == advert.identity:
                beacon.hear(advert.t, advert.rssi)
                watched.live[rule] = beacon

    def picked_up(self, place: str) -> bool:
        """Learn from it; whether that changed anything."""
        beacons = {rule: b for (at, rule), b in self._beacons.items() if at == place}
        if self._thresholds.picked_up(place, beacons, self._now) is None:
            return False
        for rule, beacon in beacons.items():
            beacon.enter_rssi = self._thresholds.enter_rssi(place, rule)
        return True

    def suspended(self) -> list[str]:
        """Identities that count for nothing now."""
        return self._clones.all_suspended(self._now)

    def judge(self, said: float, ride: Ride = NOWHERE) -> list[Statement]:
        """What can be said at `said`."""
        statements: list[Statement] = []
        if self._lost:
            return statements
        statements += self._withdraw(said)
        if self._floor is not None:
            statements += self._judge_floor(self._now, said)
        self.conflicts.clear()
        live = [watched for watched in self._watched if watched.live]
        margins = self._measure(live, ride)
        rival = partial(self._loudest_rival, sorted(margins.items(), key=lambda item: -item[1]))
        self._contest.look(self._now, margins, rival)
        for watched in live:
            statements += self._judge_place(watched, rival(watched.place.id), said, ride)
        return statements

    def _measure(self, live: Sequence[_Watched], ride: Ride) -> dict[str, float]:
        """DB that each place is above its threshold. Where the rider cannot be is left out: it is
        nobody's rival."""
        margins = {
            watched.place.id: max(beacon.measure(self._now) for beacon in watched.live.values())
            for watched in live
        }
        for watched in live:
            if watched.place.id in self._expected:
                for rule, beacon in watched.live.items():
                    if beacon.level is not None:
                        self._thresholds.heard(watched.place.id, rule, self._now, beacon.level.p75)
        return {w.place.id: margins[w.place.id] for w in live
                if not self._impossible(w.place, ride)}  # fmt: skip

    def _loudest_rival(self, margins: Sequence[tuple[str, float]], place: str) -> float:
        """Its margin; `margins` loudest first. Where something is to be picked up it takes more to
        be believed to be elsewhere, and less to be there."""
        kin = self._kin[place]
        mine = place in self._expected
        return max(
            (
                margin + EXPECTED_DB * ((other in self._expected) - mine)
                for other, margin in margins
                if other not in kin
            ),
            default=-math.inf,
        )

    def lose(self, said: float, cause: str) -> list[Statement]:
        """The scanner cannot hear: what was inside is unknown until it hears again."""
        if self._lost:
            return []
        self._lost = True
        self._contest = Contest()
        statements = []
        for watched in self._watched:
            for beacon in watched.live.values():
                beacon.forget()
            if watched.state in {"inside", "arrived"}:
                watched.state, watched.changed = "unknown", said
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
        self, watched: _Watched, rival: float, said: float, ride: Ride
    ) -> list[Statement]:
        kin = self._kin[watched.place.id]
        elsewhere = self._impossible(watched.place, ride) or self._contest.elsewhere(
            watched.place.id, kin
        )
        for beacon in watched.live.values():
            beacon.judge(self._now, rival, elsewhere=elsewhere)
        inside = [(rule, beacon) for rule, beacon in watched.live.items() if beacon.inside]
        if watched.state in {"outside", "unknown"}:
            since = self._undisputed(watched.place.id)
            if since is None:
                return []
            held, watched.held = watched.held, bool(inside)
            if inside and not self._contradicted(watched.place, ride):
                first = min(beacon.since for _, beacon in inside)
                date = max(self._now if held else first, watched.changed, since)
                return self._enter(watched, inside, date, said, ride)
        if watched.state != "outside" and all(b.inside is False for b in watched.live.values()):
            return self._exit(watched, said)
        watched.live = {rule: beacon for rule, beacon in watched.live.items()
                        if beacon.inside is not False or beacon.audible(self._now)}  # fmt: skip
        steady = any(not beacon.weakening() for _, beacon in inside)
        riding = ride.speed is not None and ride.speed > RIDING_MS
        dwelt = steady and not riding and self._now - watched.entered >= DWELL_S
        if (
            watched.state == "inside"
            and dwelt
            and self._contest.decides(watched.place.id, kin)
            and not self._contradicted(watched.place, ride)
        ):
            watched.state = "arrived"
            evidence = {"dwell_s": round(self._now - watched.entered, 1)}
            evidence |= self._evidence(*_loudest(inside)) | ride.evidence(watched.place.id)
            return [self._statement(watched, watched.entered, said, "arrived", evidence)]
        return []

    def _enter(
        self,
        watched: _Watched,
        inside: Sequence[tuple[BeaconRule, BeaconPresence]],
        t: float,
        said: float,
        ride: Ride,
    ) -> list[Statement]:
        rule, beacon = _loudest(inside)
        evidence = self._evidence(rule, beacon) | ride.evidence(watched.place.id)
        if watched.state == "unknown":
            evidence["after"] = "unknown"
        rivals = self._rivals(watched, evidence.get("margin_db", 0.0))
        if rivals:
            evidence["rivals"] = rivals
        watched.state, watched.held = "inside", False
        watched.entered = watched.changed = t
        return [self._statement(watched, t, said, "enter", evidence)]

    def _exit(self, watched: _Watched, said: float) -> list[Statement]:
        last = max(watched.live.values(), key=lambda beacon: beacon.since)
        watched.state = "outside"
        watched.changed = max(last.since, watched.changed)
        evidence = {"cause": last.cause, "decided_after_s": round(said - watched.changed, 1)}
        return [Statement(watched.changed, said, "exit", watched.place.id, evidence)]

    def _suspect(self, identity: str, advert: Advert, where: Located | None) -> bool:
        """Whether it is suspended."""
        if where is not None:
            doubt = self._clones.hear(identity, advert.address, where)
            self._doubts += [doubt] if doubt else []
        return self._clones.suspended(identity, advert.t)

    def _withdraw(self, said: float) -> list[Statement]:
        """A place that only a suspended identity spoke for is unknown: the rider need not have
        left."""
        statements = []
        for doubt in self._doubts:
            for watched in self._watched:
                live = {r: b for r, b in watched.live.items() if r.identity != doubt.identity}
                for beacon in (b for r, b in watched.live.items() if r not in live):
                    beacon.forget()
                spoke_alone = len(live) < len(watched.live) and not any(
                    beacon.inside for beacon in live.values()
                )
                watched.live = live
                if spoke_alone and watched.state in {"inside", "arrived"}:
                    watched.state, watched.changed = "unknown", said
                    evidence = {"cause": "identity_suspended", "identity": doubt.identity,
                                "apart_m": doubt.apart_m, "addresses": doubt.addresses}  # fmt: skip
                    statements.append(Statement(said, said, "unknown", watched.place.id, evidence))
        self._doubts.clear()
        return statements

    def _undisputed(self, place: str) -> float | None:
        """Since when nothing speaks for a rival: where an order names another shop, this one must
        lead; None while it does not."""
        kin = self._kin[place]
        return self._contest.leads(place, kin) if self._expected - kin else -math.inf

    def _contradicted(self, place: Place, ride: Ride) -> bool:
        if place.id in ride.excluded:
            self.conflicts.add(place.id)
        return self._impossible(place, ride)

    def _impossible(self, place: Place, ride: Ride) -> bool:
        answer = self._answer
        # A floor that nobody surveyed is one that the model cannot name.
        elsewhere = (
            answer is not None and place.floor in self._floors and place.floor != answer.floor
        )
        return elsewhere or place.id in ride.excluded

    def _evidence(self, rule: BeaconRule, beacon: BeaconPresence) -> dict[str, Any]:
        level = beacon.level
        evidence: dict[str, Any] = {"beacon": rule.identity or rule.address}
        if level is not None:
            margin = round(beacon.margin, 1)
            evidence |= {"packets": level.packets, "p75": level.p75, "margin_db": margin}
        if beacon.enter_rssi != rule.enter_rssi:
            evidence["learned_db"] = round(beacon.enter_rssi - rule.enter_rssi, 2)
        return evidence

    def _rivals(self, watched: _Watched, margin: float) -> list[str]:
        """Other places about as loud: the rider may be next door."""
        kin = self._kin[watched.place.id]
        return [
            other.place.id
            for other in self._watched
            if other.place.id not in kin
            and any(b.margin >= margin - NEAR_DB for b in other.live.values())
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


def _sharing(places: Sequence[_Watched]) -> dict[str, frozenset[str]]:
    """Places that share a beacon are in one room: by each of them, all of them."""
    by_beacon: dict[tuple[str | None, str | None], set[str]] = {}
    for watched in places:
        for rule in watched.place.beacon:
            by_beacon.setdefault((rule.address, rule.identity), set()).add(watched.place.id)
    kin = {watched.place.id: frozenset([watched.place.id]) for watched in places}
    for ids in by_beacon.values():
        for place in ids:
            kin[place] |= ids
    return kin


def _loudest(
    beacons: Sequence[tuple[BeaconRule, BeaconPresence]],
) -> tuple[BeaconRule, BeaconPresence]:
    return max(beacons, key=lambda item: item[1].margin)
