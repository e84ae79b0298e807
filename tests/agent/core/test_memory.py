"""Memory is given back, and what a library does not use is not loaded."""

from __future__ import annotations

import importlib
import subprocess
import sys

from agent.core import memory


def test_a_module_that_was_left_out_can_be_imported_afterwards(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with memory.left_out("wave"):
        assert not hasattr(importlib.import_module("wave"), "open")
    assert hasattr(importlib.import_module("wave"), "open")


def test_a_module_that_is_there_stays_itself() -> None:
    before = sys.modules["subprocess"]
    with memory.left_out("subprocess"):
        assert importlib.import_module("subprocess") is before
    assert sys.modules["subprocess"] is before


def test_freed_memory_goes_back_to_the_kernel() -> None:
    """In a process of its own: gaps between blocks that stay, which only a trim gives back."""
    script = """
from agent.core import memory
memory.share_one_arena()
def resident():
    return int(open("/proc/self/statm").read().split()[1])
blocks = [bytes(60_000) for _ in range(400)]
kept = blocks[::2]
del blocks
before = resident()
memory.give_back()
assert resident() < before - 1000, (before, resident())
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_uplink_does_not_load_an_http_client() -> None:
    script = """
import sys
import agent.uplink.session
assert "http.client" not in sys.modules and "urllib.request" not in sys.modules
import urllib.request
urllib.request.Request("http://127.0.0.1/")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
