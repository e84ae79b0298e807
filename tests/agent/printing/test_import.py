"""The print path stays light: what draws, opens USB or talks to serial lines comes when needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[3]
PATHS = {
    "printing": "import agent.printing.desk, agent.printing.devices, drivers.printer.network",
    "scanning": "import drivers.printer.discovery, drivers.printer.models",
}
HEAVY = {"PIL", "escpos", "usb", "serial", "qrcode", "yaml", "numpy", "multiprocessing"}


@pytest.mark.parametrize("path", PATHS)
def test_nothing_heavy_is_imported_before_it_is_needed(path):
    code = PATHS[path] + "; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, check=True
    )
    assert HEAVY.isdisjoint(done.stdout.split())
