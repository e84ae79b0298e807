"""Every sound as it leaves through `aplay`, sample by sample beside the clips that were meant."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from agent.alerting import service as service_module
from agent.alerting.library import Library
from agent.alerting.policy import CAUSES, Policy
from agent.alerting.service import AlertingService
from agent.alerting.signals import Signals
from agent.alerting.speaker import Speaker
from agent.core.clock import SystemClock
from agent.core.health import Health
from agent.core.supervisor import Supervisor
from agent.store.database import Database
from drivers.sound import alsa
from drivers.sound.clips import scale, streams
from tests.support import ListRecorder, until

pytestmark = pytest.mark.skipif(shutil.which("aplay") is None, reason="no aplay")
VOLUME = 0.8
CALM, INSISTING = [3600.0], [0.0, 0.0]  # s until an alert escalates; the second brings the siren


class Ear:
    """An ALSA device that is a pipe, and all that came out of it."""

    def __init__(self, folder: Path) -> None:
        os.mkfifo(folder / "samples")
        self._pipe = os.open(folder / "samples", os.O_RDWR | os.O_NONBLOCK)
        self.heard = b""
        (folder / "asound.conf").write_text(
            f'pcm.ear {{ type file slave.pcm {{ type null }} file "{folder}/samples"'
            ' format "raw" }\n'
        )

    def listen(self) -> bytes:
        while True:
            try:
                self.heard += os.read(self._pipe, 1 << 16)
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        os.close(self._pipe)


@asynccontextmanager
async def ringing(
    folder: Path, language: str, steps: list[float]
) -> AsyncIterator[AlertingService]:
    clock = SystemClock()
    health = Health(clock)
    database = Database(folder / "agent.db", clock, health)
    await database.open()
    player = partial(alsa.open_player, alsa.Settings(device="ear"), clock)
    service = AlertingService(
        database,
        clock,
        health,
        ListRecorder(),
        Policy(repeat_s=3600, escalate_s=steps),
        Speaker(clock, health, Library(language), player, volume=VOLUME),
        Signals(),
        lambda: None,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Supervisor(clock, health).run([service]))
        yield service
        task.cancel()
    await database.close()


def meant(names: list[str], language: str, volume: float) -> bytes:
    files = Library(language).shipped(names)
    assert [file.stem for file in files] == names, "every word is spoken in this language"
    (whole,) = streams(files)
    return scale(whole.samples, volume)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("steps", [CALM, INSISTING], ids=["calm", "insisting"])
def test_each_cause_is_heard_word_for_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, steps: list[float]
) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    monkeypatch.setattr(service_module, "BUZZ_S", 0.0)
    ear = Ear(tmp_path)
    first, volume = ("chime", VOLUME) if steps == CALM else ("siren", 1.0)

    async def run() -> None:
        async with ringing(tmp_path, language, steps) as service:
            await until(lambda: len(ear.listen()) >= len(alsa.PROBE.samples))
            for cause in CAUSES:
                expected = meant([first, cause, "4", "0", "7"], language, volume)
                before = len(ear.listen())
                await service.raise_alert(cause, cause, "o1", {"day_seq": 407})
                await until(
                    lambda: len(ear.listen()) - before >= len(expected),  # noqa: B023 - now
                    cause,
                )
                await until(lambda: ear.listen() and service._sounding is None, "it has ended")
                told = ear.listen()[before:].lstrip(b"\0")
                assert told.startswith(expected.lstrip(b"\0")), cause
                assert not told[len(expected.lstrip(b"\0")) :].strip(b"\0"), "and nothing else"
                await service.acknowledge({cause}, "page")

    try:
        asyncio.run(run())
    finally:
        ear.close()


def test_accepting_stops_the_sound_in_the_middle_of_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody empties is a card that plays in its own time."""
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    ear = Ear(tmp_path)

    async def run() -> None:
        async with ringing(tmp_path, "zh", CALM) as service:
            await until(lambda: len(ear.listen()) >= len(alsa.PROBE.samples))
            before = len(ear.listen())
            await service.raise_alert("refund", "a", "o1", {"day_seq": 8888})
            await until(lambda: service._sounding is not None, "it sounds")
            await service.acknowledge(None, "page", "o1")
            await until(lambda: service._sounding is None, "it is silent")
            told = ear.listen()[before:]
            assert len(told) < len(meant(["chime", "refund", *"8888"], "zh", VOLUME))
            await asyncio.sleep(0)  # to whatever else would still write
            assert ear.listen()[before:] == told, "for good"

    try:
        asyncio.run(run())
    finally:
        ear.close()
