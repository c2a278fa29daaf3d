"""Gets the missing parts where this machine allows it; what cannot be had is said and left to the table.

apt only as root on Debian; npm only below tests/tools. Nothing else on the machine is changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.real import parts

#: stands in node_modules when all of the lock file is there; npm removes it with the folder when it begins
_STAMP = parts.TOOLS / "node_modules" / "installed"


def get_missing() -> None:
    """Install what is missing; a second call costs a few milliseconds."""
    _apt(_packages())
    if not os.environ.get(parts.AZURITE.variable):
        _npm()


def _packages() -> list[str]:
    # A part whose variable is set was chosen by a person; if it is not there, another one is not what they want.
    named = {part for part in parts.PARTS if os.environ.get(part.variable)}
    wanted = [package for part in parts.missing() if part not in named for package in part.apt]
    # npm is no part: it is asked for only where it has something to do. NodeSource's nodejs has it inside.
    if shutil.which("npm") is None and parts.AZURITE not in named and parts.AZURITE.find() is None:
        wanted.append("npm")
    return wanted


def _apt(packages: list[str]) -> None:
    apt = shutil.which("apt-get")
    if not packages or not apt or os.geteuid() != 0:
        return
    print(f"installing {' '.join(packages)} with apt", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run([apt, "update", "-qq"], environment=environment)
    _run([apt, "install", "-y", "-qq", "--no-install-recommends", *packages], environment=environment)


def _npm() -> None:
    npm = shutil.which("npm")
    lock = hashlib.sha256((parts.TOOLS / "package-lock.json").read_bytes()).hexdigest()
    if not npm or (_STAMP.is_file() and _STAMP.read_text() == lock):
        return
    print("installing tests/tools with npm (once; half a minute)", flush=True)
    # No package's script runs: none of them is needed, and a lock of hashes does not say what they do.
    if _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder=parts.TOOLS):
        _STAMP.write_text(lock)


def _run(command: list[str], *, folder: Path | None = None, environment: dict[str, str] | None = None) -> bool:
    answer = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if answer.returncode:
        last = (answer.stderr or answer.stdout).strip().splitlines()[-5:]
        print(f"{Path(command[0]).name} failed: {' / '.join(last)}", flush=True)
    return answer.returncode == 0
