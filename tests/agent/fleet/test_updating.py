"""A release on its way: signed, fetched over HTTP, built with pip, tried, kept or taken back."""

from __future__ import annotations

import functools
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from agent.contract.errors import Rejected
from agent.fleet.box import REQUEST, VERDICT, left
from agent.fleet.publishing import Repository
from agent.fleet.releases import Releases, UpdateError, this_platform
from agent.fleet.slots import Result, Slots
from agent.fleet.updating import Machine, Updating

NOW = datetime.now(UTC)
PROGRAM = """
import sys
def main():
    if "--version" in sys.argv:
        print("edge-agent {version}")
    elif {sound} is False:
        print("this release does not know this configuration", file=sys.stderr)
        return 78
    return 0
"""


class Quiet(SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        self.asked.append(self.path)


def wheel(folder: Path, version: str, *, sound: bool = True, calls_itself: str = "") -> Path:
    """A release small enough for a test; pip sees a wheel like any other."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rider_edge_agent-{version}-py3-none-any.whl"
    info = f"rider_edge_agent-{version}.dist-info"
    program = PROGRAM.format(version=calls_itself or version, sound=sound)
    files = {
        "tiny_agent.py": program,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: rider-edge-agent\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nedge-agent = tiny_agent:main\n",
    }
    record = "".join(f"{name},,\n" for name in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return path


@dataclass
class Site:
    """A publisher, a web server and a device."""

    at: Path
    url: str
    slots: Slots
    now: float = 0.0
    reachable: bool = True
    set_clock: bool = True
    restarts: int = 0
    starts: Callable[[], None] = lambda: None  # what the agent does when it is started
    slept: list[float] = field(default_factory=list)

    @property
    def box(self) -> Path:
        return self.at / "box"

    def repository(self, now: datetime = NOW) -> Repository:
        return Repository(self.at / "repo", self.at / "keys", now)

    def publish(self, version: str, **named: object) -> None:
        made = wheel(self.at / "made", version, **named)  # type: ignore[arg-type]
        self.repository().add(version, {"any": [made]})

    def releases(self) -> Releases:
        return Releases(self.url, self.at / "root.json", self.slots.state)

    def ask(self, version: str, request: str = "r1") -> None:
        (self.box / REQUEST).write_text(json.dumps({"id": request, "version": version}))

    def _restart(self) -> None:
        self.restarts += 1
        self.slots.before_start()
        self.starts()

    def proves(self) -> None:
        trial = self.slots.trial()
        if trial is not None:
            said = {"request": trial.request, "slot": self.slots.current()}
            (self.box / VERDICT).write_text(json.dumps(said))

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)

    def run(self) -> Result | None:
        machine = Machine(
            self._restart,
            lambda: self.reachable,
            lambda: self.set_clock,
            lambda: self.now,
            self._sleep,
        )
        return Updating(
            self.slots,
            self.releases(),
            machine,
            box=self.box,
            config=self.at / "config.toml",
            user=None,
            deadline_s=60.0,
        ).run()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    slots = Slots(tmp_path / "opt", tmp_path / "state")
    slots.path("first").mkdir(parents=True)
    slots.state.mkdir()
    slots.seal("first")
    slots.switch("first")
    Quiet.asked = []
    handler = functools.partial(Quiet, directory=str(tmp_path / "repo"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        made = Site(tmp_path, f"http://127.0.0.1:{server.server_address[1]}", slots)
        made.box.mkdir()
        trusted = made.repository().init()
        (tmp_path / "root.json").write_bytes(trusted.read_bytes())
        yield made
        server.shutdown()


def test_a_good_release_is_kept_and_a_bad_one_taken_back_and_never_tried_again(site: Site) -> None:
    site.publish("1.1")
    site.publish("1.2")
    site.starts = site.proves
    site.ask("1.1")
    result = site.run()
    assert result is not None
    assert (result.outcome, site.slots.current(), site.restarts) == ("kept", result.slot, 1)
    assert site.slots.path(result.slot).name.startswith("1.1-")
    assert list(site.box.iterdir()) == []
    good = result.slot

    site.starts = lambda: None  # it runs, but proves nothing
    site.ask("1.2", "r2")
    result = site.run()
    assert result is not None
    assert (result.outcome, site.slots.current(), site.restarts) == ("rolled_back", good, 3)
    assert 59 <= sum(site.slept) <= 62
    site.ask("1.2", "r3")
    result = site.run()
    assert result is not None
    assert (result.outcome, site.restarts) == ("failed", 3)
    assert result.reason.startswith("refused: ")
    assert site.run() is None


def test_a_silent_broker_says_nothing_about_a_release(site: Site) -> None:
    site.publish("1.1")
    site.reachable = False

    def later() -> None:
        if site.now > 500:
            site.proves()

    real = site._sleep

    def sleep(seconds: float) -> None:
        real(seconds)
        later()

    site._sleep = sleep  # type: ignore[method-assign]
    site.ask("1.1")
    result = site.run()
    assert result is not None
    assert result.outcome == "kept"
    assert site.now > 500


def test_a_release_that_dies_at_its_start_is_taken_back_by_the_launcher(site: Site) -> None:
    site.publish("1.1")

    def dies() -> None:
        for _ in range(4):  # systemd starts it again
            site.slots.before_start()

    site.starts = dies
    site.ask("1.1")
    result = site.run()
    assert result is not None
    assert (result.outcome, site.slots.current()) == ("rolled_back", "first")
    assert "started 3 times" in result.reason


def test_a_release_that_does_not_know_the_configuration_is_never_switched_to(site: Site) -> None:
    site.publish("1.1", sound=False)
    site.publish("1.2", calls_itself="9.9")
    for version, said in (("1.1", "does not know this configuration"), ("1.2", "calls itself")):
        site.ask(version, version)
        result = site.run()
        assert result is not None
        assert (result.outcome, site.slots.current(), site.restarts) == ("failed", "first", 0)
        assert result.reason.startswith("self_test: ")
        assert said in result.reason


def test_the_updater_goes_on_with_a_trial_that_it_finds(site: Site) -> None:
    site.publish("1.1")

    class KilledError(BaseException):
        pass

    def killed() -> None:
        raise KilledError

    site.starts = killed
    site.ask("1.1")
    with pytest.raises(KilledError):
        site.run()
    trial = site.slots.trial()
    assert trial is not None
    site.proves()
    result = site.run()
    assert result is not None
    assert result.outcome == "kept"
    assert site.restarts == 1


def test_what_two_releases_share_is_fetched_once(site: Site) -> None:
    shared = wheel(site.at / "made", "1.0")
    for version in ("1.1", "1.2"):
        own = wheel(site.at / "made", version)
        site.repository().add(version, {this_platform(): [own, shared]})
    for version in ("1.1", "1.2"):
        site.releases().fetch(version)
    fetched = [
        path for path in Quiet.asked if path.endswith("rider_edge_agent-1.0-py3-none-any.whl")
    ]
    assert len(fetched) == 1


def test_what_is_not_signed_is_not_taken(site: Site) -> None:
    site.publish("1.1")
    for path in (site.at / "repo/targets/wheels").iterdir():
        path.write_bytes(path.read_bytes().replace(b"tiny", b"evil"))
    with pytest.raises(UpdateError) as caught:
        site.releases().fetch("1.1")
    assert caught.value.code in ("download", "untrusted")


def test_a_stranger_s_repository_is_not_trusted(site: Site, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other", tmp_path / "other-keys", NOW)
    (site.at / "root.json").write_bytes(other.init().read_bytes())
    site.publish("1.1")
    with pytest.raises(UpdateError) as caught:
        site.releases().fetch("1.1")
    assert caught.value.code == "untrusted"


def test_a_frozen_repository_is_noticed(site: Site) -> None:
    site.publish("1.1")
    site.repository(NOW - timedelta(days=8)).refresh()
    with pytest.raises(UpdateError) as caught:
        site.releases().fetch("1.1")
    assert caught.value.code == "expired"


def test_an_older_state_of_the_repository_is_not_taken(site: Site) -> None:
    site.publish("1.1")
    old = {path: path.read_bytes() for path in (site.at / "repo/metadata").iterdir()}
    site.publish("1.2")
    site.releases().fetch("1.2")
    for path, content in old.items():
        path.write_bytes(content)
    with pytest.raises(UpdateError) as caught:
        site.releases().fetch("1.1")
    assert caught.value.code == "untrusted"


@pytest.mark.parametrize(
    ("version", "code"), [("9.9", "no_release"), ("../x", "invalid"), ("1.0", "wrong_platform")]
)
def test_what_cannot_be_had_is_said(site: Site, version: str, code: str) -> None:
    site.repository().add("1.0", {"cp39-sparc": [wheel(site.at / "made", "1.0")]})
    with pytest.raises(UpdateError) as caught:
        site.releases().fetch(version)
    assert caught.value.code == code


def test_without_a_clock_no_signature_is_judged(site: Site) -> None:
    site.publish("1.1")
    site.set_clock = False
    site.ask("1.1")
    result = site.run()
    assert result is not None
    assert (result.outcome, result.reason.partition(":")[0]) == ("failed", "clock")


def test_a_request_is_read_with_suspicion(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"id": "x", "version": "1"}')
    (site.box / REQUEST).symlink_to(secret)
    with pytest.raises(OSError, match="symbolic"):
        left(site.box / REQUEST, dict)
    (site.box / REQUEST).unlink()
    for text in ("{", '{"id": 1}', '{"id": "x", "version": "../../etc"}', "\0" * 9000):
        (site.box / REQUEST).write_text(text)
        assert site.run() is None


def test_a_published_release_is_never_changed(site: Site) -> None:
    site.publish("1.1")
    with pytest.raises(Rejected, match="never changed"):
        site.publish("1.1")
    other = wheel(site.at / "made", "1.1", calls_itself="evil")
    with pytest.raises(Rejected, match="other content"):
        site.repository().add("1.2", {"any": [other]})
    site.repository().withdraw("1.1")
    with pytest.raises(UpdateError) as caught:
        site.releases().fetch("1.1")
    assert caught.value.code == "no_release"


def test_keys_are_for_their_owner_only(site: Site) -> None:
    modes = {path.stat().st_mode & 0o777 for path in (site.at / "keys").iterdir()}
    assert modes == {0o600}
