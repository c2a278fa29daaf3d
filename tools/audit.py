"""Asks whether a locked package has a known vulnerability: `make audit`. It needs the network, and says so without.

pip-audit runs in an environment of its own that uv makes, so that the locks need not hold it. Returns 0 where nothing
is known, 1 where something is, 2 where it could not be checked: that is never a pass.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = tuple(ROOT / f"requirements{which}.txt" for which in ("", "-celery", "-dev"))
PIP_AUDIT = "pip-audit==2.9.0"
SECONDS = 600
FOUND, NOT_CHECKED = 1, 2


def main() -> int:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        return _not_checked("uv is not installed. Run make install")
    files = (word for lock in LOCKS for word in ("--requirement", str(lock)))
    audit = ("pip-audit", *files, "--require-hashes", "--disable-pip")
    command = [uv, "tool", "run", "--from", PIP_AUDIT, *audit, "--format", "json", "--progress-spinner", "off"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return _not_checked(f"no answer within {SECONDS} s")
    try:
        packages = json.loads(answer.stdout)["dependencies"]
    except (ValueError, LookupError, TypeError):
        said = answer.stderr.strip().splitlines()
        return _not_checked(said[-1][:300] if said else f"pip-audit ended with {answer.returncode}")
    return report(packages)


def report(packages: list[dict[str, Any]]) -> int:
    """Print what is known of each package, and return the exit code."""
    skipped = [f"{one['name']}: not checked, {one['skip_reason']}" for one in packages if "skip_reason" in one]
    found = [_known(one, weakness) for one in packages for weakness in one.get("vulns", ())]
    print("\n".join([*found, *skipped, f"packages: {len(packages)}, known vulnerabilities: {len(found)}"]))
    return FOUND if found else NOT_CHECKED if skipped else 0


def _known(package: dict[str, Any], weakness: dict[str, Any]) -> str:
    fixed = ", ".join(weakness["fix_versions"]) or "no version"
    return f"{package['name']} {package['version']}: {weakness['id']}, fixed in {fixed}"


def _not_checked(why: str) -> int:
    print(f"NOT CHECKED for known vulnerabilities: {why}\nIt needs the network: a package index and pypi.org")
    return NOT_CHECKED


if __name__ == "__main__":
    sys.exit(main())
