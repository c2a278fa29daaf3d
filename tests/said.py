"""What a test tells the reader of the run, shown once at its end: whichever process found it."""

from __future__ import annotations

LINES: list[str] = []


def say(line: str) -> None:
    LINES.append(line)
