"""Debian packages with all that the agent needs but Python; see docs/decisions/0049."""
