"""A store has one agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.store.database import StoreError
from agent.store.lock import only_one


def test_a_second_agent_on_the_same_store_is_refused(tmp_path: Path) -> None:
    store = tmp_path / "new" / "agent.db"
    with only_one(store), pytest.raises(StoreError, match="another agent"), only_one(store):
        pass
    with only_one(store), only_one(tmp_path / "new" / "other.db"):
        pass  # it was given back; another store is another store


def test_where_no_lock_can_be_made_the_store_has_the_word() -> None:
    with only_one(Path("/proc/nowhere/agent.db")):
        pass
