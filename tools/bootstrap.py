"""Makes the virtual environment and starts what was asked for; standard library only, it runs before all else.

`run` starts the app, `test` the tests, `outage` the command for people; `install` brings what `make check` needs and
starts nothing. A stamp in the environment says what is installed, so that a second start does not ask pip.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(os.environ.get("VENV") or ROOT / ".venv").absolute()
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
#: stands in the environment while it changes: one that still has it was interrupted, and is made anew
UNFINISHED = VENV / "unfinished"
#: a folder that holds anything else and no pyvenv.cfg is not an environment and must not be cleared
OURS = {"bin", "include", "lib", "lib64", UNFINISHED.name}

RUNTIME, CELERY, DEVELOPMENT = "requirements.txt", "requirements-celery.txt", "requirements-dev.txt"
ALL = (RUNTIME, CELERY, DEVELOPMENT)
NEEDS = {"run": (RUNTIME,), "outage": (RUNTIME,), "test": ALL, "install": ALL}
#: what the command becomes, run by the environment's Python
BECOMES = {
    "run": ("gunicorn", "-c", "gunicorn.conf.py", "app:app"),
    "test": ("tools.suite",),
    "outage": ("service_event_checker.cli.main",),
}
#: tells the command where its caller stood, for the files that he names
CALLED_FROM = "OUTAGE_CALLED_FROM"

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
#: the interpreter under a virtual environment: it is still there after the environment was cleared
BASE = getattr(sys, "_base_executable", None) or sys.executable
NO_PIP = """\
This Python can neither make an environment with pip nor has a pip of its own (22.3 or newer). Install one of them:
  Debian, Ubuntu: apt install python3-venv      Fedora: dnf install python3-pip      macOS: brew install python"""


def main(command: str, arguments: list[str]) -> None:
    """Bring the environment up to date, then become the command."""
    if command == "outage":
        os.environ[CALLED_FROM] = os.getcwd()
        sys.stdout = sys.stderr  # what it prints itself may be JSON for another program
    os.chdir(ROOT)
    if command == "run" and not re.fullmatch(r"|0*[1-9][0-9]?", os.environ.get("WEB_CONCURRENCY", "")):
        # Gunicorn reads it before our settings do, and answers with a traceback.
        sys.exit("WEB_CONCURRENCY: is not a whole number from 1 to 64. Set it like WEB_CONCURRENCY=1")
    # Some images set it to stay small; here it would make every start compile all modules, 3 to 5 times slower.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with _alone():
        install(NEEDS[command])
    if command in BECOMES:
        sys.stdout.flush()
        os.execv(PYTHON, [str(PYTHON), "-m", *BECOMES[command], *arguments])


def install(files: tuple[str, ...]) -> None:
    """Install these requirement files, unless the stamp says that they are, as they stand, for this Python."""
    wanted = {file: hashlib.sha256((ROOT / file).read_bytes()).hexdigest() for file in files}
    usable, stamp = _usable(), _stamp()
    if usable and wanted.items() <= stamp.items():
        return
    started = time.monotonic()
    _say(f"installing {' and '.join(files)} into {VENV} with Python {VERSION}: once, a minute or less")
    if not usable:
        _clear()
    VENV.mkdir(parents=True, exist_ok=True)
    UNFINISHED.touch()
    STAMP.unlink(missing_ok=True)
    if not usable:
        _create()
        stamp = {}
    _fill(files)
    STAMP.write_text(json.dumps({**stamp, **wanted, "python": VERSION}))
    UNFINISHED.unlink()
    _say(f"installed in {time.monotonic() - started:.0f} s")


def _usable() -> bool:
    """Tell whether the environment is whole and of the Python that runs this."""
    if UNFINISHED.exists() or _stamp().get("python", VERSION) != VERSION:
        return False
    if Path(sys.prefix) == VENV:
        return True
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    return _output(str(PYTHON), "-c", question).strip() == VERSION


def _stamp() -> dict[str, str]:
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _clear() -> None:
    if not VENV.exists():
        return
    if not (VENV / "pyvenv.cfg").exists() and not {path.name for path in VENV.iterdir()} <= OURS:
        sys.exit(f"{VENV} holds something else than a virtual environment; set VENV to another folder")
    _say(f"{VENV} is unfinished or of another Python; making it anew")
    shutil.rmtree(VENV)


def _create() -> None:
    # Debian's Python without python3-venv lacks ensurepip. Asking it is safer than importing it: what is left of
    # the package after its removal may still import as a namespace.
    without = [] if _output(BASE, "-m", "ensurepip", "--version") else ["--without-pip"]
    subprocess.run([BASE, "-m", "venv", *without, VENV], check=True)


def _fill(files: tuple[str, ...]) -> None:
    # pip alone: uv accepts locks that pip refuses, and App Service, containers and newcomers have pip.
    locked = ("--require-hashes", "--compile", *(word for file in files for word in ("-r", file)))
    if not _run(*_pip(), "--disable-pip-version-check", "--no-input", "install", *locked):
        sys.exit("The installation failed: see above. The next start begins it again.")


def _pip() -> list[str]:
    own, foreign = [str(PYTHON), "-m", "pip"], [BASE, "-m", "pip", "--python", str(PYTHON)]
    for pip in (own, foreign):
        if _output(*pip, "--version"):
            return pip
    sys.exit(NO_PIP)


def _run(*command: str) -> bool:
    """Run an installer, naming each package as it comes; show the end of its output when it fails."""
    last: deque[str] = deque(maxlen=15)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            last.append(line)
            words = line.split()
            if words[:1] == ["Collecting"]:
                _say(f"  {words[1]}")
    if process.returncode:
        _say(f"{Path(command[0]).name} failed:\n{''.join(last)}")
    return process.returncode == 0


def _output(*command: str) -> str:
    """Return what the command prints; "" when it fails or is not there."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return answer.stdout if answer.returncode == 0 else ""


@contextmanager
def _alone() -> Iterator[None]:
    """Let no other start of this checkout change the environment meanwhile."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _say("another start is installing; waiting for it")
        fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(folder)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in NEEDS:
        try:
            main(sys.argv[1], sys.argv[2:])
        except KeyboardInterrupt:
            sys.exit(130)
    else:
        sys.exit(f"usage: bootstrap.py {'|'.join(NEEDS)} [arguments]")
