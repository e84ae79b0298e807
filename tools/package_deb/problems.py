"""What goes wrong for the one who builds."""


class PackageError(Exception):
    """The package cannot be built; the message says what to do."""
