from __future__ import annotations

import math
import wave
from array import array
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.base import DriverError
from drivers.sound.clips import Stream, read, scale, streams

ROOT = Path(__file__).parents[3]
PROMPTS = ROOT / "agent" / "alerting" / "prompts"


def clip(path: Path, samples: list[int], *, rate: int = 22_050, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setparams((channels, 2, rate, 0, "NONE", ""))
        out.writeframes(array("h", samples).tobytes())
    return path


def test_clips_of_one_format_become_one_stream_without_a_gap(tmp_path: Path) -> None:
    one = clip(tmp_path / "1.wav", [1, 2, 3])
    two = clip(tmp_path / "2.wav", [4, 5])
    assert streams([one, two]) == [Stream(22_050, 1, array("h", [1, 2, 3, 4, 5]).tobytes())]


def test_a_clip_of_another_format_is_a_stream_of_its_own(tmp_path: Path) -> None:
    one = clip(tmp_path / "1.wav", [1, 2])
    two = clip(tmp_path / "2.wav", [3, 4], rate=44_100, channels=2)
    got = streams([one, two, one])
    assert [(s.rate, s.channels) for s in got] == [(22_050, 1), (44_100, 2), (22_050, 1)]


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (1.0, [1000, -1000, 32767, -32768]),
        (0.5, [500, -500, 16383, -16384]),
        (0.0, [0] * 4),
        (7.0, [1000, -1000, 32767, -32768]),
        (-1.0, [0] * 4),
    ],
)
def test_volume_is_a_factor_that_never_clips(volume: float, expected: list[int]) -> None:
    samples = array("h", [1000, -1000, 32767, -32768]).tobytes()
    assert array("h", scale(samples, volume)).tolist() == expected


def test_a_clip_with_eight_bits_is_refused_with_the_command_that_converts_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "old.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 1, 8_000, 0, "NONE", ""))
        out.writeframes(b"\x80" * 10)
    with pytest.raises(DriverError, match=r"old\.wav has 8 bits a sample; convert it: sox"):
        read(path)


def test_a_missing_clip_is_named(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match=r"gone\.wav cannot be read"):
        read(tmp_path / "gone.wav")


GOOD = (PROMPTS / "en" / "8.wav").read_bytes()[:600]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=300)
    | st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=8)).map(
        lambda change: GOOD[: change[0]] + change[1] + GOOD[change[0] + len(change[1]) :]
    )
    | st.integers(0, len(GOOD)).map(lambda n: GOOD[:n])
)
def test_any_bytes_are_a_clip_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.wav"
    path.write_bytes(data)
    try:
        stream = read(path)
    except DriverError:
        return
    assert len(stream.samples) % (2 * stream.channels) == 0
    assert stream.seconds >= 0


# --- the clips that ship --------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(PROMPTS.rglob("*.wav")), ids=lambda p: p.stem)
def test_a_shipped_prompt_is_short_and_loud(path: Path) -> None:
    stream = read(path)
    assert (stream.rate, stream.channels) == (22_050, 1)
    assert 0.1 < stream.seconds < 2.0
    samples = array("h", stream.samples)
    assert 29_000 <= max(abs(sample) for sample in samples) <= 29_300
    rms = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
    assert rms > 2_000, "almost silent"


def test_both_languages_have_the_same_prompts_and_all_of_them_are_small() -> None:
    zh, en = ({path.name for path in (PROMPTS / x).glob("*.wav")} for x in ("zh", "en"))
    assert zh == en
    assert sum(path.stat().st_size for path in PROMPTS.rglob("*.wav")) < 1_500_000
