"""Logs for journald (priority prefix) or for a terminal; fields travel in `extra`."""

from __future__ import annotations

import logging
import os
import sys

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}


class Formatter(logging.Formatter):
    """`logger: message field=value`, control characters made harmless."""

    def __init__(self, *, journal: bool, dated: bool = True) -> None:
        bare = journal or not dated
        super().__init__("%(message)s" if bare else "%(asctime)s %(levelname)s %(message)s")
        self._journal = journal

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        text = f"{record.name}: {super().formatMessage(record)}"
        for key, value in vars(record).items():
            if key not in _STANDARD:
                text += f" {key}={value}"
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if self._journal:
            prefix = f"<{_PRIORITY.get(record.levelno, 6)}>"
            text = "\n".join(prefix + line for line in text.splitlines())
        return text


def setup(level: str = "INFO", *others: logging.Handler) -> None:
    """To stderr, and to `others`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(journal="JOURNAL_STREAM" in os.environ))
    logging.basicConfig(level=level, handlers=[handler, *others], force=True)


def printable(text: str, limit: int = 200) -> str:
    """A stranger's text for a log or a terminal: no escapes, no novels."""
    safe = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: limit + 1])
    return safe if len(safe) <= limit else safe[:limit] + "…"
