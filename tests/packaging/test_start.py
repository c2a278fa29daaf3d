"""The two commands find a Python by themselves, and their locked requirements fit what the project asks for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from hashlib import sha256
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.root import ROOT
from tools import lock_check
from tools.lock_check import empty_wheel

PYTHON_LOCKS = ("requirements.txt", "requirements-apprise.txt", "requirements-celery.txt", "requirements-dev.txt")
LOCKED = re.compile(r"^([\w.-]+)(?:\[([\w.,-]+)])?==(\S+)", re.MULTILINE)
BROKEN_SHIM = "echo 'command not found' >&2; exit 127"
OLD = 'case "$1" in -c) exit 1 ;; esac; echo "old python"'
GOOD = 'case "$1" in -c) exit 0 ;; esac; echo "chosen with $*"'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder that stands for PATH; only what a test puts there, and what a shell script needs, is found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "dirname").symlink_to("/usr/bin/dirname")
    return folder


def put(folder: Path, name: str, script: str) -> Path:
    program = folder / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def choose(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": str(path), "VENV": str(path / "no environment"), **environment}
    return subprocess.run([ROOT / "run", "--a flag"], env=settings, cwd="/", capture_output=True, text=True)


def test_a_name_on_path_that_does_not_run_or_is_too_old_is_passed_over(path: Path) -> None:
    put(path, "python3.13", BROKEN_SHIM)
    put(path, "python3.12", OLD)
    put(path, "python3", GOOD)

    answer = choose(path)

    assert answer.stdout == f"chosen with {ROOT}/tools/bootstrap.py run --a flag\n"


def test_the_environment_keeps_its_python_unless_another_is_named(path: Path) -> None:
    put(path, "python3.13", OLD)
    put(path, "venv/bin/python", GOOD)
    named = put(path, "named", GOOD.replace("chosen", "named"))

    assert choose(path, VENV=str(path / "venv")).stdout.startswith("chosen")
    assert choose(path, VENV=str(path / "venv"), PYTHON=str(named)).stdout.startswith("named")


def test_without_any_python_it_says_what_to_install(path: Path) -> None:
    put(path, "python3", OLD)

    answer = choose(path)

    assert answer.returncode == 1
    assert "Python 3.11 or newer is needed" in answer.stderr


def test_a_folder_that_is_no_environment_is_never_cleared(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("work")

    bootstrap = [sys.executable, str(ROOT / "tools" / "bootstrap.py"), "install"]
    answer = subprocess.run(bootstrap, env={**os.environ, "VENV": str(tmp_path)}, capture_output=True, text=True)

    assert answer.returncode == 1
    assert "set VENV to another folder" in answer.stderr
    assert precious.read_text() == "work"


@pytest.mark.parametrize("module", ["app", "service_event_checker.celery_app"])
def test_an_env_file_above_the_app_is_not_read(tmp_path: Path, module: str) -> None:
    """`./outage` and gunicorn.conf.py read the one beside app.py: another one would mean another store."""
    app = tmp_path / "app"
    app.mkdir()
    for name in ("app.py", "config.json", "service_event_checker", "service_checkers"):
        (app / name).symlink_to(ROOT / name)
    (tmp_path / ".env").write_text("OF_ANOTHER_PROGRAM=1\n")
    (app / ".env").write_text("OF_THE_APP=1\n")
    code = f"import os, {module}; print(*sorted(name for name in os.environ if name.startswith('OF_')))"
    environment = {"PATH": os.environ["PATH"], "CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}

    beside = _printed(code, app, environment)
    (app / ".env").unlink()

    assert beside == "OF_THE_APP"
    assert _printed(code, app, environment) == ""


def _printed(code: str, folder: Path, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


@pytest.mark.parametrize("number", ["-1", "many", "0", "9" * 5000])
def test_a_number_of_workers_that_gunicorn_would_crash_on_is_one_line(number: str) -> None:
    bootstrap = [sys.executable, str(ROOT / "tools" / "bootstrap.py"), "run"]
    environment = {**os.environ, "WEB_CONCURRENCY": number}

    answer = subprocess.run(bootstrap, env=environment, capture_output=True, text=True, timeout=60)

    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert answer.stderr.startswith("WEB_CONCURRENCY: is not a whole number")


def test_the_locks_hold_each_requirement_in_a_version_that_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {
        "requirements.txt": project["project"]["dependencies"],
        "requirements-apprise.txt": project["dependency-groups"]["apprise"],
        "requirements-celery.txt": project["dependency-groups"]["celery"],
        "requirements-dev.txt": project["dependency-groups"]["dev"],
    }

    for file, requirements in wanted.items():
        locked = {name: version for name, _, version in LOCKED.findall((ROOT / file).read_text())}
        for requirement in map(Requirement, requirements):
            assert locked.get(requirement.name, "missing") in requirement.specifier, f"{file}: {requirement}: make lock"


def test_a_package_that_another_asks_for_with_an_extra_is_locked_with_it() -> None:
    extras: dict[str, set[str]] = {}
    for file in PYTHON_LOCKS:
        for name, extra, _ in LOCKED.findall((ROOT / file).read_text()):
            extras.setdefault(name, set()).update(filter(None, extra.split(",")))

    asked = [wanted for name, own in extras.items() for wanted in requirements(name, own) if wanted.extras]
    assert asked
    for wanted in asked:
        assert wanted.extras <= extras[wanted.name.lower()], f"{wanted}: make lock"


def test_a_lock_without_the_extra_is_refused_once_there_is_a_newer_release(tmp_path: Path) -> None:
    locked = empty_wheel(tmp_path, "part", "1.0"), empty_wheel(tmp_path, "whole", "1.0", "part[more]")
    lock_check.outdate(tmp_path)
    lock = tmp_path / "lock.txt"

    def install(extra: str) -> str:
        names = (f"part{extra}==1.0", "whole==1.0")
        lines = [
            f"{name} --hash=sha256:{sha256(file.read_bytes()).hexdigest()}"
            for name, file in zip(names, locked, strict=True)
        ]
        lock.write_text("\n".join(lines))
        return lock_check.resolve("3.12", tmp_path, [lock])

    assert "part[more]" in install("")
    assert install("[more]") == ""


def requirements(name: str, extras: set[str]) -> list[Requirement]:
    """Return what this package asks for here, with these extras of its own; nothing where it is not for this system."""
    try:
        wanted = [Requirement(text) for text in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError:
        return []
    return [
        one
        for one in wanted
        if not one.marker or any(one.marker.evaluate({"extra": extra}) for extra in extras or {""})
    ]


@pytest.mark.parametrize("lock", [*PYTHON_LOCKS, "tests/tools/package-lock.json"])
def test_a_lock_names_no_place_to_load_from(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert not re.search(r'--(extra-)?index-url|--find-links|"resolved"|registry\.', text)
