"""Lines are written as structlog writes them for a terminal, and those of one commit in few whole pieces."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from select import PIPE_BUF
from typing import Any

import structlog
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.log_output import Output, for_terminal, together

VALUES = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.lists(st.text(), max_size=3))
NAMES = st.text("abcdefgh_", min_size=1, max_size=8)


class Pieces(io.StringIO):
    """Keeps each write by itself, as a pipe gets them."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return super().write(text)


@given(
    st.dictionaries(NAMES, VALUES), st.sampled_from(["debug", "info", "warning", "error", "critical", "odd"]), st.text()
)
def test_a_line_is_that_of_structlogs_renderer(values: dict[str, Any], level: str, event: str) -> None:
    line = {"event": event, "level": level, "timestamp": "2026-11-29T08:00:00Z", **values}
    theirs = structlog.dev.ConsoleRenderer(colors=False, sort_keys=False)

    assert for_terminal(None, "info", dict(line)) == theirs(None, "info", dict(line))


def test_a_line_by_itself_is_written_at_once() -> None:
    stream = Pieces()

    Output(stream).info("one")

    assert stream.pieces == ["one\n"]


def test_lines_of_one_commit_are_written_at_its_end_in_pieces_that_a_pipe_keeps_whole() -> None:
    stream = Pieces()
    output, lines = Output(stream), [f"{number} " + "ü" * 500 for number in range(10)]

    with together():
        with together():
            for line in lines:
                output.info(line)
        assert stream.pieces == []

    assert stream.getvalue().splitlines() == lines
    assert 1 < len(stream.pieces) < len(lines)
    assert all(len(piece.encode()) <= PIPE_BUF and piece.endswith("\n") for piece in stream.pieces)


def test_lines_are_written_though_the_commit_fails() -> None:
    stream = Pieces()

    with suppress(OSError), together():
        Output(stream).error("tried")
        Path("/nowhere/at/all").read_text()

    assert stream.getvalue() == "tried\n"
