"""Documents say what the code says: generated parts are fresh, and nothing is left out."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agent import config
from agent.contract import topics
from agent.contract.events import BODIES, Event
from agent.contract.orders import Order
from drivers.catalog import CATALOG, load
from tools import channels, conditions, docs

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
LINK = re.compile(r"\[[^]]*\]\(([^)#\s]*)(#[^)\s]*)?\)")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def test_what_is_generated_is_fresh() -> None:
    check = subprocess.run(
        [sys.executable, ROOT / "tools" / "docs.py", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (check.returncode, check.stderr) == (0, "")


def test_a_changed_page_is_found_stale_and_written_anew() -> None:
    fresh = page("topics.md")
    changed = fresh.replace("edge/v1/{device}/state", "edge/v1/{device}/status")
    assert changed != fresh
    assert docs.fill(changed) == fresh


def test_every_topic_of_the_contract_is_documented() -> None:
    functions = {
        name
        for name, function in inspect.getmembers(topics, inspect.isfunction)
        if "device" in inspect.signature(function).parameters and name != "subscriptions"
    }
    assert {channel.name for channel in channels.CHANNELS} == functions
    assert all(f"`{channel.address}`" in page("topics.md") for channel in channels.CHANNELS)


@pytest.mark.parametrize("kind", BODIES)
def test_every_event_is_documented_with_its_fields(kind: str) -> None:
    text = page("topics.md").partition(f"### `{kind}`")[2].partition("\n### ")[0]
    for field in msgspec.structs.fields(BODIES[kind]):
        assert f"| `{field.encode_name}`" in text


def test_every_setting_says_what_it_means() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page("configuration.md"), re.MULTILINE)
    assert {name for name, meaning in rows if not meaning} == set()
    documented = {name for name, _ in rows}
    sections = [
        type_
        for _, type_ in inspect.getmembers(config, inspect.isclass)
        if issubclass(type_, config.Section) and type_ not in {config.Section, config.Config}
    ]
    assert len(sections) >= 10
    for section in sections:
        assert {field.name for field in msgspec.structs.fields(section)} <= documented


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, names in CATALOG.items() for n in names])
def test_every_driver_is_documented(kind: str, name: str) -> None:
    assert f"| `{name}` | {load(kind, name).summary} |" in page("drivers.md")


def test_conditions_are_read_from_the_source() -> None:
    found = {condition.code for condition in conditions.conditions()}
    assert {"gps.no_fix", "printer.{printer}", "service.{name}", "store.full", "uplink"} <= found
    assert all(condition.text and condition.severity in {"info", "warning", "critical"}
               for condition in conditions.conditions())  # fmt: skip


def test_the_asyncapi_document_holds_together() -> None:
    """Every reference in it leads somewhere; its parser is not here to ask."""
    text = (ROOT / "docs" / "asyncapi.json").read_text("utf-8")
    document = json.loads(text)
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        found = document
        for part in reference.split("/"):
            found = found[part]
    assert set(document["channels"]["event"]["messages"]) == set(BODIES)
    order = document["components"]["schemas"][Order.__name__]
    assert order["required"] == ["order_id", "version", "status", "placed_at", "items"]
    assert Event.__name__ in document["components"]["schemas"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target, anchor in LINK.findall(path.read_text("utf-8")):
        if "://" in target:
            continue
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}
            assert anchor[1:] in slugs, f"{target}{anchor}"
