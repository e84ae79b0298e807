"""WAV files as the stream that a sound card takes; pure but for reading the file.

A clip is 16 bit PCM of any rate and number of channels. Neighbours of one format become one stream,
so that chime, phrase and digits follow each other without a gap.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drivers.base import DriverError

MAX_BYTES = 8 * 1024 * 1024  # 90 s in CD quality; longer is no prompt


@dataclass(frozen=True, slots=True)
class Stream:
    """Signed 16 bit little-endian samples, channels interleaved."""

    rate: int  # Hz
    channels: int
    samples: bytes

    @property
    def seconds(self) -> float:
        return len(self.samples) / (2 * self.channels * self.rate)


def streams(clips: Sequence[Path]) -> list[Stream]:
    """The clips in their order, joined where the format allows.

    Raises DriverError that names the clip which cannot be read.
    """
    joined: list[Stream] = []
    for clip in clips:
        new = read(clip)
        if joined and (joined[-1].rate, joined[-1].channels) == (new.rate, new.channels):
            new = Stream(new.rate, new.channels, joined.pop().samples + new.samples)
        joined.append(new)
    return joined


def read(path: Path) -> Stream:
    """A clip; DriverError when it is not a 16 bit PCM WAV file."""
    import wave  # where nothing sounds it is not needed

    how = f"convert it: sox {path.name} -b 16 -r 22050 -c 1 out.wav"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DriverError(f"{path} has more than {MAX_BYTES} bytes; shorten it")
        with wave.open(str(path), "rb") as clip:
            if clip.getsampwidth() != 2:
                raise DriverError(f"{path} has {8 * clip.getsampwidth()} bits a sample; {how}")
            rate, channels = clip.getframerate(), clip.getnchannels()
            if not 4_000 <= rate <= 192_000 or channels > 2:
                raise DriverError(f"{path} has {channels} channels at {rate} Hz; {how}")
            data = clip.readframes(clip.getnframes())
    except OSError as error:
        raise DriverError(f"{path} cannot be read: {error.strerror}") from error
    except (wave.Error, EOFError, RuntimeError) as error:  # RuntimeError: a chunk's size lies
        raise DriverError(f"{path} is not a PCM WAV file ({error}); {how}") from error
    return Stream(rate, channels, data[: len(data) - len(data) % (2 * channels)])


def scale(samples: bytes, volume: float) -> bytes:
    """Every sample times `volume`, which is held to 0..1 so that nothing clips. It takes its time:
    70 ns a sample on a PC, so what sounds first should be scaled before the rest."""
    if volume >= 1.0:
        return samples
    factor = max(0.0, volume)
    values = array("h", samples)
    if sys.byteorder == "big":
        values.byteswap()
    scaled = array("h", [int(value * factor) for value in values])
    if sys.byteorder == "big":
        scaled.byteswap()
    return scaled.tobytes()
