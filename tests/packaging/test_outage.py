"""The file `outage`: it works from any folder, and completes in the shells."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from tests.root import ROOT

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables with a virtual environment that is up to date, and whose Python tells how it was called."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    hashes = {"requirements.txt": sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()}
    (venv / "installed.json").write_text(json.dumps({**hashes, "python": VERSION}))
    python = venv / "bin" / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$1" in -c) echo {VERSION} ;; *) echo "in $PWD from $OUTAGE_CALLED_FROM: $*" ;; esac\n'
    )
    python.chmod(0o755)
    return {**os.environ, "VENV": str(venv), "PYTHON": sys.executable}


def test_it_runs_in_its_own_folder_and_knows_from_which_it_was_called(
    environment: dict[str, str], tmp_path: Path
) -> None:
    answer = subprocess.run(
        [ROOT / "outage", "note", "X-1", "two words"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )

    expected = f"in {ROOT} from {tmp_path}: -m service_event_checker.cli.main note X-1 two words\n"
    assert (answer.stdout, answer.stderr, answer.returncode) == (expected, "", 0)


def test_it_runs_through_a_link_on_the_path(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "outage").symlink_to(ROOT / "outage")

    answer = subprocess.run(
        [tmp_path / "bin" / "outage", "status"], env=environment, cwd="/", capture_output=True, text=True
    )

    assert answer.stdout == f"in {ROOT} from /: -m service_event_checker.cli.main status\n"


def outage(*words: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command as the file does, with the Python of the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "service_event_checker.cli.main", *words]
    return subprocess.run(command, env={**kept, **variables}, cwd=cwd, capture_output=True, text=True)


def test_nothing_but_the_answer_is_printed(tmp_path: Path) -> None:
    answer = outage("alerts", "--json", DATABASE_URL=f"sqlite:///{tmp_path}/store.db")

    assert (json.loads(answer.stdout), answer.stderr, answer.returncode) == ({"alerts": []}, "", 0)


def test_the_shell_completes_commands_and_checkers(tmp_path: Path) -> None:
    variables = {"_OUTAGE_COMPLETE": "bash_complete", "DATABASE_URL": f"sqlite:///{tmp_path}/store.db"}

    commands = outage(COMP_WORDS="outage rec", COMP_CWORD="1", **variables)
    checkers = outage(COMP_WORDS="outage check git", COMP_CWORD="2", **variables)
    ids = outage(COMP_WORDS="outage ack ", COMP_CWORD="2", **variables)

    assert commands.stdout.split() == ["plain,reconcile"]
    assert checkers.stdout.split() == ["plain,github"]
    assert (ids.stdout.strip(), ids.stderr) == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_calls_this_file_wherever_it_lies(shell: str) -> None:
    answer = outage("completion", shell)

    assert answer.returncode == 0
    assert f"{shell}_complete {ROOT}/outage" in answer.stdout or f"(commandline -t) {ROOT}/outage" in answer.stdout
    program = shutil.which(shell)
    if program:
        checked = subprocess.run([program, "-n"], input=answer.stdout, capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, "")
