"""What every player must do, and what aplay must really have been given."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import wave
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.clock import ManualClock, SystemClock, settle
from drivers import catalog
from drivers.base import DriverError
from drivers.sound import alsa, simulated

needs_aplay = pytest.mark.skipif(shutil.which("aplay") is None, reason="no aplay")
ALSA_CONFIG = """
pcm.quiet {{ type null }}
pcm.recorder {{ type file  slave.pcm {{ type null }}  file "{folder}/out.wav"  format "wav" }}
pcm.stuck    {{ type file  slave.pcm {{ type null }}  file "{folder}/fifo"  format "raw" }}
"""


@pytest.fixture
def sound_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """ALSA devices: `quiet`, `recorder` (writes out.wav) and `stuck` (takes 64 KB and no more)."""
    config = tmp_path / "asound.conf"
    config.write_text(ALSA_CONFIG.format(folder=tmp_path))
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    os.mkfifo(tmp_path / "fifo")
    far_end = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
    yield tmp_path
    os.close(far_end)


def tone(path: Path, *, start: int = 0, count: int = 4_000) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 22_050, 0, "NONE", ""))
        out.writeframes(array("h", [start + n % 1_000 for n in range(count)]).tobytes())
    return path


def samples(path: Path) -> list[int]:
    """By the length of the file: ALSA's file plugin does not go back to write it in the header."""
    return array("h", path.read_bytes()[44:]).tolist()


def play(device: str, clips: list[Path], volume: float = 1.0) -> None:
    async def run() -> None:
        async with alsa.open_player(alsa.Settings(device=device), SystemClock()) as player:
            await player.play(clips, volume)

    asyncio.run(run())


@needs_aplay
def test_the_card_gets_every_sample_of_every_clip_in_one_stream(sound_cards: Path) -> None:
    one = tone(sound_cards / "1.wav", start=1)
    two = tone(sound_cards / "2.wav", start=5_000, count=77)
    play("recorder", [one, two])
    heard = samples(sound_cards / "out.wav")
    assert heard[:4_077] == samples(one) + samples(two)
    assert not any(heard[4_077:])  # the card's last period is filled up with silence


@needs_aplay
def test_the_volume_is_applied_without_a_mixer(sound_cards: Path) -> None:
    loud = tone(sound_cards / "1.wav", start=100)
    play("recorder", [loud], volume=0.5)
    assert samples(sound_cards / "out.wav")[:4_000] == [int(s * 0.5) for s in samples(loud)]


@needs_aplay
def test_the_shipped_prompts_play(sound_cards: Path) -> None:
    prompts = Path(alsa.__file__).parents[2] / "agent" / "alerting" / "prompts"
    play("quiet", [prompts / "chime.wav", prompts / "zh" / "new_order.wav"])


@needs_aplay
def test_a_missing_card_is_known_at_opening_and_says_what_to_do(sound_cards: Path) -> None:
    with pytest.raises(DriverError, match="there is no sound device hat; plug it in"):
        play("hat", [])


@needs_aplay
def test_cancelling_kills_and_reaps_the_child_at_once(sound_cards: Path) -> None:
    clip = tone(sound_cards / "long.wav", count=22_050 * 30)

    async def run() -> None:
        player = alsa.AlsaPlayer(shutil.which("aplay") or "", "stuck")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(player.play([clip]))
            async with asyncio.timeout(10):
                while not children("aplay"):
                    await asyncio.sleep(0.01)
            task.cancel()
        assert task.cancelled()

    asyncio.run(run())
    assert not children("aplay")


@needs_aplay
def test_a_stuck_card_is_given_up_at_its_deadline(
    sound_cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alsa, "SPARE_S", 0.2)
    clip = tone(sound_cards / "long.wav", count=50_000)

    async def run() -> None:
        player = alsa.AlsaPlayer(shutil.which("aplay") or "", "stuck")
        with pytest.raises(DriverError, match="sound device stuck is stuck"):
            await player.play([clip])

    asyncio.run(run())
    assert not children("aplay")


@needs_aplay
def test_a_child_killed_from_outside_is_an_error_and_not_a_played_sound(sound_cards: Path) -> None:
    clip = tone(sound_cards / "long.wav", count=22_050 * 30)

    async def run() -> None:
        player = alsa.AlsaPlayer(shutil.which("aplay") or "", "stuck")

        async def kill() -> None:
            while not (found := children("aplay")):
                await asyncio.sleep(0.01)
            os.kill(found[0], signal.SIGKILL)

        outcome, _ = await asyncio.gather(player.play([clip]), kill(), return_exceptions=True)
        assert isinstance(outcome, DriverError)

    asyncio.run(run())


def test_without_aplay_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(DriverError, match="apt install alsa-utils"):
        play("default", [])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("aplay: main:831: audio open error: Device or resource busy", "in use by another program"),
        ("aplay: main:831: audio open error: Permission denied", "to the group audio"),
        ("ALSA lib confmisc.c:855:(parse_card) cannot find card '0'", "plug it in"),
        ("ALSA lib x\naplay: set_params:1407: Unable to install hw params", "install hw params"),
        ("", "no reason given"),
    ],
)
def test_aplays_complaints_become_advice(said: str, told: str) -> None:
    assert told in alsa.explain("plughw:0", said)


# --- the simulated one ----------------------------------------------------------------------------


def test_the_simulator_takes_as_long_as_the_clips_and_remembers_them(tmp_path: Path) -> None:
    clip = tone(tmp_path / "1.wav", count=22_050)

    async def run() -> None:
        clock = ManualClock()
        async with simulated.open_player(simulated.Settings(), clock) as player:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(player.play([clip, clip], 0.5))
                await clock.advance(1.9)
                assert not task.done()
                assert not player.plays[0].complete
                await clock.advance(0.2)
                assert task.done()
            (heard,) = player.plays
            assert (heard.t, heard.clips, heard.volume) == (1000.0, (clip, clip), 0.5)
            assert heard.complete

    asyncio.run(run())


def test_the_simulator_is_cut_short_and_unplugged(tmp_path: Path) -> None:
    clip = tone(tmp_path / "1.wav", count=22_050)

    async def run() -> None:
        async with simulated.open_player(simulated.Settings(), ManualClock()) as player:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(player.play([clip]))
                await settle()
                task.cancel()
            assert [heard.complete for heard in player.plays] == [False]
            player.unplugged = True
            with pytest.raises(DriverError, match="plug it in"):
                await player.play([clip])

    asyncio.run(run())


def test_the_catalogue_finds_both() -> None:
    assert catalog.load("sound", "alsa") is alsa.DRIVER
    assert catalog.load("sound", "simulated") is simulated.DRIVER


def children(name: str) -> list[int]:
    """Processes of ours by this name, zombies too."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = stat.read_text().split(" (", 1)
        except (OSError, ValueError):
            continue
        comm, fields = rest.rsplit(") ", 1)
        if comm == name and int(fields.split()[1]) == os.getpid():
            found.append(int(pid))
    return found
