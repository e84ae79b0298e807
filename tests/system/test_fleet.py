"""An operator's tools against real agents and a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import Mosquitto, wait
from tests.system.foreign import ForeignBackEnd
from tests.system.machines import HOUSE, Agent

SHOP = 'role = "shop"\n[[printer]]\nname = "kitchen"\nuri = "simulated://"\n'
IDS = ("sh-1", "sh-2", "sh-3")


@pytest.fixture
def fleet(agent: Callable[..., Agent], broker: Mosquitto, backend: ForeignBackEnd) -> list[Agent]:
    assert backend is not None  # without one a device holds back what nobody stores
    agents = [agent(broker.port, SHOP, id_, device=id_).start() for id_ in IDS]
    for one in agents:
        one.ready(online=True)
    return agents


def tool(broker: Mosquitto, *words: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "agent", "fleet", *map(str, words), "--broker", broker.url],
        cwd=HOUSE, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def settings(folder: Path, version: int, **wished: Any) -> Path:
    path = folder / f"{version}.json"
    path.write_text(json.dumps({"version": version, "settings": wished}))
    return path


def test_an_operator_sees_the_fleet_and_asks_it(fleet: list[Agent], broker: Mosquitto) -> None:
    code, out, _ = tool(broker, "list", "--json")
    assert code == 0
    assert [(d["id"], d["state"], d["role"]) for d in json.loads(out)] == [
        (id_, "online", "shop") for id_ in IDS
    ]
    code, out, _ = tool(broker, "list", "--where", "id=sh-2")
    assert "sh-2" in out
    assert "sh-1" not in out

    code, out, _ = tool(broker, "exec", "ping", "--where", "role=shop", "--timeout", 15, "--json")
    assert code == 0, out + fleet[0].words()
    assert [(o["device"], o["status"]) for o in json.loads(out)] == [(i, "succeeded") for i in IDS]
    code, _, err = tool(broker, "exec", "ping")
    assert code == 1
    assert "say which devices" in err
    code, out, _ = tool(broker, "exec", "no.such", "--where", "id=sh-1", "--json")
    assert code == 1
    assert json.loads(out)[0]["reason_code"] == "unknown_command"

    fleet[1].kill()
    wait(lambda: '"lost"' in tool(broker, "list", "--json", "--where", "id=sh-2")[1], "the will")
    code, out, _ = tool(broker, "exec", "ping", "--where", "id=*", "--timeout", 3, "--json")
    assert code == 1
    assert {o["device"]: o["status"] for o in json.loads(out)} == {
        "sh-1": "succeeded",
        "sh-2": "no answer (sent)",
        "sh-3": "succeeded",
    }


def test_settings_go_out_in_rings_and_bad_ones_stop_at_the_first(
    fleet: list[Agent], broker: Mosquitto, tmp_path: Path
) -> None:
    untouched = json.loads(tool(broker, "config", "--json")[1])
    assert [r.get("overridden", []) for r in untouched.values()] == [[]] * len(fleet)
    good = settings(tmp_path, 1, alert={"repeat_s": 21})
    state = tmp_path / "good.rollout"
    code, out, err = tool(
        broker, "rollout", "start", state, "--settings", good, "--rings", "0.3,1", "--soak", 1
    )
    assert (code, err) == (0, "")
    assert "done, ring 2 of 2" in out
    code, out, _ = tool(broker, "config", "--json")
    assert {id_: r["in_force"] for id_, r in json.loads(out).items()} == dict.fromkeys(IDS, 1)
    code, _, err = tool(broker, "rollout", "start", state, "--settings", good)
    assert code == 1
    assert "goes on with it" in err

    bad = settings(tmp_path, 2, alert={"repeat_s": -1})
    state = tmp_path / "bad.rollout"
    code, out, _ = tool(
        broker, "rollout", "start", state, "--settings", bad, "--rings", "0.3,1", "--soak", 1
    )
    assert code == 1
    assert "aborted, ring 1 of 2: 1 failed" in out
    assert "repeat_s" in out
    versions = sorted(
        r["version"] for r in json.loads(tool(broker, "config", "--json")[1]).values()
    )
    assert versions == [1, 1, 2]
    code = subprocess.run(
        [sys.executable, "-m", "agent", "fleet", "rollout", "status", state, "--json"],
        cwd=HOUSE, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(code.stdout)["phase"] == "aborted"
