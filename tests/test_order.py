"""The tests' own order: the longest files come first, one worker has a whole file, and no test is left out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.order import Recorder, longest_first, recorded
from tests.root import ROOT

SECONDS = {"test_a.py": 1.0, "test_b.py": 30.0, "test_c.py": 4.5}
CONFTEST = """
from tests.order import longest_first

def pytest_collection_modifyitems(items):
    items[:] = longest_first(items, {seconds})
"""


def of(*nodeids: str) -> list[Any]:
    return [SimpleNamespace(nodeid=nodeid) for nodeid in nodeids]


def run(folder: Path, workers: int) -> list[tuple[str, str]]:
    """Run four small files of two tests each on workers of their own; return the worker and the test, in order."""
    (folder / "conftest.py").write_text(CONFTEST.format(seconds=SECONDS))
    for name in (*SECONDS, "test_new.py"):
        (folder / name).write_text("def test_one(): ...\ndef test_two(): ...\n")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --dist loadfile --no-loadscope-reorder\n")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-n", str(workers)]

    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout
    return re.findall(r"^\[(gw\d+)\].* PASSED (\S+)", done.stdout, re.MULTILINE)


def test_the_longest_file_comes_first_and_one_that_is_not_recorded_before_it() -> None:
    tests = of("test_a.py::test_1", "test_b.py::test_2", "test_b.py::test_1", "test_c.py::test_1", "new.py::test")

    assert [test.nodeid for test in longest_first(tests, SECONDS)] == [
        *("new.py::test", "test_b.py::test_2", "test_b.py::test_1", "test_c.py::test_1", "test_a.py::test_1")
    ]


def test_a_worker_runs_them_in_this_order_and_none_is_left_out(tmp_path: Path) -> None:
    files = ("test_new.py", "test_b.py", "test_c.py", "test_a.py")

    ran = [test for _, test in run(tmp_path, workers=1)]

    assert ran == [f"{file}::{test}" for file in files for test in ("test_one", "test_two")]


def test_the_tests_of_a_file_run_on_one_worker(tmp_path: Path) -> None:
    ran = run(tmp_path, workers=2)

    assert len(ran) == 8
    workers = {(test.partition("::")[0], worker) for worker, test in ran}
    assert len(workers) == 4


def test_this_projects_workers_are_given_whole_files_in_the_order_of_the_tests(pytestconfig: Any) -> None:
    assert {"--dist loadfile", "--no-loadscope-reorder"} <= set(
        re.findall(r"--dist \w+|--no-[\w-]+", " ".join(pytestconfig.getini("addopts")))
    )


def test_what_is_recorded_is_added_up_by_file_and_what_is_gone_is_dropped(tmp_path: Path) -> None:
    record, recorder = tmp_path / "durations.json", Recorder()
    record.write_text('{"test_gone.py": 9.0, "test_kept.py": 3.0, "test_a.py": 7.0}')
    for name in ("test_a.py", "test_kept.py"):
        (tmp_path / name).touch()

    for seconds in (1.0, 0.26):
        recorder.pytest_runtest_logreport(SimpleNamespace(nodeid="test_a.py::test_x[1]", duration=seconds))  # type: ignore[arg-type]
    recorder.write(record, tmp_path)

    assert recorded(record) == {"test_a.py": 1.3, "test_kept.py": 3.0}


def test_every_file_that_is_recorded_is_there() -> None:
    assert [file for file in recorded() if not (ROOT / file).is_file()] == []
