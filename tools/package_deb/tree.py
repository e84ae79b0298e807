"""Where things lie on the device."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path

UNIT_DIR = "usr/lib/systemd/system"
GENERATED = {
    "sbom": "usr/share/edge-agent/sbom.cdx.json",
    "man": "usr/share/man/man1/edge-agent.1.gz",
    "bash": "usr/share/bash-completion/completions/edge-agent",
    "zsh": "usr/share/zsh/vendor-completions/_edge-agent",
    "fish": "usr/share/fish/vendor_completions.d/edge-agent.fish",
}
COPIES = {
    "systemd/edge-agent.sysusers": "usr/lib/sysusers.d/edge-agent.conf",
    "systemd/edge-agent.tmpfiles": "usr/lib/tmpfiles.d/edge-agent.conf",
    "systemd/60-edge-agent.rules": "usr/lib/udev/rules.d/60-edge-agent.rules",
    "config/shop.toml": "usr/share/edge-agent/shop.toml",
    "config/rider.toml": "usr/share/edge-agent/rider.toml",
    "config/places.toml": "usr/share/edge-agent/places.toml",
    "config/edge.schema.json": "usr/share/edge-agent/edge.schema.json",
    "agent/fleet/slots.py": "usr/lib/edge-agent/slots.py",
    "tools/package_deb/rtupdate": "usr/share/python3/runtime.d/edge-agent.rtupdate",
}
EXECUTABLE = (
    "usr/share/python3/runtime.d/edge-agent.rtupdate",
    "opt/edge-agent/package/bin/edge-agent",
)


def units(root: Path) -> list[str]:
    """The names of our units, sorted."""
    kinds = (".service", ".path", ".timer", ".socket")
    return sorted(p.name for p in (root / "systemd").iterdir() if p.suffix in kinds)


def lay(root: Path, venv: Path, made: Mapping[str, bytes], out: Path, version: str) -> Path:
    """Copies everything to its place under `out`; `made` has what GENERATED names."""
    shutil.copytree(venv, out / "opt" / "edge-agent" / "package", symlinks=True)
    (out / "opt" / "edge-agent" / "slots").mkdir()
    for name in units(root):
        _copy(root / "systemd" / name, out / UNIT_DIR / name)
    for source, target in COPIES.items():
        _copy(root / source, out / target)
    for name, text in made.items():
        _write(out / GENERATED[name], _gzip(text) if name == "man" else text)
    documents = out / "usr" / "share" / "doc" / "edge-agent"
    _write(documents / "changelog.gz", _gzip((root / "CHANGELOG.md").read_bytes()))
    site = venv / "lib" / "python3" / "site-packages"
    _write(documents / "copyright", copyright_of(site, version).encode())
    (out / "usr" / "bin").mkdir(parents=True, exist_ok=True)
    (out / "usr" / "bin" / "edge-agent").symlink_to("/opt/edge-agent/current/bin/edge-agent")
    for path in out.rglob("*"):
        if not path.is_symlink():
            runs = path.is_dir() or str(path.relative_to(out)) in EXECUTABLE
            path.chmod(0o755 if runs else 0o644)
    return out


def copyright_of(site: Path, version: str) -> str:
    """The packages inside with their licences, as their own metadata have them."""
    lines = [
        f"Rider edge agent {version}, with these packages under their own licences. The texts are",
        "in /opt/edge-agent/package/lib/python3/site-packages/*.dist-info.",
        "",
    ]
    for metadata in sorted(site.glob("*.dist-info/METADATA")):
        said = HeaderParser().parsestr(metadata.read_text("utf-8"))
        if said["Name"] != "rider-edge-agent":
            lines.append(f"{said['Name']} {said['Version']}: {_licence(said.items())}")
    return "\n".join(lines) + "\n"


def _licence(fields: list[tuple[str, str]]) -> str:
    """The expression, else what the classifiers say, else the first line of the old field."""
    of = dict(reversed(fields))
    if "License-Expression" in of:
        return of["License-Expression"]
    classified = [
        value.rsplit(" :: ", 1)[1]
        for name, value in fields
        if name == "Classifier" and re.match(r"License :: .* :: ", value)
    ]
    return ", ".join(classified) or of.get("License", "see its metadata").split("\n")[0].strip()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
