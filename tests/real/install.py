"""Gets the missing parts where this machine allows it; what cannot be had is said and left to the table.

apt only as root on Debian; npm only below tests/tools. Nothing else on the machine is changed. As with any apt
install, Debian may start a package's own server too, on its usual port; tests use none of these.
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
#: a Redmine that was set up has them, whatever its database
_REDMINE_SETTINGS = Path("/etc/redmine/default/database.yml")


def get_missing() -> None:
    """Install what is missing; a second call costs half a second, for the parts are asked for their versions."""
    _apt(_wanted())
    if not os.environ.get(parts.AZURITE.variable):
        _npm()


def _wanted() -> list[parts.Part]:
    # A part whose variable is set was chosen by a person; if it is not there, another one is not what they want.
    return [part for part in parts.missing() if not os.environ.get(part.variable) and not _is_somebodys(part)]


def _is_somebodys(part: parts.Part) -> bool:
    # Our answers to debconf would set it up anew.
    return part is parts.REDMINE and _REDMINE_SETTINGS.exists() and not os.access(parts.REDMINE_DATABASE, os.F_OK)


def _packages(wanted: list[parts.Part]) -> list[str]:
    packages = [package for part in wanted for package in part.apt]
    # npm is no part: it is asked for only where it has something to do. NodeSource's nodejs has it inside.
    if shutil.which("npm") is None and parts.AZURITE in wanted:
        packages.append("npm")
    return list(dict.fromkeys(packages))


def _apt(wanted: list[parts.Part]) -> None:
    packages, apt = _packages(wanted), shutil.which("apt-get")
    if not packages or not apt or os.geteuid() != 0:
        return
    print(f"installing {' '.join(packages)} with apt (once; a minute or two)", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run([apt, "update", "-qq"], environment=environment)
    if answers := "".join(f"{line}\n" for part in wanted for line in part.debconf):
        _run(["debconf-set-selections"], said=answers)
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


def _run(
    command: list[str], *, folder: Path | None = None, environment: dict[str, str] | None = None, said: str = ""
) -> bool:
    """Run it with `said` as its input; print the end of what it said itself where it fails."""
    answer = subprocess.run(command, cwd=folder, env=environment, input=said, capture_output=True, text=True)
    if answer.returncode:
        last = (answer.stderr or answer.stdout).strip().splitlines()[-5:]
        print(f"{Path(command[0]).name} failed: {' / '.join(last)}", flush=True)
    return answer.returncode == 0
