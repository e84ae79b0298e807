"""The messages on the wire, version 1; see docs/topics.md. No I/O."""
