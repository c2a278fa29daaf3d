"""The order of the tests where several workers share them: the files that take longest first, so that none is last.

A file goes to one worker as a whole (`--dist loadfile`), which so starts once what its tests share. How long a file
takes was recorded in durations.json; `./test --record` does it anew.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from tests.root import ROOT

#: path of a test file from the root -> seconds that its tests took, with what was started for them
RECORD = Path(__file__).with_name("durations.json")

Test = TypeVar("Test", bound=pytest.Item)


def recorded(record: Path = RECORD) -> dict[str, float]:
    """Return the seconds of each file; none when nothing was recorded yet."""
    return json.loads(record.read_text()) if record.exists() else {}


def longest_first(tests: list[Test], seconds: Mapping[str, float]) -> list[Test]:
    """Return the tests by the seconds of their files; within a file they stay as they are.

    A file without a record may take long, so it comes before all others.
    """
    return sorted(tests, key=lambda test: -seconds.get(file_of(test.nodeid), math.inf))


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class Recorder:
    """Adds up how long the tests of each file take; `write` keeps what was recorded of files that did not run."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[file_of(report.nodeid)] += report.duration

    def write(self, record: Path = RECORD, root: Path = ROOT) -> None:
        known = {**recorded(record), **self._seconds}
        there = {file: round(seconds, 1) for file, seconds in sorted(known.items()) if (root / file).is_file()}
        record.write_text(f"{json.dumps(there, indent=0)}\n")
