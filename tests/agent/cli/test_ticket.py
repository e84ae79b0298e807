"""Templates, pictures of tickets and other platforms' orders on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from agent.cli import main
from drivers.printer.raster import find_fonts

ORDER = {
    "order_id": "A-1",
    "version": 1,
    "status": "pending",
    "placed_at": 1_799_999_000_000,
    "day_seq": 7,
    "items": [{"name": "面", "qty": 2, "station": "wok"}],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(
        'role = "shop"\n[device]\nid = "s-1"\ntimezone = "Asia/Shanghai"\n'
        f'[store]\npath = "{tmp_path}/agent.db"\n[tickets]\nfolder = "{tmp_path}"\n'
        '[[printer]]\nname = "kitchen"\nuri = "simulated://"\n'
        '[[printer]]\nname = "bar"\nuri = "simulated://"\nwidth_mm = 58\nstations = ["bar"]\n'
    )
    return path


def test_a_good_configuration_has_good_templates(config, capsys):
    assert main(["config", "check", "--config", str(config)]) == 0
    (config.parent / "kitchen.ticket").write_text("{nmber}\n")
    assert main(["config", "check", "--config", str(config)]) == 78
    assert "line 1: there is no field {nmber} here" in capsys.readouterr().err


def test_an_unknown_template_and_a_wrong_time_zone_are_problems(config, capsys):
    add = ["--set", "device.timezone=Mars/Olympus"]
    assert main(["config", "check", "--config", str(config), *add]) == 78
    assert "device.timezone: no time zone 'Mars/Olympus' here" in capsys.readouterr().err
    config.write_text(config.read_text() + 'template = "mine"\n')
    assert main(["config", "check", "--config", str(config)]) == 78
    assert "no template 'mine' is usable" in capsys.readouterr().err


def test_one_starts_from_ours_and_checks_ones_own(config, tmp_path, capsys):
    assert main(["ticket", "show", "kitchen", "--config", str(config)]) == 0
    mine = tmp_path / "mine.ticket"
    mine.write_text(capsys.readouterr().out)
    assert main(["ticket", "check", str(mine)]) == 0
    assert main(["ticket", "list", "--json", "--config", str(config)]) == 0
    listed = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert [row["name"] for row in listed] == ["expo", "kitchen", "mine", "receipt"]
    mine.write_text("x\n")
    assert main(["ticket", "check", str(mine)]) == 1
    assert "{qty} in `for item`" in capsys.readouterr().err
    assert main(["ticket", "show", "nothing", "--config", str(config)]) == 1


@pytest.mark.skipif(not find_fonts(), reason="no fonts on this machine")
def test_an_order_is_drawn_without_a_printer(config, tmp_path, capsys):
    from PIL import Image

    order, out = tmp_path / "order.json", tmp_path / "t.png"
    order.write_text(json.dumps(ORDER))
    common = ["--config", str(config), "--out", str(out)]
    assert main(["printer", "preview", str(order), *common]) == 0
    picture = Image.open(io.BytesIO(out.read_bytes()))
    assert picture.width == 576 + 32
    black = picture.convert("L").histogram()[0]
    assert 0.01 < black / (picture.width * picture.height) < 0.3
    assert main(["printer", "preview", str(order), "--printer", "bar", *common]) == 1
    assert "printer bar prints nothing of this order" in capsys.readouterr().err
    assert main(["printer", "preview", str(order), "--printer", "nowhere", *common]) == 1
    assert main(["printer", "preview", str(tmp_path / "none.json"), *common]) == 1
    assert "none.json cannot be read" in capsys.readouterr().err
    order.write_text('{"order_id": 5}')
    assert main(["printer", "preview", str(order), *common]) == 1


@pytest.mark.skipif(not find_fonts(), reason="no fonts on this machine")
def test_a_job_is_drawn_as_the_running_agent_tells_it(config, tmp_path, monkeypatch):
    from PIL import Image

    asked = []

    def ask(_arguments, do, **params):
        asked.append((do, params))
        line = {"type": "text", "runs": [{"text": "面"}]}
        return {"elements": [line, {"type": "cut"}], "dots": 384, "columns": 32}

    monkeypatch.setattr("agent.cli.common.ask", ask)
    out = tmp_path / "t.png"
    assert main(["printer", "preview", "0123456789abcdef", "--out", str(out)]) == 0
    assert asked == [("ticket.preview", {"job_id": "0123456789abcdef"})]
    assert Image.open(io.BytesIO(out.read_bytes())).width == 384 + 32
