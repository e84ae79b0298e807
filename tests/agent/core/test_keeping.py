"""What systemd keeps for the agent, against a manager that speaks sd_notify(3) as it does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.core.keeping import FdStore, store_of

LIFE = """
import os, sys
sys.path.insert(0, {root!r})
os.environ["LISTEN_PID"] = str(os.getpid())
from agent.core.keeping import store_of
store = store_of(os.environ, ["kitchen"])
left = {{name for name in os.environ if name.startswith("LISTEN_")}}
fd = store.take("kitchen")
print(os.read(fd, 9).decode(), store.jotted("kitchen"), store.take("kitchen"), left,
      os.get_inheritable(fd))
"""


@pytest.fixture
def manager(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.bind(str(tmp_path / "notify"))
        unix.settimeout(5)
        yield unix


def heard(manager: socket.socket) -> tuple[str, list[int]]:
    message, fds, _, _ = socket.recv_fds(manager, 4096, 4)
    return message.decode(), list(fds)


def test_what_is_kept_and_noted_comes_back_to_the_next_life(manager, tmp_path):
    store = FdStore(str(tmp_path / "notify"), {}, ["kitchen"])
    near, far = socket.socketpair()
    store.keep("kitchen", near.fileno())
    store.jot("kitchen", "A1B2 job_id")
    kept = {}
    for _ in range(2):
        assert heard(manager)[0].startswith("FDSTOREREMOVE=1")
        message, fds = heard(manager)
        lines = dict(line.split("=") for line in message.splitlines())
        assert (lines["FDSTORE"], lines["FDPOLL"]) == ("1", "0")
        kept[lines["FDNAME"]] = fds[0]
    assert sorted(kept) == ["kitchen", "kitchen.note"]
    near.close()
    far.sendall(b"an answer")
    passed = [kept["kitchen"], kept["kitchen.note"]]
    # As systemd hands them over: from 3 on, with their names.
    script = "exec 3<&{} 4<&{}; exec {} -c '{}'".format(
        *passed, sys.executable, LIFE.format(root=str(Path(__file__).parents[3])).replace("'", '"')
    )
    result = subprocess.run(
        ["/bin/bash", "-c", script],
        pass_fds=passed,
        env=os.environ
        | {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "LISTEN_FDS": "2",
            "LISTEN_FDNAMES": "kitchen:kitchen.note",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.stdout.split("\n")[0] == "an answer A1B2 job_id None set() False", result.stderr
    for fd in passed:
        os.close(fd)
    far.close()


def test_what_nobody_wants_any_more_is_given_up(manager, tmp_path):
    near, far = socket.socketpair()
    fd = os.dup(near.fileno())
    store = FdStore(str(tmp_path / "notify"), {"removed": fd}, ["kitchen"])
    assert heard(manager)[0] == "FDSTOREREMOVE=1\nFDNAME=removed"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    assert store.take("removed") is None
    near.close()
    far.close()


def test_a_note_is_replaced_and_a_manager_that_is_gone_hinders_nothing(tmp_path):
    store = FdStore(str(tmp_path / "nobody"), {}, ["kitchen"])
    assert store.jotted("kitchen") == ""
    store.jot("kitchen", "a long note of one job")
    store.jot("kitchen", "short")
    assert store.jotted("kitchen") == "short"
    store.drop("kitchen")


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_FDS": "2", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a:b"}],
)
def test_without_a_manager_there_is_no_store(environ):
    assert store_of(environ, ["kitchen"]) is None
    assert environ == {}


def test_descriptors_meant_for_another_process_are_left_alone(tmp_path):
    environ = {"NOTIFY_SOCKET": str(tmp_path / "x"), "LISTEN_FDS": "2", "LISTEN_PID": "1"}
    store = store_of(environ, ["kitchen"])
    assert store is not None
    assert store.take("") is None
