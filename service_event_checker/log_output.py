"""Writes the lines of the log to a stream, those of one commit together, and renders them for a terminal.

A line costs a system call, for which Python's lock is given away: of a storm, each message has a hundred lines.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from select import PIPE_BUF
from typing import Any, TextIO

import structlog

_own = threading.local()  # `held`: the lines of this thread that wait for the end of `together`
_QUOTED = frozenset(" \t=\r\n\"'")  # what a value is quoted for
_LEVEL_WIDTH, _EVENT_WIDTH = 9, 30
_LEVELS = {name: f"[{name:{_LEVEL_WIDTH}}]" for name in ("debug", "info", "warning", "error", "critical")}
_SLOWER = frozenset({"exception", "stack", "exc_info", "logger", "logger_name"})
# Its tracebacks are plain: richer ones show local variables.
_structlogs = structlog.dev.ConsoleRenderer(
    colors=False, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
)


class Output:
    """What structlog writes to; `stream` is written by others as well."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, text: str) -> None:
        held: list[str] | None = getattr(_own, "held", None)
        if held is None:
            self._write(f"{text}\n")
        else:
            held.append(f"{text}\n")
            _own.output = self

    log = debug = info = warn = warning = error = err = critical = exception = fatal = failure = msg

    def write_all(self, lines: list[str]) -> None:
        """Write lines in pieces that a pipe keeps whole: other processes write into it too (pipe(7))."""
        piece, size = list[str](), 0
        for line in lines:
            length = len(line) if line.isascii() else len(line.encode("utf-8", "replace"))
            if size + length > PIPE_BUF and piece:
                self._write("".join(piece))
                piece, size = [], 0
            piece.append(line)
            size += length
        self._write("".join(piece))

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


@contextmanager
def together() -> Iterator[None]:
    """Write what this thread logs meanwhile at the end, in few pieces."""
    if getattr(_own, "held", None) is not None:
        yield
        return
    _own.held = held = list[str]()
    try:
        yield
    finally:
        _own.held = None
        if held:
            _own.output.write_all(held)


def for_terminal(logger: Any, method: str, event: Any) -> str:
    """Render a line as structlog does for a terminal without colours; most lines at a third of its cost."""
    level = _LEVELS.get(event.get("level", ""))
    if level is None or not _SLOWER.isdisjoint(event):
        return str(_structlogs(logger, method, event))
    parts = [event.pop("timestamp", ""), level, f"{event.pop('event', ''):{_EVENT_WIDTH}}"]
    del event["level"]
    parts += [f"{name}={_quoted(value)}" for name, value in event.items()]
    return " ".join(filter(None, parts)).rstrip(" ")


def _quoted(value: Any) -> str:
    if isinstance(value, str) and _QUOTED.isdisjoint(value):
        return value
    return repr(value)
