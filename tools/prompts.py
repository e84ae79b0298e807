"""Speaks the prompts of agent/alerting/prompts with espeak-ng and synthesises their chimes.

Run by hand (`python tools/prompts.py`) after a phrase changed, and commit what it writes: the agent
needs no synthesiser. All files are mono, 16 bit, 22,050 Hz, without silence at either end, and
as loud as they can be without clipping.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
import wave
from array import array
from collections.abc import Iterable
from pathlib import Path

RATE_HZ = 22_050  # what espeak-ng gives
PEAK = 29_200  # -1 dBFS
SILENCE = 0.01  # of the peak; quieter is cut off at both ends
MARGIN_S = 0.01
TARGET = Path(__file__).parents[1] / "agent" / "alerting" / "prompts"

# espeak-ng's voice `cmn` reads hanzi as English letters; the one for pinyin speaks Mandarin.
VOICES = {"zh": ("cmn-latn-pinyin", 190), "en": ("en", 170)}  # voice, words a minute
PHRASES = {
    "zh": {
        "new_order": "xin1 ding4 dan1",  # 新订单
        "changed": "ding4 dan1 yi3 xiu1 gai3",  # 订单已修改
        "cancelled": "ding4 dan1 yi3 qu3 xiao1",  # 订单已取消
        "printer": "da3 yin4 ji1 gu4 zhang4",  # 打印机故障
        "bad_order": "ding4 dan1 you3 wu4",  # 订单有误
        "courier": "qi2 shou3 yi3 dao4 dian4",  # 骑手已到店
        "sos": "qiu2 jiu4",  # 求救
        "offline": "wang3 luo4 yi3 duan4 kai1",  # 网络已断开
        "conflict": "he2 dui4 ding4 dan1",  # 核对订单
        "refund": "shen1 qing3 tui4 kuan3",  # 申请退款
        "urged": "cui1 dan1",  # 催单
        "due": "yu4 yue1 dan1 bei4 can1",  # 预约单备餐
        "low_stock": "ku4 cun2 bu4 zu2",  # 库存不足
        "auto_accepted": "zi4 dong4 jie1 dan1",  # 自动接单
    },
    "en": {
        "new_order": "new order",
        "changed": "order changed",
        "cancelled": "order cancelled",
        "printer": "printer fault",
        "bad_order": "unreadable order",
        "courier": "courier is here",
        "sos": "emergency",
        "offline": "offline",
        "conflict": "check order",
        "refund": "refund asked",
        "urged": "customer waits",
        "due": "begin scheduled order",
        "low_stock": "low stock",
        "auto_accepted": "auto order",
    },
}
DIGITS = {
    "zh": ("ling2", "yi1", "er4", "san1", "si4", "wu3", "liu4", "qi1", "ba1", "jiu3"),
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=TARGET)
    target = parser.parse_args().out
    target.mkdir(parents=True, exist_ok=True)
    write(target / "chime.wav", bell([(880.0, 0.2), (659.3, 0.35)]))
    write(target / "siren.wav", bell([(1175.0, 0.1), (932.3, 0.1)] * 4))
    for language, phrases in PHRASES.items():
        (target / language).mkdir(exist_ok=True)
        digits = {str(n): word for n, word in enumerate(DIGITS[language])}
        for name, text in (phrases | digits).items():
            write(target / language / f"{name}.wav", speak(language, text))


def speak(language: str, text: str) -> list[float]:
    voice, speed = VOICES[language]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        # A build tool of the developer's own machine: the synthesiser is the one in its PATH.
        command = ["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(path), text]
        subprocess.run(command, check=True)  # noqa: S603
        with wave.open(str(path), "rb") as spoken:
            shape = (spoken.getnchannels(), spoken.getsampwidth(), spoken.getframerate())
            if shape != (1, 2, RATE_HZ):
                raise SystemExit(f"espeak-ng gave {shape}, not mono 16 bit {RATE_HZ} Hz")
            samples = array("h", spoken.readframes(spoken.getnframes()))
    return [float(sample) for sample in samples]


def bell(notes: Iterable[tuple[float, float]]) -> list[float]:
    """Notes of (Hz, seconds): three partials each, struck and dying away."""
    samples: list[float] = []
    for pitch, seconds in notes:
        count = int(seconds * RATE_HZ)
        for n in range(count):
            t = n / RATE_HZ
            tone = sum(math.sin(2 * math.pi * pitch * k * t) / k for k in (1, 2, 3))
            attack = min(1.0, n / (0.004 * RATE_HZ))
            samples.append(tone * attack * math.exp(-2.5 * n / count))
    return samples


def write(path: Path, samples: list[float]) -> None:
    peak = max(abs(sample) for sample in samples)
    loud = [n for n, sample in enumerate(samples) if abs(sample) > SILENCE * peak]
    margin = int(MARGIN_S * RATE_HZ)
    kept = samples[max(0, loud[0] - margin) : loud[-1] + margin]
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(array("h", [round(sample * PEAK / peak) for sample in kept]).tobytes())


if __name__ == "__main__":
    main()
