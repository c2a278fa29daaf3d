"""The real parts that tests run against: what they are, where they are found, how they are got.

A part is looked for at each question, never remembered: it may be installed in between.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / "tools"
#: daemons stand where an ordinary user's PATH does not look
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin")


def version_by_flag(program: Path) -> str:
    """Return what `program --version` says on its first line; "" when it does not run."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.partition("\n")[0].strip() if answer.returncode == 0 else ""


def version_of_package(script: Path) -> str:
    """Return the version of the npm package that this script belongs to; "" when it has none."""
    for folder in script.parents:
        if (folder / "package.json").is_file():
            return str(json.loads((folder / "package.json").read_text()).get("version", ""))
    return ""


@dataclass(frozen=True, slots=True)
class Part:
    """One program. `places` are names on PATH or paths; `variable` names the environment variable that wins."""

    name: str
    variable: str
    places: tuple[str, ...]
    version: Callable[[Path], str]
    how: str
    apt: tuple[str, ...] = ()
    needs: tuple[Part, ...] = ()

    def find(self) -> Path | None:
        """Return the program's path; None when it, or a part that it needs, is not here or does not run."""
        if any(part.find() is None for part in self.needs):
            return None
        found = self._place()
        return found if found and self.version(found) else None

    def reason(self) -> str:
        """Say why tests that need this part are skipped."""
        return f"{self.name} is missing: {self.how}"

    def _place(self) -> Path | None:
        if named := os.environ.get(self.variable):
            return Path(named) if Path(named).is_file() else None
        folders = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
        for place in self.places:
            found = place if Path(place).is_file() else shutil.which(place, path=folders)
            if found:
                return Path(found)
        return None


NODE = Part("node", "NODE", ("node", "nodejs"), version_by_flag, "apt install nodejs npm", apt=("nodejs",))
AZURITE = Part(
    "azurite",
    "AZURITE_JS",
    (str(TOOLS / "node_modules/azurite/dist/src/table/main.js"),),
    version_of_package,
    "npm ci --ignore-scripts in tests/tools, or AZURITE_JS=<.../azurite/dist/src/table/main.js>",
    needs=(NODE,),
)

PARTS = (NODE, AZURITE)


def table() -> str:
    """Return one line per part: its name, found or missing, its version, and how to get what is missing."""
    return "\n".join(_line(part) for part in PARTS)


def missing() -> list[Part]:
    return [part for part in PARTS if part.find() is None]


def all_are_required() -> bool:
    """Tell whether a missing part fails the tests instead of skipping some; CI says so."""
    return os.environ.get("REQUIRE_ALL_PARTS", "") not in ("", "0")


def _line(part: Part) -> str:
    found = part.find()
    if found is None:
        return f"  {part.name:<10} missing  {part.how}"
    return f"  {part.name:<10} found    {part.version(found)}"
