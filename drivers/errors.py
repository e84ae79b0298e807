"""What drivers raise; apart from the ports, so that the command line starts without them."""

from __future__ import annotations


class DriverError(Exception):
    """The world did not play along: unplugged, refused, timed out.

    The text is for people: what happened and what to try.
    """
