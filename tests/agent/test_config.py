"""Every mistake at once, what was perhaps meant, and who says what."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import check, load, seconds
from agent.layers import ConfigError

SHIPPED = Path(__file__).parents[2] / "config"

GOOD = """
role = "shop"
[device]
id = "sh-1"
[[printer]]
name = "kitchen"
uri = "tcp://192.0.2.9"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["shop.toml", "rider.toml", "demo/shop.toml", "demo/rider.toml"])
def test_what_ships_is_good(name: str) -> None:
    load(SHIPPED / name, environment={})


def test_every_problem_is_told_at_once_with_what_was_perhaps_meant(tmp_path: Path) -> None:
    text = """
role = "shpo"
colour = "red"
[device]
id = "sh/1"
[uplink]
keepalive_s = "often"
confrm = "broker"
[[printer]]
name = "kitchen"
uri = "tcp://192.0.2.9"
width_mm = 57
[[printer]]
name = "bar"
"""
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), environment={})
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 7
    for part in (
        "role:", "did you mean 'shop'?", "colour: there is no such setting", "device.id:",
        "uplink.keepalive_s:", "did you mean 'confirm'?", "printer[kitchen].width_mm:",
        "printer[bar].uri: is missing",
    ):  # fmt: skip
        assert part in told


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD.replace("sh-1", "sh.1"), "No dot: RabbitMQ"),
        ('role = "rider"\n[device]\nid = "r"', "a rider needs a [position] section"),
        ('role = "shop"\n[device]\nid = "s"', "a shop needs at least one [[printer]]"),
        (GOOD + 'backup = "kitchen"', "cannot be its own backup"),
        (GOOD + 'backup = "kitchn"', "no printer 'kitchn'; did you mean 'kitchen'?"),
        (GOOD + '[position]\ndriver = "gspd"', "no driver 'gspd'; did you mean 'gpsd'?"),
        (GOOD + '[position]\ndriver = "serial"\n[position.serial]\ndevcie = "x"', "'device'"),
        (GOOD + '[page]\nlisten = "0.0.0.0:80"', "page.listen"),
        ("role = ", "is not TOML"),
    ],
)
def test_what_no_single_key_shows(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem.replace("[", r"\[").replace("?", r"\?")):
        load(write(tmp_path, text), environment={})


def test_later_layers_win_and_say_where_a_value_is_from(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "[alert]\nrepeat_s = 1\nescalate_s = 1\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-x.toml").write_text("[alert]\nescalate_s = 2")
    loaded = load(
        path,
        environment={"EDGE_AGENT_STORE__MAX_MB": "50", "EDGE_AGENT_DEVICE__SITE": "x y"},
        overrides=["page.listen=127.0.0.1:9000", "uplink.retry_max_s=3"],
        desired={"alert": {"repeat_s": 3}},
    )
    config = loaded.config
    assert (config.alert.repeat_s, config.alert.escalate_s) == (3, 2)
    assert (config.store.max_mb, config.device.site) == (50, "x y")
    assert loaded.origin["alert.repeat_s"] == "remote desired"
    assert loaded.origin["alert.escalate_s"].endswith("10-x.toml")
    assert loaded.origin["store.max_mb"] == "EDGE_AGENT_STORE__MAX_MB"
    assert loaded.origin["page.listen"] == "--set"


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml", environment={})


@pytest.mark.parametrize(("text", "value"), [("30m", 1800), ("500ms", 0.5), ("7d", 604800)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "device", "id", "printer", "name", "uri", "position", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["role", "device", "printer", "fence", "page"]), JSON))
def test_whatever_stands_in_a_file_gives_problems_not_a_crash(data: dict[str, object]) -> None:
    assert check(data)


@pytest.mark.parametrize(
    ("shape", "good"),
    [
        ("lat = 31.2\nlon = 121.4", True),
        ("polygon = [[31.2, 121.4], [31.3, 121.4], [31.3, 121.5]]\ndwell_s = 60", True),
        ("", False),
        ("lat = 31.2", False),
        ("polygon = [[31.2, 121.4], [31.3, 121.4]]", False),
        ("lat = 31.2\nlon = 121.4\npolygon = [[31.2, 121.4], [31.3, 121.4], [31.3, 121.5]]", False),
    ],
)
def test_a_fence_is_a_circle_or_a_polygon(tmp_path: Path, shape: str, *, good: bool) -> None:
    text = f"""
role = "rider"
[device]
id = "rd-1"
[position]
driver = "simulated"
[position.simulated]
track = "ride.csv"
[[fence]]
id = "yard"
{shape}
"""
    if good:
        assert load(write(tmp_path, text), environment={}).config.fence[0].id == "yard"
        return
    with pytest.raises(ConfigError, match=r"fence\.yard: needs either"):
        load(write(tmp_path, text), environment={})
