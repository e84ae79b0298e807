"""`fleet`: the back end's tools. They belong to no device and read no configuration of one."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

from agent.cli import common, operate
from agent.contract.errors import Rejected

KEY_FILE = "EDGE_SIGNING_KEY"  # names the file, for who runs many of these


def add(groups: common.Groups) -> None:
    sub = common.group(groups, "fleet", "Look after many devices: the back end's tools.")
    operate.add(sub)
    audit = common.group(sub, "audit", "What devices say that was done on them.")
    verify = common.tool(audit, "verify", "Find where an audit chain breaks.", _verify)
    verify.add_argument(
        "--from",
        dest="from_",
        required=True,
        metavar="STORE",
        help="sqlite:///FILE, postgresql://..., or a file with an event a line",
    )
    verify.add_argument("--device", help="only this one")
    verify.add_argument(
        "--heads", type=Path, metavar="F", help="ends that were kept before; renewed when all holds"
    )
    common.reading(verify)
    sign = common.tool(sub, "sign", "Sign a command, or a configuration, and print it.", _sign)
    sign.add_argument("device", metavar="DEVICE")
    sign.add_argument("name", metavar="COMMAND", help="its name; `config` for a configuration")
    sign.add_argument("params", nargs="?", default="{}", help="JSON; settings of a configuration")
    sign.add_argument("--kid", required=True, help="the key's name on the device")
    sign.add_argument(
        "--key", type=Path, default=os.environ.get(KEY_FILE), metavar="F",
        help=f"file with the secret key; or in ${KEY_FILE}",
    )  # fmt: skip
    sign.add_argument("--id", help="of the command; else a new one")
    sign.add_argument("--seq", type=int, help="rises with each request; else made of the time")
    sign.add_argument("--minutes", type=float, help="valid for so long; else 10, a config 1 year")
    sign.add_argument("--nonce", help="boot_nonce of the device's state: for this start only")
    sign.add_argument("--version", type=int, help="of a configuration")
    keygen = common.tool(sub, "keygen", "Make a key to sign requests with.", _keygen)
    keygen.add_argument("file", type=Path, metavar="FILE", help="the secret; it must not exist yet")


# --- audit ----------------------------------------------------------------------------------------


def _verify(arguments: argparse.Namespace) -> int:
    from agent.fleet import audit
    from agent.fleet.audit_source import read

    heads: dict[str, str] = {}
    if arguments.heads is not None and arguments.heads.exists():
        heads = json.loads(arguments.heads.read_text("utf-8"))
    found: dict[str, Any] = {}
    for device, entries in read(arguments.from_, arguments.device):
        finding = audit.verify(device, entries)
        breaks = [b._asdict() for b in finding.breaks]
        kept = audit.Head.parse(heads.get(device))
        if kept is not None and not audit.passes(entries, kept):
            what = f"number {kept.n} is not the one that was kept: the chain was written anew"
            breaks.append({"epoch": "", "seq": None, "n": kept.n, "what": what})
        found[device] = {"entries": finding.entries, "head": str(finding.head), "breaks": breaks}
    for device in heads.keys() - found.keys():
        if arguments.device in (None, device):
            gone = {"epoch": "", "seq": None, "n": None, "what": "nothing is here any more"}
            found[device] = {"entries": 0, "head": "0:", "breaks": [gone]}
    broken = any(one["breaks"] for one in found.values())
    if arguments.heads is not None and not broken:
        new = heads | {device: one["head"] for device, one in found.items()}
        arguments.heads.write_text(json.dumps(new, indent=1, sort_keys=True) + "\n", "utf-8")
    common.show(arguments, found, _text)
    return 1 if broken else 0


def _text(found: dict[str, Any]) -> str:
    lines = []
    for device, one in found.items():
        verdict = "holds" if not one["breaks"] else "BREAKS"
        n, _, digest = one["head"].partition(":")
        lines.append(f"{device}: {one['entries']} entries, {verdict}; number {n} is {digest[:16]}")
        lines += [f"  epoch {b['epoch']} seq {b['seq']}: {b['what']}" for b in one["breaks"]]
    return "\n".join(map(common.plain, lines)) if lines else "no audit event is there"


# --- signing --------------------------------------------------------------------------------------


def _sign(arguments: argparse.Namespace) -> int:
    from agent.contract import topics
    from agent.core.clock import SystemClock
    from agent.fleet import signing
    from agent.operators.signer import read_seed

    params = json.loads(arguments.params)
    config = arguments.name == "config"
    if not isinstance(params, dict) or (config and arguments.version is None):
        common.complain("give a JSON object; a configuration also needs --version")
        return 2
    seed = read_seed(arguments.key)
    now = int(SystemClock().wall() * 1000)
    minutes = arguments.minutes or (365 * 1440 if config else 10)
    cmd_id = "" if config else arguments.id or secrets.token_hex(8)
    request = signing.Request(
        aud=arguments.device,
        seq=arguments.seq or now,
        iat=now,
        exp=now + int(minutes * 60_000),
        name="" if config else arguments.name,
        cmd_id=cmd_id,
        params={} if config else params,
        boot_nonce=arguments.nonce,
        version=arguments.version if config else None,
        settings=params if config else None,
    )
    purpose: signing.Purpose = "config" if config else "cmd"
    payload = signing.sign(request, kid=arguments.kid, seed=seed, purpose=purpose)
    topic = (
        topics.desired(arguments.device)
        if config
        else topics.command(arguments.device, arguments.name, cmd_id)
    )
    print(json.dumps({"topic": topic, "retain": config, "payload": payload.decode()}))
    return 0


def _keygen(arguments: argparse.Namespace) -> int:
    from agent.fleet import signing

    seed, public = signing.new_key()
    try:
        descriptor = os.open(arguments.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Rejected("no_file", f"{arguments.file} cannot be made: {error.strerror}") from None
    with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
        file.write(seed.hex() + "\n")
    print(f"{arguments.file} holds the secret; for each device's configuration:", file=sys.stderr)
    print(f'[[fleet.keys]]\nkid = "{arguments.file.stem}"\nkey = "{public}"\nscopes = ["ops"]')
    return 0
