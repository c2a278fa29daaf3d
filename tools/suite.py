"""Runs the tests: gets the real parts, shows which are here, then pytest, then the gate on core.

Arguments go to pytest as they are; then a part of the tests runs, in one process unless they name more (`-n 3`), and
the gate, which needs all tests, is left out. `--record` alone runs all, and writes down how long each file took.
"""

from __future__ import annotations

import subprocess
import sys

from tests.real import install, parts

#: what decides is pure and small: nothing in it may be untested
CORE = "service_event_checker/core/*"
COVERAGE = ("--cov", "--cov-report=term:skip-covered")
#: more than the two cores of CI, for many tests wait; tests/order.py says which comes first
WORKERS = ("-n", "3")
RECORD = "--record"


def main(arguments: list[str]) -> int:
    install.get_missing()
    print(f"real parts that the tests run against:\n{parts.table()}", flush=True)
    if lacking := parts.missing():
        names = ", ".join(part.name for part in lacking)
        if parts.all_are_required():
            print(f"missing: {names}; REQUIRE_ALL_PARTS is set, so no test is run", flush=True)
            return 1
        print(f"tests that need {names} are skipped", flush=True)
    whole = arguments in ([], [RECORD])
    tests = _python("pytest", *((*WORKERS, *COVERAGE) if whole else ()), *arguments)
    return tests if tests or not whole else _gate()


def _gate() -> int:
    """Return 0 when core is covered whole, silently: pytest's summary stays the last line of a good run."""
    report = ("coverage", "report", f"--include={CORE}", "--fail-under=100", "--show-missing", "--skip-covered")
    answer = subprocess.run([sys.executable, "-m", *report], capture_output=True, text=True)
    if answer.returncode:
        print(f"{answer.stdout}{answer.stderr}\n{CORE} must be covered whole; see Missing above", flush=True)
    return answer.returncode


def _python(module: str, *arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", module, *arguments]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
