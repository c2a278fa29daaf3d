"""`make audit` tells a known vulnerability from none, and says plainly when it could not ask."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.root import ROOT


def audit(folder: Path, script: str) -> tuple[int, str]:
    """Run the tool beside a `uv` of the test's own: the folder of its Python is where it looks first."""
    python = folder / "python"
    python.symlink_to(sys.executable)
    uv = folder / "uv"
    uv.write_text(f"#!/bin/sh\n{script}\n")
    uv.chmod(0o755)
    done = subprocess.run([python, ROOT / "tools" / "audit.py"], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


def package(name: str, *ids: str) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": [{"id": id, "fix_versions": ["1.1"]} for id in ids]}


def answering(*packages: dict[str, Any]) -> str:
    return f"cat <<'END'\n{json.dumps({'dependencies': packages, 'fixes': []})}\nEND"


def test_nothing_known_is_a_pass(tmp_path: Path) -> None:
    assert audit(tmp_path, answering(package("flask"))) == (0, "packages: 1, known vulnerabilities: 0\n")


def test_a_known_vulnerability_is_named_with_its_fix(tmp_path: Path) -> None:
    code, said = audit(tmp_path, answering(package("flask", "CVE-1"), package("jinja2")) + "\nexit 1")

    assert code == 1
    assert said.splitlines()[0] == "flask 1.0: CVE-1, fixed in 1.1"


@pytest.mark.parametrize(
    "script",
    [
        "echo 'Traceback' >&2; echo 'requests.exceptions.ProxyError: no route' >&2; exit 1",
        "echo 'error: no solution found: no route' >&2; exit 1",
        "exit 1",
        "echo '[]'",
        "echo '{\"dependencies\"'",
    ],
)
def test_what_could_not_be_asked_is_not_a_pass(script: str, tmp_path: Path) -> None:
    code, said = audit(tmp_path, script)

    assert code == 2
    assert said.startswith("NOT CHECKED for known vulnerabilities: ")
    assert ("no route" in said) == ("no route" in script)


def test_a_package_that_was_skipped_is_not_a_pass(tmp_path: Path) -> None:
    code, said = audit(tmp_path, answering({"name": "own", "skip_reason": "not found on PyPI"}))

    assert (code, said.splitlines()[0]) == (2, "own: not checked, not found on PyPI")


def test_make_knows_it() -> None:
    assert "make audit" in subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
