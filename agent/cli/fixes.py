"""`doctor --fix`: what can be set right without harm, each asked for before it is done."""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import sys
from pathlib import Path

from agent.checks import Finding
from agent.checks.devices import SERVICE_USER
from agent.cli import common
from agent.config import Config
from agent.contract.errors import NotRunning, Rejected
from drivers.errors import DriverError

FOLDER_MODE = 0o750
CHOICES = {"a": "all", "l": "latest", "n": "none"}


class Fixer:
    def __init__(self, arguments: argparse.Namespace, config: Config) -> None:
        self._arguments = arguments
        self._config = config
        self._words = common.words(arguments)
        self._out = sys.stderr if arguments.json else sys.stdout

    def mend(self, finding: Finding) -> bool:
        """Whether it is set right now."""
        if finding.ok or finding.fix is None:
            return False
        try:
            done = getattr(self, f"_{finding.fix}")(finding.about)
        except (OSError, Rejected, NotRunning, DriverError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            said = self._words.of(why or str(error))
            self._say("not done: {why}", why=common.plain(said))
            return False
        if done:
            self._say("done")
        return bool(done)

    # --- what can be mended -----------------------------------------------------------------------

    def _folder(self, about: str) -> bool:
        if not self._may("make the folder {path} for the agent alone", path=about):
            return False
        folder = Path(about)
        folder.mkdir(FOLDER_MODE, parents=True)
        folder.chmod(FOLDER_MODE)  # whatever the umask is
        if os.getuid() == 0 and _known(SERVICE_USER):
            shutil.chown(folder, SERVICE_USER, SERVICE_USER)
        return True

    def _mode(self, about: str) -> bool:
        if not self._may("let only the agent's user and group read {path}", path=about):
            return False
        path = Path(about)
        path.chmod(path.stat().st_mode & 0o770)
        return True

    def _socket(self, about: str) -> bool:
        if not self._may("delete {path}, which nobody listens at", path=about):
            return False
        Path(about).unlink(missing_ok=True)
        return True

    def _retry(self, _about: str) -> bool:
        if not self._may("let the agent handle the messages again that were set aside"):
            return False
        outcome = common.ask(self._arguments, "queue.retry")
        self._say("{handled} handled, {again} set aside again", **outcome)
        return not outcome["again"]

    def _resume(self, about: str) -> bool:
        """Never without a person: hours-old tickets in the kitchen are food that nobody ordered."""
        if self._arguments.yes or not sys.stdin.isatty():
            self._say("a person must decide: edge-agent printer resume {name}", name=about)
            return False
        question = self._words.say("tickets of {name}: print (a)ll, (l)atest, (n)one?", name=about)
        choice = CHOICES.get(self._ask(question)[:1])
        if choice is None:
            return False
        common.ask(self._arguments, "printer.resume", printer=about, choice=choice)
        return True

    # --- people -----------------------------------------------------------------------------------

    def _may(self, what: str, **values: object) -> bool:
        text = self._words.say(what, **values)
        if self._arguments.yes:
            print(f"→ {common.plain(text)}", file=self._out)
            return True
        if not sys.stdin.isatty():
            print(f"→ {common.plain(text)}: --yes", file=self._out)
            return False
        return self._ask(f"→ {common.plain(text)}? [y/N]").startswith("y")

    def _ask(self, question: str) -> str:
        print(question, end=" ", file=self._out, flush=True)
        return sys.stdin.readline().strip().lower()

    def _say(self, what: str, **values: object) -> None:
        print(f"  {self._words.say(what, **values)}", file=self._out)


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
