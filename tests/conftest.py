"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

RECORDINGS = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def recordings() -> Path:
    """The folder of recordings from real receivers and radios; not part of the checkout."""
    if not RECORDINGS.is_dir():
        pytest.skip("no recordings")
    return RECORDINGS
