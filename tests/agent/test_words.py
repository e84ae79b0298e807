"""Each sentence of the agent has its Chinese; what stands in its holes comes through unharmed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import words
from agent.page import server
from agent.printing import trouble as printing
from agent.uplink import words as uplink
from agent.words.zh import SAYINGS
from drivers.sound import alsa
from tools.texts import Text, texts

HOLE = re.compile(r"\{(\w*)\}")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Only a stranger's words.
BARE = re.compile(r"[^A-Za-z]*")


def filled(text: str) -> tuple[str, list[str]]:
    """The sentence with something harmless in each hole."""
    values = iter(range(100))
    marks: list[str] = []

    def mark(_hole: re.Match[str]) -> str:
        marks.append(f"<{next(values)}>")
        return marks[-1]

    return HOLE.sub(mark, text), marks


def sentences() -> list[Text]:
    return [text for text in texts() if not BARE.fullmatch(HOLE.sub("", text.text))]


def test_every_sentence_of_the_code_is_in_the_chinese_catalogue() -> None:
    missing = []
    for where, text in sentences():
        said, marks = filled(text)
        translated = words.say(said, "zh")
        if not CHINESE.search(translated) or not all(mark in translated for mark in marks):
            missing.append(f"{where}: {text}")
    assert not missing, "add them to agent/words/zh.py:\n" + "\n".join(missing)


@pytest.mark.parametrize(
    "text",
    [
        *uplink._CAUSES.values(),
        *printing.ADVICE.values(),
        *server.BIND_ADVICE.values(),
        uplink.NO_MQTT,
        uplink.DEAD,
        uplink.SILENT.format(seconds=5.0),
        *(
            alsa.explain("default", said)
            for said in ("resource busy", "Permission denied", "No such file", "", "broken")
        ),
    ],
)
def test_what_is_quoted_in_conditions_is_in_it_too(text: str) -> None:
    assert CHINESE.search(words.say(text, "zh"))


KITCHEN = "printer kitchen: out of paper: open the lid and put in a new roll"
READY = (
    "printer ready refused: Connection refused; is it switched on, with its network cable in, and"
    " at 192.0.2.9 port 9100?"
)
NO_CARD = "there is no sound device plughw:9; plug it in, or choose one of: aplay -L"
LATER = " Since 12:04. What waits is printed as soon as it is back."
KEPT = " Everything is kept and will be sent."
REFUSED = "mqtt://127.0.0.1:1883: Connection refused."


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (
            f"{KITCHEN}.{LATER}",
            "打印机 kitchen：缺纸：请打开上盖，装入新纸卷。12:04 起。恢复后自动打印等待的小票。",
        ),
        (
            f"no connection to the back end: {REFUSED}{KEPT}",
            "与后台没有连接：mqtt://127.0.0.1:1883：连接被拒绝。内容都已保存，联网后自动发送。",
        ),
        (
            f"alerts are not heard: {NO_CARD}",
            "提示音没有响：没有声卡 plughw:9；请插好，或从 aplay -L 里选一个",
        ),
        ("what nobody wrote: yet (so far)", "what nobody wrote: yet (so far)"),
        ("", ""),
    ],
)
def test_a_condition_and_what_it_quotes(english: str, chinese: str) -> None:
    assert words.say(english, "zh") == chinese


def test_a_name_that_is_one_of_our_words_stays_a_name() -> None:
    said = words.say(f"{READY}.{LATER}", "zh")
    assert said.startswith("打印机 ready 拒绝连接：连接被拒绝；是否已开机")
    assert "端口 9100？12:04 起。" in said


def test_english_stays_as_it_is() -> None:
    assert words.say("printer kitchen is switched off", "en") == "printer kitchen is switched off"


@pytest.mark.parametrize(("english", "chinese"), SAYINGS.items())
def test_an_entry_has_the_same_holes_on_both_sides(english: str, chinese: str) -> None:
    holes = HOLE.findall(english)
    assert len(holes) == len(set(holes))
    assert set(HOLE.findall(chinese)) <= set(holes) | {"name"}
    ours = HOLE.sub("", english).strip("[] :().→")
    assert CHINESE.search(chinese) or not ours or ours == "Errno"


@given(st.text(max_size=200), st.sampled_from(sorted(SAYINGS)))
def test_whatever_a_stranger_writes_comes_through(text: str, english: str) -> None:
    """A broker's or a printer's words may look like ours, or hold braces."""
    said = HOLE.sub(lambda _: text, english)
    assert isinstance(words.say(said, "zh"), str)
    assert words.say(text, "en") == text


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50))
def test_a_name_is_never_translated(name: str) -> None:
    if name in words.QUOTES:
        return
    said = words.words("zh").say("printer {name} is switched off", name=name)
    assert name in said
