"""What the tests of the consumer share: a real PostgreSQL of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.consumer.app import open_store
from agent.consumer.store import Store
from tests.agent.consumer.support import Postgres


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    postgres = Postgres()
    yield postgres
    postgres.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/events.db"
    return request.getfixturevalue("cluster").database()


@pytest.fixture
def open_() -> Iterator[Callable[[str], Store]]:
    """Opens stores that are closed at the end."""
    stores: list[Store] = []

    def open_(url: str) -> Store:
        stores.append(open_store(url, f"test-{next(numbers)}"))
        return stores[-1]

    numbers = itertools.count()
    yield open_
    for store in stores:
        store.close()
