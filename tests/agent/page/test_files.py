"""What the shipped files are made of: no markup from strings, nothing newer than ES2017, both
languages complete, and no heavier than they may be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from agent.alerting.policy import CAUSES
from agent.checks import CHECKS
from agent.contract.orders import Order
from agent.core.health import Severity
from agent.orders.lifecycle import Stage
from agent.page.site import READS, WRITES
from agent.printing.jobs import State
from agent.printing.trouble import ADVICE

STATIC = Path(__file__).parents[3] / "agent" / "page" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
MAX_BYTES = 150_000

MARKUP = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(")
# Browsers of Android 7 that were never renewed end at Chrome 61 or so. What came later:
NEWER = {
    "optional chaining, nullish": r"\?\.(?!\d)|\?\?",
    "logical assignment": r"\|\|=|&&=",
    "optional catch binding": r"catch\s*\{",
    "spread or rest of properties": r"\{\s*\.\.\.|\{[^()\[\]]*,\s*\.\.\.\w+\s*\}",
    "class fields": r"class\s+\w+[^{]*\{\s*(?:static\s+)?\w+\s*[=;]",
    "private names": r"[^\w'\"&]#\w+\s*[=;(]",
    "static block": r"static\s*\{",
    "asynchronous iteration": r"for\s+await|async\s*\*|async\s+function\s*\*",
    "top-level await": r"(?m)^(?:const \w+ = )?await\b",
    "dynamic import": r"\bimport\s*\(|import\.meta",
    "BigInt, separators": r"\b\d+n\b|\b\d+_\d",
    "regular expressions": r"\(\?<|/\w*s\w*\.test|\\p\{",
    "methods": r"\.(?:flat|flatMap|at|matchAll|replaceAll|finally|trimStart|trimEnd|findLast|"
    r"toSorted|replaceChildren|toggleAttribute|requestSubmit|allSettled|fromEntries)\(",
    "globals": r"\b(?:globalThis|structuredClone|queueMicrotask|AbortController|ResizeObserver)\b",
}


def bare(code: str) -> str:
    """Without comments and the insides of strings, in which anything may stand."""
    token = r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`"
    return re.sub(token, lambda m: " " if m[0].startswith("/") else "''", code, flags=re.DOTALL)


def newer(code: str) -> list[str]:
    return [name for name, pattern in NEWER.items() if re.search(pattern, bare(code), re.DOTALL)]


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_a_script_runs_on_android_7_and_makes_no_markup_from_strings(file: Path) -> None:
    code = file.read_text(encoding="utf-8")
    assert newer(code) == []
    assert [word for word in MARKUP if word in code] == []


@pytest.mark.parametrize(
    "code",
    [
        "a?.b",
        "a ?? b",
        "a ||= b",
        "try { a(); } catch { b(); }",
        "const c = { ...a };",
        "const c = { a, ...b };",
        "class A { b = 1; }",
        "for await (const a of b) c();",
        "await a();",
        "const a = await b();",
        "import('a').then(b);",
        "const a = 1_000, b = 2n;",
        "/(?<a>b)/.exec(c)",
        "[a].flat()",
        "globalThis.a = 1",
    ],
)
def test_what_is_newer_is_found(code: str) -> None:
    assert newer(code)


@pytest.mark.parametrize(
    "code",
    [
        "const a = b ? .5 : 1;",
        "f(...a, b); const c = [...d];",
        "'a ?? b'; // c?.d",
        "async () => { await a(); }",
        "try { a(); } catch (error) { b(); }",
        "class A extends B { constructor(c) { super(c); } }",
    ],
)
def test_what_es2017_has_is_not_complained_of(code: str) -> None:
    assert newer(code) == []


def test_the_page_is_light() -> None:
    assert sum(file.stat().st_size for file in STATIC.iterdir()) < MAX_BYTES


def test_every_script_is_fetched_at_once_by_the_pages_that_need_it() -> None:
    """A browser would else learn of each import only when it has read the one before."""
    for page, start in (("index.html", "main.js"), ("tech.html", "tech.js")):
        text = (STATIC / page).read_text(encoding="utf-8")
        assert set(re.findall(r'modulepreload" href="([\w.]+)"', text)) == imports(start) - {start}


def imports(name: str) -> set[str]:
    found, left = set(), {name}
    while left:
        one = left.pop()
        found.add(one)
        code = (STATIC / one).read_text(encoding="utf-8")
        left |= set(re.findall(r"from '\./([\w.]+)'", code)) - found
    return found


# --- the words of both languages ------------------------------------------------------------------

WORDS = (STATIC / "i18n.js").read_text(encoding="utf-8")
KEY = re.compile(r"^    (?:'([\w.]+)'|(\w+)): '", re.MULTILINE)


def keys(language: str) -> set[str]:
    begin = WORDS.index(f"  {language}: {{")
    block = WORDS[begin : WORDS.index("\n  },", begin)]
    return {quoted or plain for quoted, plain in KEY.findall(block)}


def needed() -> set[str]:
    kind = next(f for f in Order.__annotations__ if f == "kind")
    kinds = get_args(get_args(get_type(kind))[0])
    groups = {
        "alert": CAUSES,
        "stage": get_args(Stage),
        "job": get_args(State),
        "fault": (*ADVICE, "unreachable"),
        "check": CHECKS,
        "kind": kinds,
        "printer": ("ready", "printing", "held", "fault"),
    }
    named = {f"{group}.{one}" for group, all_ in groups.items() for one in all_}
    return named | {f"fault.{one}.do" for one in groups["fault"]}


def get_type(name: str) -> object:
    from typing import get_type_hints

    return get_type_hints(Order)[name]


def test_whatever_the_agent_may_say_by_code_has_words_in_both_languages() -> None:
    for language in ("en", "zh"):
        assert needed() - keys(language) == set(), language
    assert get_args(Severity) == ("info", "warning", "critical")


def test_every_word_that_a_script_asks_for_exists_and_none_is_left_over() -> None:
    code = "\n".join(
        file.read_text(encoding="utf-8") for file in SCRIPTS if file.name != "i18n.js"
    ) + "\n".join(file.read_text(encoding="utf-8") for file in STATIC.glob("*.html"))
    asked = set(re.findall(r"\bt\('([\w.]+)'[,)]", code))
    asked |= set(re.findall(r"data-(?:t|label)=\"([\w.]+)\"", code))
    known = keys("en")
    assert asked - known == set()
    prefixes = set(re.findall(r"'([\w.]+\.)' \+", code))
    quoted = set(re.findall(r"'([\w.]+)'", code))
    left = {
        key
        for key in known - asked - quoted - needed()
        if not any(key.startswith(prefix) for prefix in prefixes)
    }
    assert left == set()


def test_chinese_is_chinese() -> None:
    begin = WORDS.index("  zh: {")
    block = WORDS[begin : WORDS.index("\n  },", begin)]
    texts = dict(re.findall(r"^    '?([\w.]+)'?: '(.*)',$", block, re.MULTILINE))
    plain = {"language.other", "gps.fix"}
    latin = {key for key, text in texts.items() if not re.search(r"[\u4e00-\u9fff]", text)}
    assert latin - plain == set()
    half = {key for key, text in texts.items() if re.search(r"[\u4e00-\u9fff][,:;!?]", text)}
    assert half == set(), "Chinese has marks of its own"


def test_what_the_page_may_ask_for_is_either_read_or_done() -> None:
    assert not READS.keys() & WRITES.keys()
