"""Signs what an operator asks, each request with a number above the one before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.contract.errors import Rejected
from agent.core.clock import Clock
from agent.fleet import signing

COMMAND_MS = 10 * 60_000  # valid for so long
CONFIG_MS = 365 * signing.DAY_MS


def read_seed(file: Path | str | None) -> bytes:
    """The secret of a key from its file; Rejected says what to do."""
    if file is None:
        raise Rejected("no_key", "no key is given; `fleet keygen FILE` makes one")
    try:
        seed = bytes.fromhex(Path(file).read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError) as error:
        raise Rejected("no_key", f"the key in {file} cannot be read: {error}") from None
    if len(seed) != signing.SEED_BYTES:
        raise Rejected(
            "no_key", f"the key in {file} has {len(seed)} bytes, not {signing.SEED_BYTES}"
        )
    return seed


class KeySigner:
    """`kid`: the key's name on the devices; `seed`: its secret."""

    def __init__(self, kid: str, seed: bytes, clock: Clock) -> None:
        self._kid = kid
        self._seed = seed
        self._clock = clock
        self._last = 0

    def command(self, device: str, name: str, cmd_id: str, params: dict[str, Any]) -> bytes:
        now, seq = self._next()
        request = signing.Request(
            aud=device,
            seq=seq,
            iat=now,
            exp=now + COMMAND_MS,
            name=name,
            cmd_id=cmd_id,
            params=params,
        )
        return signing.sign(request, kid=self._kid, seed=self._seed)

    def config(self, device: str, version: int, settings: dict[str, Any]) -> bytes:
        now, seq = self._next()
        request = signing.Request(
            aud=device, seq=seq, iat=now, exp=now + CONFIG_MS, version=version, settings=settings
        )
        return signing.sign(request, kid=self._kid, seed=self._seed, purpose="config")

    def _next(self) -> tuple[int, int]:
        """Unix ms, and the request's number: the time, which survives us, or one more."""
        now = int(self._clock.wall() * 1000)
        self._last = max(self._last + 1, now)
        return now, self._last
