"""Completions for bash, zsh and fish, written from the parser: no library, no call of ours while
somebody types."""

from __future__ import annotations

import argparse

from agent.cli import common
from agent.cli.tree import Argument, Node, read

PROGRAM = "edge-agent"


def add(groups: common.Groups) -> None:
    help_ = "Print the completions of a shell, for its own folder."
    added = groups.add_parser("completion", help=help_, description=help_)
    added.add_argument("shell", choices=sorted(SHELLS))
    added.set_defaults(run=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    from agent.cli import parser

    print(SHELLS[arguments.shell](read(parser())), end="")
    return 0


def bash(top: Node) -> str:
    nodes = list(top.walk())
    return f"""\
# bash completion of {PROGRAM}; made by: {PROGRAM} completion bash
_edge_agent() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} at='' i word words=''
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        case "$word" in {_patterns(_taking(nodes))}) ((i++)); continue ;; esac
        case "$at/$word" in {_patterns(_paths(nodes))}) at="$at/$word" ;; esac
    done
    case "$at $prev" in
{_bash_values(nodes)}    esac
    case "$at" in
{_bash_words(nodes)}    esac
    if [[ $cur != -* && $words == *@files* ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames 2>/dev/null
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "${{words//@files/}}" -- "$cur")
}}
complete -F _edge_agent {PROGRAM}
"""


def _bash_values(nodes: list[Node]) -> str:
    lines = []
    for node in nodes:
        for option in node.options:
            if not option.word:
                continue
            if option.choices:
                reply = f'compgen -W "{" ".join(option.choices)}" -- "$cur"'
            elif option.is_file:
                reply = 'compgen -f -- "$cur"'
            else:
                reply = ""
            case = _patterns([f"{_at(node)} {flag}" for flag in option.flags])
            then = f"mapfile -t COMPREPLY < <({reply}); return" if reply else "return"
            lines.append(f"        {case}) {then} ;;\n")
    return "".join(lines)


def _bash_words(nodes: list[Node]) -> str:
    return "".join(
        f"        {_patterns([_at(node)])}) words={_quoted(' '.join(_words(node)))} ;;\n"
        for node in nodes
    )


def zsh(top: Node) -> str:
    nodes = list(top.walk())
    cases = "".join(
        f"        {_patterns([_at(node)])})\n{_zsh_node(node)}            ;;\n" for node in nodes
    )
    values = "".join(
        f"        {_patterns([f'{_at(node)} {flag}' for flag in option.flags])})"
        f" {_zsh_value(option)}; return ;;\n"
        for node in nodes
        for option in node.options
        if option.word
    )
    return f"""\
#compdef {PROGRAM}
# zsh completion of {PROGRAM}; made by: {PROGRAM} completion zsh
_edge_agent() {{
    local at='' word i
    local -a commands options
    for ((i = 2; i < CURRENT; i++)); do
        word=$words[i]
        case "$word" in ({_patterns(_taking(nodes))}) ((i++)); continue ;; esac
        case "$at/$word" in ({_patterns(_paths(nodes))}) at="$at/$word" ;; esac
    done
    case "$at $words[CURRENT-1]" in
{values}    esac
    case "$at" in
{cases}    esac
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _edge_agent "$@"
else
    compdef _edge_agent {PROGRAM}
fi
"""


def _zsh_node(node: Node) -> str:
    options = [f"{flag}:{_flat(option.help)}" for option in node.options for flag in option.flags]
    lines = f"            options=({' '.join(map(_quoted, options))})\n"
    children = [f"{child.path[-1]}:{_flat(child.help)}" for child in node.children]
    children += [choice for place in node.places for choice in place.choices]
    lines += f"            commands=({' '.join(map(_quoted, children))})\n"
    lines += "            [[ $words[CURRENT] == -* ]] && { _describe option options; return }\n"
    if any(place.is_file for place in node.places):
        lines += "            _files\n"
    return lines + "            (( $#commands )) && _describe command commands\n"


def _zsh_value(option: Argument) -> str:
    if option.choices:
        return f"compadd -- {' '.join(option.choices)}"
    return "_files" if option.is_file else "_message value"


def fish(top: Node) -> str:
    nodes = list(top.walk())
    taking = " ".join(_taking(nodes))
    lines = [
        f"# fish completion of {PROGRAM}; made by: {PROGRAM} completion fish",
        "function __edge_agent_at",
        "    set -l at ''",
        "    set -l skip 0",
        "    for word in (commandline -opc)[2..-1]",
        "        if test $skip = 1; set skip 0; continue; end",
        f"        if contains -- $word {taking}; set skip 1; continue; end",
        f"        if contains -- $at/$word {' '.join(_paths(nodes))}; set at $at/$word; end",
        "    end",
        '    test "$at" = "$argv[1]"',
        "end",
        f"complete -c {PROGRAM} -f",
    ]
    for node in nodes:
        when = f"complete -c {PROGRAM} -n {_quoted(f'__edge_agent_at {_at(node)}')}"
        lines += [f"{when} -a {c.path[-1]} -d {_quoted(c.help)}" for c in node.children]
        for place in node.places:
            if place.choices:
                lines.append(f"{when} -a {_quoted(' '.join(place.choices))}")
            elif place.is_file:
                lines.append(f"{when} -F")
        lines += [f"{when} {_fish_option(option)}" for option in node.options]
    return "\n".join(lines) + "\n"


def _fish_option(option: Argument) -> str:
    flags = [
        f"-l {flag.removeprefix('--')}" if flag.startswith("--") else f"-s {flag[1:]}"
        for flag in option.flags
    ]
    text = f"{' '.join(flags)} -d {_quoted(option.help)}"
    if not option.word:
        return text
    if option.choices:
        return f"{text} -x -a {_quoted(' '.join(option.choices))}"
    return f"{text} -r -F" if option.is_file else f"{text} -x"


SHELLS = {"bash": bash, "fish": fish, "zsh": zsh}


# --- what they share ------------------------------------------------------------------------------


def _at(node: Node) -> str:
    """`/order/accept`; of the program itself nothing."""
    return "".join(f"/{name}" for name in node.path)


def _paths(nodes: list[Node]) -> list[str]:
    return [_at(node) for node in nodes if node.path]


def _taking(nodes: list[Node]) -> list[str]:
    """Options that take a value, which is then no command."""
    return sorted(
        {flag for node in nodes for option in node.options if option.word for flag in option.flags}
    )


def _words(node: Node) -> list[str]:
    words = [child.path[-1] for child in node.children]
    words += [choice for place in node.places for choice in place.choices]
    if any(place.is_file for place in node.places):
        words.append("@files")
    return words + [flag for option in node.options for flag in option.flags]


def _patterns(texts: list[str]) -> str:
    return "|".join(f'"{text}"' for text in texts)


def _quoted(text: str) -> str:
    """For all three shells: no quote of theirs is left in it."""
    return "'" + text.replace("'", "’").replace("\\", "") + "'"


def _flat(text: str) -> str:
    """A colon parts name and meaning in zsh."""
    return text.replace(":", ",")
