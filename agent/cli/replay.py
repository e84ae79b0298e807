"""`replay`: a recording through the very policies of the daemon, as fast as it goes."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.cli import common


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "replay", "Run a recording through the agent's policies.")
    gps = common.command(sub, "gps", "NMEA or CSV t,lat,lon,speed,course,sigma.", _gps)
    gps.add_argument("track", type=Path, metavar="TRACK")
    gps.add_argument("--out", type=Path, metavar="M.jsonl", help="position messages")
    gps.add_argument("--fixes-out", type=Path, metavar="F.csv", help="what the receiver said")
    gps.add_argument("--estimates-out", type=Path, metavar="F.csv", help="the filter's estimates")
    gps.add_argument("--smoothed", action="store_true", help="both in hindsight, as a backlog")
    beacons = common.command(sub, "beacons", "CSV t,address,rssi,...", _beacons)
    beacons.add_argument("adverts", type=Path, metavar="ADVERTS.csv")
    beacons.add_argument("--places", type=Path, required=True, metavar="P.toml")
    beacons.add_argument("--out", type=Path, required=True, metavar="E.jsonl")


# A recording needs no device; a configuration is only read when it is named.
NOBODY = {"role": "rider", "device": {"id": "replay"}, "position": {}}


def _gps(arguments: argparse.Namespace) -> int:
    from agent import config
    from agent.positioning import replay
    from agent.positioning.profiles import profile

    named = None if arguments.config == common.DEFAULT_CONFIG else Path(arguments.config)
    loaded = config.load(named, overrides=arguments.set, base=NOBODY)
    position = loaded.config.position
    assert position is not None
    done = replay.run_replay(
        arguments.track,
        profile=profile(
            position.profile,
            max_error_m=position.max_error_m,
            moving_s=position.moving_s,
            still_s=position.still_s,
        ),
        out=arguments.out,
        fixes_out=arguments.fixes_out,
        estimates_out=arguments.estimates_out,
        smoothed=arguments.smoothed,
    )
    common.complain(str(done))
    return 0


def _beacons(arguments: argparse.Namespace) -> int:
    from agent.arrival.replay import main

    return main(arguments)
