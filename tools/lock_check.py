"""Proves that the locks install with pip alone, on the day when each locked package has a newer release.

pip refuses a lock whose `name` is asked for as `name[extra]` elsewhere, but only once a version newer than the locked
one exists: until then such a lock looks sound. So the locked files are put into one folder, an empty wheel of a far
newer version beside each, and pip is asked to resolve all locks from this folder, for each supported Python.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = tuple(ROOT / f"requirements{which}.txt" for which in ("", "-apprise", "-celery", "-dev"))
#: all that the README names, the oldest first
PYTHONS = ("3.11", "3.12", "3.13")
NEWER = "9999.0"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
#: one locked package with its hashes, up to the line of the next
_ENTRY = re.compile(r"^[\w.-]+.*(?:\n[ #].*)*", re.MULTILINE)
_ANY_PYTHON = re.compile(r"-(py2\.)?py3-none-|-abi3-")


def main() -> int:
    """Return 0 when each Python can install the locks, else 1 with what pip said. A lock is asked about once."""
    stamp, wanted = Path(sys.prefix) / "lock-checked", _digest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        refused = check(Path(folder))
    if refused:
        sys.stdout.write(refused)
        return 1
    stamp.write_text(wanted)
    return 0


def check(folder: Path) -> str:
    """Fill the folder with what is locked and what would be newer; return what pip refuses, "" when nothing."""
    oldest, *others = PYTHONS
    with ThreadPoolExecutor() as pool:
        refused = _download(oldest, folder) or "".join(pool.map(lambda python: _download(python, folder), others))
        if refused:
            return refused
        outdate(folder)
        return "".join(pool.map(lambda python: resolve(python, folder, LOCKS), PYTHONS))


def outdate(folder: Path) -> None:
    """Put a newer release beside each package of the folder."""
    for name in {_name(file) for file in folder.glob("*.whl")}:
        empty_wheel(folder, name, NEWER)


def empty_wheel(folder: Path, name: str, version: str, *needs: str) -> Path:
    """Write a wheel with nothing in it but its name, version and what it needs ("flask[async]>=3"); return its path."""
    about = f"{name}-{version}.dist-info"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {need}" for need in needs),
    ]
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{about}/METADATA", "".join(f"{line}\n" for line in lines))
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return file


def resolve(python: str, folder: Path, locks: Sequence[Path]) -> str:
    """Return what pip refuses when it may install these locks from this folder alone; "" when it takes them all."""
    # pip asks for a target where it is to judge for another Python than its own.
    nowhere = ("--dry-run", "--target", str(folder / "nothing"))
    files = (word for lock in locks for word in ("-r", str(lock)))
    return _pip(python, "install", *nowhere, "--no-index", "--find-links", str(folder), *files)


def _download(python: str, folder: Path) -> str:
    """Get the wheels for this Python that the folder lacks; what fits any Python is got once."""
    there = {_name(file) for file in folder.glob("*.whl") if _ANY_PYTHON.search(file.name)}
    entries = [entry for lock in LOCKS for entry in _ENTRY.findall(lock.read_text())]
    lacking = folder / f"lacking-{python}.txt"
    lacking.write_text(
        "\n".join(entry for entry in entries if re.split(r"[=[]", entry)[0].replace("-", "_") not in there)
    )
    return _pip(python, "download", "--no-deps", "--dest", str(folder), "-r", str(lacking))


def _pip(python: str, command: str, *arguments: str) -> str:
    """Return the end of what pip said when it failed; "" when it did not."""
    target = ("--require-hashes", "--python-version", python, "--only-binary", ":all:")
    answer = subprocess.run([*PIP, command, "--quiet", *target, *arguments], capture_output=True, text=True)
    if answer.returncode == 0:
        return ""
    last = "\n".join((answer.stderr or answer.stdout).strip().splitlines()[-8:])
    return f"pip {command} for Python {python} fails once newer releases exist; `make lock` and look again:\n{last}\n"


def _name(file: Path) -> str:
    return file.name.partition("-")[0].lower().replace(".", "_")


def _digest() -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in (*LOCKS, Path(__file__)))).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
