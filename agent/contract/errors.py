"""Whose fault it was, for those who must not import more than they need."""


class Rejected(Exception):
    """The sender's fault. `code` is for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class NotRunning(Exception):
    """No agent listens at the control socket, or it went away."""
