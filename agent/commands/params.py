"""What parameters of commands are made of."""

from __future__ import annotations

import msgspec


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all parameters; an unknown one is a mistake of the sender."""
