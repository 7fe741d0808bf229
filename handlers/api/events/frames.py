"""What goes over the wire: server-sent events (WHATWG HTML, section 9.2.5 and 9.2.6)."""

from __future__ import annotations

MEDIA_TYPE = "text/event-stream"
PING = b": still here\n\n"
"""A comment, which every reader skips."""


def event(name: str, data: bytes, identity: str = "") -> bytes:
    """One event. data: JSON in one line. identity: what the client sends as ``Last-Event-ID``;
    without one it keeps the last it had.
    """
    known = f"\nid: {identity}" if identity else ""
    return b"event: %b\ndata: %b\n\n" % ((name + known).encode(), data)


def retry(milliseconds: int) -> bytes:
    """After how long the client should come back once the stream has ended."""
    return b"retry: %d\n\n" % milliseconds
