"""What a technician sees of the radio."""

from __future__ import annotations

from agent.arrival.service import LOOKED_S
from tests.agent.arrival.test_service import Bench


def test_the_radio_is_kept_in_view_only_while_somebody_looks() -> None:
    bench = Bench()
    service = bench.service()

    async def story() -> None:
        await bench.clock.advance(5)
        assert service._overview is None, "it takes memory"
        assert service.overview() == [], "listening begins"
        await bench.clock.advance(5)
        (row,) = service.overview() or []
        assert row.packets > 1
        assert row.place is not None
        await bench.clock.advance(LOOKED_S + 5)
        assert service._overview is None

    bench.run(story, service)


def test_without_a_scanner_there_is_nothing_to_see() -> None:
    service = Bench().service()
    service._radio = None
    assert service.overview() is None
