"""The commands beside a real agent with a real broker, as staff and technicians use them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.cli import common, main
from agent.cli.view import text
from agent.cli.watch import cut, frame
from agent.words import words
from tests.agent.cli.terminal import CTRL_C, ROOT, at_terminal
from tests.support import Mosquitto, wait

CONFIG = """
role = "shop"
[device]
id = "sh-1"
clock = "trusted"
[store]
path = "{folder}/agent.db"
[uplink]
url = "{url}"
confirm = "broker"
[[printer]]
name = "kitchen"
uri = "simulated://"
[sound]
driver = "simulated"
volume = 0.2
"""
HOSTILE = "红烧肉\x1b[2J\x1b]0;owned\x07\u202e"


@dataclass
class Running:
    config: str
    log: Path

    def __call__(self, *command: str) -> int:
        return main([*command, "--config", self.config, "--lang", "en"])

    def ask(self, do: str, **params: Any) -> Any:
        import argparse

        return common.ask(argparse.Namespace(config=self.config, set=[]), do, **params)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if shutil.which("mosquitto_pub") is None:
        pytest.skip("mosquitto_pub (mosquitto-clients) is not installed")
    folder = tmp_path_factory.mktemp("shop")
    broker = Mosquitto(folder)
    config = folder / "config.toml"
    config.write_text(CONFIG.format(folder=folder, url=broker.url))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent", "run", "--config", str(config)],
            cwd=ROOT, stderr=log, env=os.environ | {"EDGE_AGENT_ALERT__REPEAT_S": "60"},
        )  # fmt: skip
    running = Running(str(config), folder / "log")
    try:
        wait(lambda: (folder / "agent.sock").exists(), "the agent listens")
        wait(lambda: running.ask("status")["link"]["up"], "it is connected")
        for number in ("1", "2", "3"):
            order = {
                "order_id": f"o-{number}",
                "version": 1,
                "status": "pending",
                "placed_at": 1_800_000_000_000,
                "items": [{"sku": "a", "name": HOSTILE, "qty": 1, "unit_price": 1}],
                "day_seq": f"{number}{HOSTILE}",
            }
            topic = f"edge/v1/sh-1/order/o-{number}"
            publish = ["mosquitto_pub", "-p", str(broker.port), "-V", "5", "-q", "1"]
            subprocess.run([*publish, "-t", topic, "-m", json.dumps(order)], check=True)
        wait(lambda: len(running.ask("orders.list")["orders"]) == 3, "the orders are there")
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        broker.kill()


def test_staff_decide_about_orders(agent: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert agent("order", "urge", "o-1", "--note", "quick") == 0
    assert agent("order", "accept", "o-1") == 0
    assert agent("order", "ready", "o-1") == 0
    assert agent("order", "picked_up", "o-1") == 0
    assert agent("order", "refund", "o-2") == 0
    assert agent("order", "reject", "o-3", "--reason", "sold out") == 0
    capsys.readouterr()
    stages = {o["order"]["order_id"]: o["stage"] for o in agent.ask("orders.list")["orders"]}
    assert stages["o-1"] == "picked_up"
    assert stages["o-3"] == "rejected"
    assert agent("order", "accept", "o-9") == 1
    assert "there is no order o-9 here" in capsys.readouterr().err
    assert main(["order", "accept", "o-9", "--config", agent.config, "--lang", "zh"]) == 1
    assert "这里没有订单 o-9" in capsys.readouterr().err


def test_staff_set_stock_and_the_shop(agent: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert agent("stock", "set", "a", "--left", "3", "--name", HOSTILE) == 0
    assert agent("stock", "set", "b", "--sold-out") == 0
    assert agent("stock", "list") == 0
    said = capsys.readouterr().out
    assert "sold out" in said
    assert "\x1b" not in said
    assert agent("stock", "list", "--json") == 0
    assert {g["sku"]: g["left"] for g in json.loads(capsys.readouterr().out)}["a"] == 3
    assert agent("stock", "set", "a") == 2
    assert agent("shop", "set", "busy") == 0
    assert agent.ask("status")["shop_status"] == "busy"


def test_alerts_are_listed_and_acknowledged(
    agent: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert agent("alert", "list", "--json") == 0
    open_ = json.loads(capsys.readouterr().out)
    assert open_
    assert agent("alert", "ack") == 0
    assert open_[0]["alert_id"] in capsys.readouterr().out
    assert agent("alert", "ack") == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("听到了", 0), ("是", 0), ("n", 1)])
def test_only_ears_prove_that_there_is_sound(agent: Running, answer: str, status: int) -> None:
    arguments = ["sound", "test", "--config", agent.config, "--lang", "zh"]
    ended, screen = at_terminal(arguments, [("听到提示音和语音了吗", f"{answer}\r")])
    assert ended == status, screen
    assert ("alsamixer" in screen) == bool(status)
    assert ("sound.volume 现为 0.2" in screen) == bool(status)


def test_the_log_is_read_and_raised_without_the_journal(
    agent: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert agent("log", "--set-level", "DEBUG", "--minutes", "1", "--json", "-n", "500") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any("sh-1 runs" in line["text"] for line in lines)
    assert [line["n"] for line in lines] == sorted(line["n"] for line in lines)
    assert agent("log", "--level", "ERROR") == 0
    assert "sh-1 runs" not in capsys.readouterr().out
    status, screen = at_terminal(
        ["log", "--follow", "--config", agent.config], [("sh-1 runs", CTRL_C)]
    )
    assert status == 130, screen


def test_watch_shows_it_all_and_no_byte_of_an_order_commands_the_terminal(agent: Running) -> None:
    status, screen = at_terminal(["watch", "--config", agent.config], [("o-3", CTRL_C)])
    assert status == 130
    assert "printer kitchen: ready to print" in screen
    assert "back end: connected" in screen
    assert "\x1b[2J" not in screen
    assert "\x1b]0" not in screen
    assert "\u202e" not in screen
    assert screen.rstrip().endswith("\x1b[?1049l")  # the screen is given back


def test_watch_without_a_terminal_is_plain_text(
    agent: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert agent("watch", "--count", "1") == 0
    said = capsys.readouterr().out
    assert "orders, the newest first:" in said
    assert "\x1b" not in said


def test_watch_goes_on_where_no_agent_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", str(ROOT / "config/shop.toml"), "--set", f"store.path={tmp_path}/n.db"]
    assert main(["watch", "--count", "2", "--every", "0.1", "--lang", "en", *arguments]) == 1
    assert capsys.readouterr().out.count("no agent answers") == 2


# --- drawing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 2, 10, 20, 80])
@pytest.mark.parametrize("rows", [1, 2, 5, 24])
def test_a_frame_fits_whatever_the_terminal_is(columns: int, rows: int) -> None:
    lines = [f"{n} 打印机 kitchen 缺纸 {'x' * n}" for n in range(30)]
    drawn = frame(lines, columns, rows)
    shown = drawn.split("\n")[:-1]
    assert len(shown) <= max(1, rows - 1)
    plain = [line.replace("\x1b[H", "").replace("\x1b[K", "") for line in shown]
    assert all(common.width(line) < max(columns, 2) for line in plain)
    assert drawn.count("\x1b") == len(shown) + 2


def test_what_is_cut_says_so() -> None:
    assert cut("打印机", 6) == "打印机"
    assert cut("打印机", 5) == "打印…"
    assert cut("abc", 2) == "a…"


def test_the_status_in_chinese() -> None:
    status = {
        "role": "shop",
        "device": "sh-1",
        "site": "",
        "agent": "1",
        "link": {
            "up": False,
            "since": 1_800_000_000_000,
            "backlog": {"critical": 2},
            "oldest": {"critical": 1_800_000_000_000},
            "expired": {},
        },
        "health": [{"severity": "critical", "code": "stuck.x", "text": "service x hangs"}],
        "printers": [{"name": "k", "state": "ready", "waiting": 0, "fault": "paper_out"}],
        "alerts": [{"cause": "new_order", "state": "escalated", "order_id": None}],
    }
    said = text(status, words("zh")).splitlines()
    assert said[1] == (
        "后台：没有连接（2027-01-15 08:00:00 UTC 起）；等待发送：2 critical"
        "，最早的是 2027-01-15 08:00:00 UTC"
    )
    assert said[2] == "CRITICAL stuck.x: 部件 x 卡死；系统会自动重启程序"
    assert said[3] == "打印机 k：就绪，0 张等待; 缺纸"
