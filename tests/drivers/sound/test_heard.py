"""What came out of the sound system: its own recording, compared with the clip."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import wave
from array import array
from collections.abc import Iterator
from functools import partial
from math import sqrt
from pathlib import Path

import pytest

from agent.alerting.library import Library
from agent.core.clock import SystemClock
from drivers.sound import alsa
from tests.support import wait

TOOLS = ("pulseaudio", "pactl", "parec", "aplay")
RATE_HZ = 22_050
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)) or not Path("/usr/share/alsa/alsa.conf.d").exists(),
    reason="no PulseAudio with ALSA's plug-in",
)


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A sound server of our own with one sink that makes no noise, and what it was given."""
    socket, heard = tmp_path / "p.sock", tmp_path / "heard.raw"
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    tmp_path.chmod(0o700)
    native = f"module-native-protocol-unix auth-anonymous=1 socket={socket}"
    sink = f"module-null-sink sink_name=shop rate={RATE_HZ} channels=1"
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
         "-L", native, "-L", sink],
        env=environment, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    config = tmp_path / "asound.conf"
    config.write_text(
        f'</usr/share/alsa/alsa.conf>\npcm.shop {{ type pulse server "unix:{socket}" }}\n'
    )
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    monkeypatch.setenv("HOME", str(tmp_path))
    environment["PULSE_SERVER"] = f"unix:{socket}"
    ask = ["pactl", "info"]
    up = partial(subprocess.run, ask, check=False, env=environment, capture_output=True)
    wait(lambda: up().returncode == 0)
    with heard.open("wb") as out:
        recorder = subprocess.Popen(
            ["parec", "--latency-msec=50", "-d", "shop.monitor", "--format=s16le",
             f"--rate={RATE_HZ}", "--channels=1", "--raw"],
            env=environment, stdout=out, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait(lambda: heard.stat().st_size, "the recorder runs")
            yield heard
        finally:
            for process in (recorder, server):
                process.terminate()
                process.wait(20)


@pytest.mark.parametrize("cause", ["new_order", "urged", "sos"])
def test_the_right_words_come_out_of_the_sound_system(recording: Path, cause: str) -> None:
    clips = Library("zh").shipped(["chime", cause])
    assert len(clips) == 2

    async def play() -> None:
        async with alsa.open_player(alsa.Settings(device="shop"), SystemClock()) as player:
            await player.play(clips)

    asyncio.run(play())
    meant = {
        name: samples(Library("zh").shipped([name])[0]) for name in ("new_order", "urged", "sos")
    }
    wait(lambda: len(sounding(recording)) >= 0.9 * len(trimmed(samples(clips[0]) + meant[cause])))
    heard = envelope(sounding(recording))
    alike = {
        name: likeness(heard, envelope(samples(clips[0]) + clip)) for name, clip in meant.items()
    }
    assert max(alike, key=alike.__getitem__) == cause, alike
    assert alike[cause] > 0.7, alike


def samples(clip: Path) -> list[int]:
    with wave.open(str(clip)) as file:
        return array("h", file.readframes(file.getnframes())).tolist()


def sounding(raw: Path) -> list[int]:
    data = raw.read_bytes()
    return trimmed(array("h", data[: len(data) // 2 * 2]).tolist())


def trimmed(values: list[int]) -> list[int]:
    """Without the silence around it."""
    loud = [n for n, value in enumerate(values) if abs(value) > 300]
    return values[loud[0] : loud[-1] + 1] if loud else []


def envelope(values: list[int], step: int = RATE_HZ // 100) -> list[float]:
    """How loud each hundredth of a second is, from the first sound on."""
    cut = trimmed(values)
    blocks = (cut[n : n + step] for n in range(0, len(cut), step))
    return [sqrt(sum(value * value for value in block) / len(block)) for block in blocks]


def likeness(one: list[float], other: list[float]) -> float:
    """Correlation of two envelopes at the best shift of up to 0.2 s: a server swallows the first
    hundredths of a stream that wakes it up."""
    return max(_correlation([0.0] * shift + one, other) for shift in range(21))


def _correlation(one: list[float], other: list[float]) -> float:
    size = max(len(one), len(other))
    a, b = ([*x, *[0.0] * (size - len(x))] for x in (one, other))
    ma, mb = sum(a) / size, sum(b) / size
    top = sum((x - ma) * (y - mb) for x, y in zip(a, b, strict=True))
    return top / sqrt(sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b))
