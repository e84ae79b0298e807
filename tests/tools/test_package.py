"""The Debian package: its bytes, its layout, and what its scripts do when something is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.package_deb import deb, payload, tree
from tools.package_deb.problems import PackageError

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tools" / "package_deb"
EPOCH = 1_795_000_000
MADE = dict.fromkeys(tree.GENERATED, b"x")
SLOT_FILES = {
    "bin/edge-agent": '#!/bin/sh\necho "$@" >> "$DPKG_ROOT/asked"\n',
    "lib/python3/site-packages/agent/__init__.py": "",
    "lib/python3/site-packages/agent/app.py": "",
    "lib/python3/site-packages/agent/__main__.py": "",
    "lib/python3/site-packages/PIL/Image.py": "",
    "lib/python3/site-packages/bleak.py": "",
    "lib/python3/site-packages/gpiod.py": "",
    "lib/python3/site-packages/serial.py": "",
    "lib/python3/site-packages/usb/core.py": "",
}


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment as `payload.build` makes it, with little in it."""
    out = tmp_path / "venv"
    put(out / "lib/python3/site-packages", {"agent/__init__.py": "", "msgspec/_core.so": "elf"})
    metadata = "Name: msgspec\nVersion: 1.0\nClassifier: License :: OSI Approved :: BSD License\n"
    put(out / "lib/python3/site-packages", {"msgspec-1.0.dist-info/METADATA": metadata})
    payload.environment(out, "1.2.3")
    return out


def built(venv: Path, folder: Path, arch: str = "arm64") -> Path:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb")
    laid = tree.lay(ROOT, venv, MADE, folder / "tree", "1.2.3")
    control = deb.Control(arch, "1.2.3", "someone <a@example.org>", tree.units(ROOT))
    return deb.write(laid, control, folder, EPOCH)


def listing(package: Path) -> dict[str, tuple[str, str]]:
    """Name -> mode, owner; a link's name has its target."""
    said = subprocess.run(
        ["dpkg-deb", "-c", package], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=5) for line in said.splitlines()]
    return {row[5].removeprefix("."): (row[0], row[1]) for row in rows}


# --- one tree for two Pythons ---------------------------------------------------------------------


def test_what_is_compiled_lies_beside_each_other_and_the_rest_once(tmp_path: Path) -> None:
    trees = [
        put(tmp_path / tag, {"m/__init__.py": "same", f"m/_core.cpython-{tag}.so": tag})
        for tag in ("311", "313")
    ]
    payload.merge(trees, tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out" / "m").iterdir())
    assert names == ["__init__.py", "_core.cpython-311.so", "_core.cpython-313.so"]


def test_a_module_that_differs_between_pythons_stops_the_build(tmp_path: Path) -> None:
    trees = [put(tmp_path / tag, {"m/a.py": tag}) for tag in ("311", "313")]
    with pytest.raises(PackageError, match=r"m/a\.py is not the same"):
        payload.merge(trees, tmp_path / "out")


def test_notes_of_the_installer_may_differ(tmp_path: Path) -> None:
    trees = [put(tmp_path / tag, {"m-1.dist-info/WHEEL": tag}) for tag in ("311", "313")]
    payload.merge(trees, tmp_path / "out")
    assert (tmp_path / "out" / "m-1.dist-info" / "WHEEL").read_text() == "311"


def test_the_command_names_its_slot_and_not_current(venv: Path) -> None:
    """Through `current`, a running agent would load the rest of itself from the next version."""
    first = (venv / "bin" / "edge-agent").read_text().splitlines()[0]
    assert first == "#!/opt/edge-agent/slots/1.2.3/bin/python3"
    assert (venv / "lib" / "python3.13" / "site-packages" / "agent").is_dir()


def test_a_library_for_another_machine_stops_the_build(tmp_path: Path) -> None:
    file = tmp_path / "a.so"
    file.write_bytes(b"\x7fELF" + bytes(14) + (62).to_bytes(2, "little"))
    payload.check_machine(file, "amd64")
    with pytest.raises(PackageError, match=r"a\.so is not for arm64"):
        payload.check_machine(file, "arm64")


# --- the package ----------------------------------------------------------------------------------


def test_the_same_input_gives_the_same_bytes(venv: Path, tmp_path: Path) -> None:
    one = built(venv, tmp_path / "one")
    late = tmp_path / "late"
    shutil.copytree(venv, late, symlinks=True)
    for path in late.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (1, 1))
    two = built(late, tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()


def test_everything_is_root_s_and_nothing_is_writable_for_others(
    venv: Path, tmp_path: Path
) -> None:
    files = listing(built(venv, tmp_path))
    assert {owner for _, owner in files.values()} == {"root/root"}
    modes = {mode for name, (mode, _) in files.items() if mode[0] != "l"}
    assert modes == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"}
    runs = [name for name, (mode, _) in files.items() if mode == "-rwxr-xr-x"]
    assert runs == [
        "/opt/edge-agent/package/bin/edge-agent",
        "/usr/share/python3/runtime.d/edge-agent.rtupdate",
    ]


def test_each_file_has_its_place(venv: Path, tmp_path: Path) -> None:
    files = listing(built(venv, tmp_path))
    for unit in tree.units(ROOT):
        assert f"/usr/lib/systemd/system/{unit}" in files
    assert "edge-agent.service" in tree.units(ROOT)
    for path in (*tree.COPIES.values(), *tree.GENERATED.values()):
        assert f"/{path}" in files
    assert "/usr/bin/edge-agent -> /opt/edge-agent/current/bin/edge-agent" in files
    assert not [name for name in files if name.startswith(("/etc", "/var"))]


def test_dpkg_reads_what_it_depends_on(venv: Path, tmp_path: Path) -> None:
    package = built(venv, tmp_path, "arm64")
    assert package.name == "edge-agent_1.2.3_arm64.deb"
    said = subprocess.run(
        ["dpkg-deb", "-f", package, "Architecture", "Depends"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Architecture: arm64" in said
    assert "python3 (<< 3.14)" in said


def test_licences_of_what_is_inside_are_listed(venv: Path) -> None:
    site = venv / "lib" / "python3" / "site-packages"
    assert "msgspec 1.0: BSD License\n" in tree.copyright_of(site, "1.2.3")


@pytest.mark.parametrize("version", ["1:2.3", "1.2-3", "../up", "v1"])
def test_a_version_that_is_no_folder_s_name_is_refused(
    venv: Path, tmp_path: Path, version: str
) -> None:
    with pytest.raises(PackageError, match="no version"):
        deb.write(venv, deb.Control("arm64", version, "a <b@c>", []), tmp_path, EPOCH)


@pytest.mark.parametrize(
    "script",
    [
        *(SCRIPTS / name for name in ("postinst", "prerm", "postrm", "rtupdate")),
        ROOT / "tools/package",
        ROOT / "tests/systemd/on_a_machine.sh",
    ],
    ids=lambda path: path.name,
)
def test_scripts_have_no_slips(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck")
    run = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert run.stdout == ""


# --- what the scripts do --------------------------------------------------------------------------


class Machine:
    """A root folder with systemd's tools replaced by ones that write down what was asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "opt" / "edge-agent"
        self.tools = root / "tools"
        (root / "run/systemd/system").mkdir(parents=True)
        (root / "etc/edge-agent").mkdir(parents=True)
        (root / "etc/edge-agent/config.toml").touch()
        for tool in ("systemd-sysusers", "systemd-tmpfiles", "deb-systemd-helper", "udevadm"):
            self.tool(tool, "exit 0")
        self.tool("sync", "exit 0")
        self.tool("deb-systemd-invoke", 'echo "$@" >> "$DPKG_ROOT/invoked"')
        self.agent_is("active")

    def tool(self, name: str, text: str) -> None:
        put(self.tools, {name: f"#!/bin/sh\n{text}\n"})
        (self.tools / name).chmod(0o755)

    def agent_is(self, state: str) -> None:
        self.tool("systemctl", f"[ $1 != is-active ] || echo {state}")

    def install(self, version: str, files: dict[str, str] | None = None) -> tuple[int, str]:
        """Unpack a package and configure it, as dpkg does."""
        package = self.home / "package"
        shutil.rmtree(package, ignore_errors=True)
        put(package, {**SLOT_FILES, **(files or {})})
        (package / "bin/edge-agent").chmod(0o755)
        (package / "bin/python3").symlink_to(sys.executable)
        (package / "pyvenv.cfg").write_text(f"home = {Path(sys.base_prefix) / 'bin'}\n")
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        (package / "lib" / name).symlink_to("python3")
        (self.home / "slots").mkdir(exist_ok=True)
        text = (SCRIPTS / "postinst").read_text().replace("@VERSION@", version)
        script = self.root / "postinst"
        script.write_text(text.replace("@UNITS@", "edge-agent.service"))
        (self.root / "invoked").unlink(missing_ok=True)
        run = subprocess.run(
            ["sh", script, "configure", self.current or ""],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"DPKG_ROOT": str(self.root), "PATH": f"{self.tools}:{os.environ['PATH']}"},
        )
        return run.returncode, run.stderr

    @property
    def current(self) -> str | None:
        link = self.home / "current"
        return link.readlink().name if link.is_symlink() else None

    @property
    def slots(self) -> list[str]:
        return sorted(p.name for p in (self.home / "slots").iterdir())

    @property
    def invoked(self) -> str:
        file = self.root / "invoked"
        return file.read_text() if file.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_installation_makes_a_complete_slot_and_starts(machine: Machine) -> None:
    assert machine.install("1.0") == (0, "")
    assert machine.current == "1.0"
    assert (machine.home / "current" / ".complete").read_text() == "{}\n"
    assert list(machine.home.glob("slots/1.0/lib/python3/**/*.pyc"))
    assert machine.invoked == "restart edge-agent.service\n"


def test_without_a_configuration_nothing_is_started(machine: Machine) -> None:
    (machine.root / "etc/edge-agent/config.toml").unlink()
    status, said = machine.install("1.0")
    assert (status, machine.invoked) == (0, "")
    assert "not configured yet" in said


def test_the_version_before_stays_as_the_way_back(machine: Machine) -> None:
    for version in ("1.0", "2.0", "3.0"):
        assert machine.install(version)[0] == 0
    assert (machine.current, machine.slots) == ("3.0", ["2.0", "3.0"])


def test_slots_of_the_updater_are_left_to_it(machine: Machine) -> None:
    machine.install("1.0")
    (machine.home / "slots" / "0a1b2c").mkdir()
    machine.install("2.0")
    machine.install("3.0")
    assert "0a1b2c" in machine.slots


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("lib/python3/site-packages/agent/app.py", "does not run here"),
        ("lib/python3/site-packages/gpiod.py", "does not run here"),
        ("lib/python3/site-packages/agent/__main__.py", "does not accept"),
    ],
)
def test_a_version_that_fails_its_trial_replaces_nothing(
    machine: Machine, broken: str, words: str
) -> None:
    machine.install("1.0")
    status, said = machine.install("2.0", {broken: "raise SystemExit(78)"})
    assert status != 0
    assert words in said
    assert (machine.current, machine.invoked) == ("1.0", "")


def test_a_configuration_that_was_wrong_before_does_not_stop_a_new_version(
    machine: Machine,
) -> None:
    wrong = {"bin/edge-agent": "#!/bin/sh\nexit 78\n"}
    machine.install("1.0", wrong)
    refuses = {"lib/python3/site-packages/agent/__main__.py": "raise SystemExit(78)"}
    assert machine.install("2.0", {**wrong, **refuses})[0] == 0
    assert machine.current == "2.0"


def test_a_version_that_does_not_start_is_taken_back(machine: Machine) -> None:
    machine.install("1.0")
    machine.tool("deb-systemd-invoke", 'readlink "$DPKG_ROOT/opt/edge-agent/current" | grep -q 1.0')
    status, said = machine.install("2.0")
    assert status != 0
    assert "back to 1.0" in said
    assert machine.current == "1.0"


def test_an_agent_that_somebody_stopped_stays_stopped(machine: Machine) -> None:
    machine.install("1.0")
    machine.agent_is("inactive")
    assert machine.install("2.0")[0] == 0
    assert (machine.current, machine.invoked) == ("2.0", "")


def test_an_agent_that_had_failed_gets_another_chance_and_no_blame(machine: Machine) -> None:
    machine.install("1.0")
    machine.agent_is("failed")
    machine.tool("deb-systemd-invoke", "exit 1")
    status, said = machine.install("2.0")
    assert (status, machine.current) == (0, "2.0")
    assert "did not start" in said


def test_the_same_version_again_repairs_its_slot(machine: Machine) -> None:
    machine.install("1.0")
    (machine.home / "slots/1.0/lib/python3/site-packages/gpiod.py").unlink()
    machine.install("1.0")
    assert (machine.home / "slots/1.0/lib/python3/site-packages/gpiod.py").exists()
    assert machine.slots == ["1.0"]


def test_removing_leaves_what_was_configured_and_stored_purging_nothing(machine: Machine) -> None:
    machine.install("1.0")
    (machine.root / "var/lib/edge-agent").mkdir(parents=True)
    text = (SCRIPTS / "postrm").read_text().replace("@UNITS@", "edge-agent.service")
    (machine.root / "postrm").write_text(text)
    for action, left in (("remove", True), ("purge", False)):
        subprocess.run(
            ["sh", machine.root / "postrm", action],
            check=True,
            timeout=60,
            env={
                "DPKG_ROOT": str(machine.root),
                "PATH": f"{machine.tools}:{os.environ['PATH']}",
            },
        )
        assert not (machine.home / "slots").exists()
        assert machine.current is None
        assert (machine.root / "etc/edge-agent").exists() is left
        assert (machine.root / "var/lib/edge-agent").exists() is left


# --- the real thing -------------------------------------------------------------------------------


def test_the_environment_runs_with_the_system_s_python(tmp_path: Path) -> None:
    """Every wheel by its hash for both Pythons, our own wheel, merged; for this machine."""
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
    version = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    if arch is None or shutil.which("uv") is None or version not in payload.PYTHONS:
        pytest.skip("no uv, or no Python of Debian 12 or 13 here")
    try:
        out = payload.build(ROOT, arch, "1.2.3", tmp_path / "payload", EPOCH)
    except PackageError as error:
        if "error sending request" in str(error) or "dns error" in str(error).lower():
            pytest.skip("no network")
        raise
    run = subprocess.run(
        [out / "bin/python3", "-I", "-c", "import agent.app, PIL.Image, bleak, gpiod, usb.core"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert not list(out.rglob("pip")), "a slot is made as a whole, nothing is added to it"
