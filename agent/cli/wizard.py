"""The questions of `setup`, in their order, and what is done with the answers."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import tomllib
from pathlib import Path
from typing import Any

from agent import words as catalogues
from agent.cli import common, draft, tryout
from agent.cli.asking import Asker
from agent.contract.errors import NotRunning, Rejected
from agent.contract.topics import DEVICE_ID
from agent.layers import ConfigError
from agent.words import Language
from drivers.errors import DriverError

MODE = 0o640
GROUP = "edge-agent"
URL = re.compile(r"mqtts?://[^/\s]+")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
URI = re.compile(r"(tcp|usb|serial|file|simulated)://\S*")


class Wizard:
    def __init__(
        self,
        path: Path,
        given: dict[str, Any],
        language: Language,
        unattended: bool,  # noqa: FBT001 - as the command line says it
        arguments: argparse.Namespace,
    ) -> None:
        self._path = path
        self._given = given
        self._arguments = arguments
        self._unattended = unattended
        self._answers: dict[str, Any] = {}
        self._kept_at = path.with_name(f".{path.name}.setup")
        self._language = language
        self._ask = Asker(catalogues.words(language), given, {}, unattended=unattended)

    def run(self) -> int:
        self._start()
        if not self._may_begin():
            return 1
        for question in (self._role, self._names, self._broker):
            question()
        if self._answers["role"] == "shop":
            self._printers()
        else:
            self._receiver()
        self._sound()
        self._hardware()
        text = self._checked()
        if text is None:
            return 1
        self._write(text)
        return self._then()

    def keep(self) -> None:
        """Half the answers, for the next time; not where nothing was answered yet."""
        print()
        if self._answers and not self._unattended:
            with contextlib.suppress(OSError):
                _replace(self._kept_at, json.dumps(self._answers), 0o600)
                self._say("nothing is written; `edge-agent setup` goes on where you stopped")
                return
        self._say("nothing is written")

    # --- the questions ----------------------------------------------------------------------------

    def _start(self) -> None:
        kept = self._kept()
        language = self._ask.choice(
            "language", "Language / 语言", ["zh", "en"], kept.get("language") or self._language
        )
        self._answers["language"] = self._language = language  # type: ignore[assignment]
        words = catalogues.words(self._language)
        self._ask = Asker(words, self._given, kept, unattended=self._unattended)
        if kept:
            self._say("going on where you stopped: Enter takes what you answered then")

    def _may_begin(self) -> bool:
        """Never over a configuration that is there, unless a person or --yes says so."""
        folder = self._path.parent
        if not os.access(folder if folder.is_dir() else folder.parent, os.W_OK):
            raise DriverError(f"{folder} may not be written by this user; run this with sudo")
        if not self._path.exists():
            return True
        if self._unattended:
            if self._arguments.yes:
                return True
            raise Rejected("exists", f"{self._path} is there; --yes replaces it and keeps a copy")
        self._say("{path} is there. A new one replaces it; the old one is kept beside it.",
                  path=self._path)  # fmt: skip
        return self._ask.yes("replace", self._t("go on"), default=False)

    def _role(self) -> None:
        self._answers["role"] = self._ask.choice(
            "role", self._t("what is this device"), ["shop", "rider"]
        )

    def _names(self) -> None:
        prefix = "sh" if self._answers["role"] == "shop" else "rd"
        host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname().partition(".")[0])[:40]
        self._answers["id"] = self._ask.text(
            "id", self._t("its id, one for each device"), f"{prefix}-{host}", self._id_problem
        )
        self._answers["site"] = self._ask.text(
            "site", self._t("shop or city it belongs to (may be empty)")
        )

    def _id_problem(self, answer: str) -> str | None:
        if DEVICE_ID.fullmatch(answer):
            return None
        return self._t("use letters, digits, - and _, 64 at most, no dot or space")

    def _broker(self) -> None:
        while True:
            url = self._ask.text(
                "url", self._t("the broker"), "mqtt://127.0.0.1:1883", self._url_problem
            )
            ca = ""
            if url.startswith("mqtts:"):
                ca = self._ask.text(
                    "ca", self._t("file of its authority, PEM (empty: the system's)"), "",
                    self._file_problem,
                )  # fmt: skip
            self._answers |= {"url": url, "ca": ca}
            if self._unattended:
                return
            why = tryout.broker(url, ca or None)
            if why is None:
                self._say("{url} answers", url=url)
                return
            self._say("{url} does not answer: {why}", url=url, why=self._of(why))
            if self._ask.yes("anyway", self._t("use it all the same"), default=True):
                return

    def _url_problem(self, answer: str) -> str | None:
        if URL.fullmatch(answer):
            return None
        return self._t("write mqtts://HOST or mqtt://HOST:PORT")

    def _file_problem(self, answer: str) -> str | None:
        if not answer or Path(answer).is_file():
            return None
        return self._t("there is no file {path}", path=answer)

    def _printers(self) -> None:
        if "printers" in self._given or self._unattended:
            self._answers["printers"] = self._given.get("printers") or []
            return
        found: list[dict[str, str]] = []
        if kept := self._kept().get("printers"):
            names = ", ".join(printer["name"] for printer in kept)
            question = self._t("take the printers that you tried then: {names}", names=names)
            if self._ask.yes("kept", question, default=True):
                self._answers["printers"] = kept
                return
        self._answers["printers"] = found
        choices = self._scan()
        while True:
            number = len(found) + 1
            uri = self._ask.text(
                f"printer{number}",
                self._t("printer {n}: number of the list, or its address", n=number)
                + ("" if not found else self._t(" (empty: no more)")),
                "" if found else (choices[0] if choices else ""),
                lambda answer: self._uri_problem(answer, choices, first=not found),
            )
            if not uri:
                return
            uri = choices[int(uri) - 1] if uri.isdigit() else uri
            default = "kitchen" if not found else f"printer{number}"
            name = self._ask.text(f"name{number}", self._t("its name"), default, self._name_problem)
            found.append({"name": name, "uri": uri} | self._test(uri, name))

    def _scan(self) -> list[str]:
        from agent.cli.printers import _one_each
        from drivers.printer import discovery

        self._say("looking for printers ...")
        rows = _one_each(discovery.on_usb() + discovery.on_serial() + discovery.announced())
        for number, row in enumerate(rows, 1):
            print(f"  {number}) {common.plain(row['uri'])}  {common.plain(row['model'] or '')}")
        if not rows:
            self._say("none was found; one on the network is written as tcp://192.0.2.9")
        return [row["uri"] for row in rows]

    def _uri_problem(self, answer: str, choices: list[str], *, first: bool) -> str | None:
        if not answer and not first:
            return None
        if answer.isascii() and answer.isdigit():
            if 0 < int(answer) <= len(choices):
                return None
        elif URI.fullmatch(answer):
            return None
        return self._t("a number of the list, or tcp://HOST, usb://, serial:///dev/ttyUSB0")

    def _name_problem(self, answer: str) -> str | None:
        if any(printer["name"] == answer for printer in self._answers["printers"]):
            return self._t("there is one of this name; choose another")
        if NAME.fullmatch(answer):
            return None
        return self._t("use letters, digits, dot, - and _, 32 at most")

    def _test(self, uri: str, name: str) -> dict[str, str]:
        """What a test page showed; nothing where none was wanted or it failed."""
        while self._ask.yes("test", self._t("print a test page"), default=True):
            try:
                section = tryout.printer(uri, name)
            except DriverError as error:
                self._say("{why}", why=self._of(str(error)))
                continue
            if self._ask.yes("came", self._t("did two pieces of paper come out"), default=True):
                columns = self._ask.text(
                    "columns",
                    self._t("the number at the end of the longest unbroken ruler (empty: unsure)"),
                    "",
                    self._columns_problem,
                )
                return {"section": section(int(columns) if columns else None)}
            self._say("check paper, cover and address; then try again, or go on without")
        return {}

    def _columns_problem(self, answer: str) -> str | None:
        return None if answer in ("", "32", "42", "48") else self._t("32, 42 or 48")

    def _receiver(self) -> None:
        choices = [] if self._unattended else tryout.receivers()
        for number, choice in enumerate(choices, 1):
            print(f"  {number}) {choice}")
        chosen = self._ask.text(
            "receiver",
            self._t("GPS receiver: gpsd, or its device"),
            choices[0] if choices else "gpsd",
            lambda answer: self._receiver_problem(answer, choices),
        )
        if chosen.isdigit():
            chosen = choices[int(chosen) - 1]
        self._answers["receiver"] = chosen
        self._answers["consent"] = self._given.get("consent")
        question = self._t("wait for a first fix (needs the open sky; Ctrl-C ends the waiting)")
        if not self._unattended and self._ask.yes("fix", question, default=bool(choices)):
            self._wait_for_fix(chosen)

    def _receiver_problem(self, answer: str, choices: list[str]) -> str | None:
        numbered = answer.isascii() and answer.isdigit() and 0 < int(answer) <= len(choices)
        if numbered or answer in ("gpsd", "simulated") or answer.startswith("/dev/"):
            return None
        return self._t("gpsd, or a device as /dev/ttyACM0")

    def _wait_for_fix(self, receiver: str) -> None:
        def show(view: Any) -> None:
            trouble = view.why if not view.open else ""
            seen = "-" if view.in_view is None else view.in_view
            self._say("{mode}, {n} satellites in view {trouble}", mode=view.mode, n=seen,
                      trouble=self._of(trouble))  # fmt: skip

        if tryout.first_fix(receiver, show):
            self._say("there is a fix")
        else:
            self._say("no fix yet; `edge-agent gps watch` shows more")

    def _sound(self) -> None:
        self._answers["sound"] = self._given.get("sound", False)
        if "sound" in self._given or self._unattended:
            return
        if not self._ask.yes("sound", self._t("has it a loudspeaker"), default=True):
            return
        self._answers["sound"] = "default"
        device = "default"
        while True:
            try:
                tryout.tone(self._language, device)
                if self._ask.yes(
                    "heard", self._t("did you hear a chime and a voice"), default=True
                ):
                    break
                self._say("is it on, plugged in, and not muted (alsamixer)?")
            except DriverError as error:
                self._say("{why}", why=self._of(str(error)))
            again = self._t("another card (`aplay -L` lists them; empty: go on as it is)")
            answer = self._ask.text("card", again)
            if not answer:
                break
            device = answer
        self._answers["sound"] = device

    def _hardware(self) -> None:
        """Asked only for what is there."""
        adapter = any(Path("/sys/class/bluetooth").glob("hci*"))
        question = self._t("use Bluetooth beacons for arrivals")
        self._answers["beacons"] = (adapter or "beacons" in self._given) and self._ask.yes(
            "beacons", question, default=True
        )
        chip = Path("/dev/gpiochip0").exists()
        question = self._t("are buttons and lights wired to GPIO (SOS 17, ack 27)")
        self._answers["panel"] = (chip or "panel" in self._given) and self._ask.yes(
            "panel", question, default=False
        )
        for key in ("page", "username", "password_file", "confirm", "timezone"):
            if key in self._given:
                self._answers[key] = self._given[key]

    # --- the end ----------------------------------------------------------------------------------

    def _checked(self) -> str | None:
        """The text of a configuration that the agent accepts; None says why not."""
        from agent.config import check

        text = draft.toml(self._answers)
        problems = check(tomllib.loads(text))
        if problems and self._unattended:
            raise ConfigError(problems)
        for problem in problems:
            self._say("{why}", why=self._of(problem))
        if problems:
            self._say("nothing is written")
            return None
        if not self._unattended:
            print(f"\n{text}")
            if not self._ask.yes("write", self._t("write this to {path}", path=self._path),
                                 default=True):  # fmt: skip
                self.keep()
                return None
        return text

    def _write(self, text: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                kept = _backup(self._path)
                self._say("the old one is kept as {path}", path=kept)
            _replace(self._path, text, MODE)
        except OSError as error:
            raise DriverError(f"{self._path} cannot be written: {error.strerror}") from error
        with contextlib.suppress(OSError):
            self._kept_at.unlink(missing_ok=True)
        self._say("written: {path}", path=self._path)

    def _then(self) -> int:
        from agent.config import load

        loaded = load(self._path, overrides=self._arguments.set)
        if self._arguments.code:
            self._enrol(self._arguments.code)
        self._pin(loaded.config.page is not None)
        self._say("", "what is next:")
        steps = ["sudo systemctl enable --now edge-agent", "sudo edge-agent doctor"]
        if self._answers["role"] == "rider":
            steps.append("sudo edge-agent consent give --person ID")
        elif loaded.config.page is not None:
            steps.append("sudo edge-agent page pin technician")
        for step in steps:
            print(f"  {step}")
        return 0

    def _enrol(self, code: str) -> None:
        from agent.cli import main

        sets = [part for one in self._arguments.set for part in ("--set", one)]
        if main(["enroll", code, "--config", str(self._path), *sets]) != 0:
            self._say("not enrolled; try again later: edge-agent enroll CODE")

    def _pin(self, page: bool) -> None:  # noqa: FBT001 - one fact
        """Only a running agent can keep it."""
        if self._unattended or not page:
            return
        with contextlib.suppress(NotRunning, Rejected, ConfigError):
            common.ask(self._arguments, "status", timeout_s=5.0)
            if self._ask.yes("pin", self._t("set the technician's PIN of the page"), default=True):
                pin = self._ask.secret(self._t("PIN, 6 to 12 digits"))
                done = common.ask(self._arguments, "page.pin", role="technician", pin=pin)
                self._say("{what}", what=self._of(str(done)))

    def _kept(self) -> dict[str, Any]:
        if self._unattended:
            return {}
        try:
            found = json.loads(self._kept_at.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _t(self, sentence: str, **values: object) -> str:
        return catalogues.words(self._language).say(sentence, **values)

    def _of(self, text: str) -> str:
        return catalogues.words(self._language).of(text)

    def _say(self, *sentences: str, **values: object) -> None:
        self._ask.say(*(self._t(sentence, **values) for sentence in sentences))


def _backup(path: Path) -> Path:
    from datetime import UTC, datetime

    stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y%m%d-%H%M%S")
    kept = path.with_name(f"{path.name}.{stamp}.old")
    shutil.copy2(path, kept)
    return kept


def _replace(path: Path, text: str, mode: int) -> None:
    """Whole or not at all, for the agent's group to read."""
    part = path.with_name(f".{path.name}.part")
    number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor
        os.fchmod(number, mode)
        file.write(text)
        file.flush()
        os.fsync(number)
    if os.getuid() == 0:
        with contextlib.suppress(LookupError):
            shutil.chown(part, group=GROUP)
    part.replace(path)
