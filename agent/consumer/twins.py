"""Tells when two machines use one identity, from their births. Pure.

Each start of a machine has a boot id of its own, and none ever comes back: a birth (`state` with
`online`) of boot A, then one of boot B, then a new one of A means that A and B run side by side. A
new birth has a higher `bd_seq` than the last of its boot; a copy that is delivered again has not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BOOTS = 8  # of a device that are remembered
DEVICES = 200_000  # the one that was heard of longest ago is forgotten first


@dataclass(slots=True)
class Twins:
    _boots: dict[str, dict[str, int]] = field(default_factory=dict)  # newest boot last

    def see(self, device: str, boot_id: str, bd_seq: int) -> bool:
        """Whether this birth shows that the device has a twin."""
        boots = self._boots.pop(device, {})
        known = boots.get(boot_id)
        if known is not None and bd_seq <= known:
            self._boots[device] = boots
            return False
        twin = known is not None and next(reversed(boots)) != boot_id
        boots.pop(boot_id, None)
        boots[boot_id] = bd_seq
        if len(boots) > BOOTS:
            del boots[next(iter(boots))]
        self._boots[device] = boots
        if len(self._boots) > DEVICES:
            del self._boots[next(iter(self._boots))]
        return twin
