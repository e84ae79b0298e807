"""Completions in the shells themselves, and the man page through the formatters' lint."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from agent.cli import MODULES, main, parser
from agent.cli.completion import SHELLS
from agent.cli.man import page
from agent.cli.tree import read

TOP = read(parser())
CASES = [
    (["or"], {"order"}, set()),
    (["order", ""], {"list", "accept", "urge", "picked_up"}, {"status"}),
    (["order", "accept", "--l"], {"--lang"}, {"--limit"}),
    (["order", "list", "--"], {"--limit", "--json", "--config", "--set"}, {"--reason"}),
    (["printer", "resume", "kitchen", "--choice", ""], {"all", "latest", "none"}, {"--choice"}),
    (["shop", "set", ""], {"open", "busy", "closed"}, set()),
    (["--config", "order", "pri"], {"printer"}, set()),
    (["doctor", "--config", "mine.", ""], {"--fix"}, {"mine.toml"}),
    (["doctor", "--config", "min"], {"mine.toml"}, {"--fix"}),
    (["completion", ""], {"bash", "zsh", "fish"}, set()),
]


def test_a_call_builds_its_own_command_as_the_whole_parser_does() -> None:
    whole = {child.path[0]: child for child in TOP.children}
    assert set(whole) == {command for commands in MODULES.values() for command in commands}
    for commands in MODULES.values():
        alone = read(parser(commands[0]))
        assert {child.path[0] for child in alone.children} == set(commands)
        assert all(child == whole[child.path[0]] for child in alone.children)


def completed(shell: str, words: list[str], folder: Path) -> set[str]:
    """What the real shell offers for the last word."""
    (folder / "mine.toml").touch()
    file = folder / f"completion.{shell}"
    file.write_text(SHELLS[shell](TOP))
    line = " ".join(["edge-agent", *words])
    scripts = {
        "bash": f"source {file}; COMP_WORDS=(edge-agent {' '.join(w or repr('') for w in words)});"
        f" COMP_CWORD={len(words)}; _edge_agent; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        "fish": f"source {file}; complete -C'{line}'",
    }
    command = ["bash", "--norc", "-c"] if shell == "bash" else ["fish", "--no-config", "-c"]
    done = subprocess.run(
        [*command, scripts[shell]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert not done.stderr, done.stderr
    return {offered.split("\t")[0] for offered in done.stdout.split("\n")}


@pytest.mark.parametrize(("words", "offered", "not_offered"), CASES)
@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_completes(
    tmp_path: Path, shell: str, words: list[str], offered: set[str], not_offered: set[str]
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    if shell == "fish" and words[-1] == "":  # it offers options only behind a dash
        offered = {word for word in offered if not word.startswith("-")}
    found = completed(shell, words, tmp_path)
    assert offered <= found
    assert not not_offered & found


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_a_completion_is_good_in_its_shell_and_comes_from_the_command(
    tmp_path: Path, shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert "/order/accept" in text
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "it").write_text(text)
    done = subprocess.run([shell, "-n", str(tmp_path / "it")], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_zsh_completes_at_a_real_prompt(tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    from tests.agent.cli.terminal import in_terminal

    (tmp_path / "_edge-agent").write_text(SHELLS["zsh"](TOP))
    begin = f"autoload -Uz compinit; compinit -u -d {tmp_path}/dump; source {tmp_path}/_edge-agent"
    talk = [
        ("", f"{begin}; echo be''gun\r"),
        ("begun", "edge-agent order picked\t"),
        ("picked_up", "\x15exit\r"),
    ]
    _, screen = in_terminal(["zsh", "-f", "-i"], talk)
    assert "picked_up" in screen


def test_the_man_page_is_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["man"]) == 0
    text = capsys.readouterr().out
    assert text == page(TOP)
    assert all(" ".join(node.path).replace("-", "\\-") in text for node in TOP.walk())
    file = tmp_path / "edge-agent.1"
    file.write_text(text)
    lints = {
        "groff": ["groff", "-man", "-Tutf8", "-ww", "-z", str(file)],
        "mandoc": ["mandoc", "-T", "lint", "-W", "warning", str(file)],
    }
    tried = [name for name in lints if shutil.which(name)]
    for name in tried:
        done = subprocess.run(lints[name], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("", ""), name
    if not tried:
        pytest.skip("neither groff nor mandoc is installed")
