"""Parts are found, or named as missing with the way to get them; nothing is guessed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.real import parts
from tests.real.parts import Part

PYTHON = Part("python", "TEST_PYTHON", (sys.executable,), parts.version_by_flag, "apt install python3")
LACKING = Part("lacking", "TEST_LACKING", ("no such program",), parts.version_by_flag, "apt install lacking")


def program(folder: Path, script: str) -> Path:
    file = folder / "program"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_a_part_named_by_its_variable_is_that_one_or_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = program(tmp_path, "echo version 1")

    assert PYTHON.find() == Path(sys.executable)
    monkeypatch.setenv("TEST_PYTHON", str(named))
    assert PYTHON.find() == named
    monkeypatch.setenv("TEST_PYTHON", str(tmp_path / "elsewhere"))
    assert PYTHON.find() is None


def test_a_part_that_does_not_run_or_lacks_what_it_needs_is_missing(tmp_path: Path) -> None:
    shim = program(tmp_path, "exit 127")

    assert Part("shim", "TEST_SHIM", (str(shim),), parts.version_by_flag, "").find() is None
    assert Part("app", "TEST_APP", (sys.executable,), parts.version_by_flag, "", needs=(LACKING,)).find() is None
    assert LACKING.reason() == "lacking is missing: apt install lacking"


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5+b5)", "2.42.0+ds"),
        ("alertmanager, version 0.34.0 (branch: HEAD, revision: 68fb2d5)", "0.34.0"),
        ("something else", ""),
    ],
)
def test_a_version_is_read_out_of_a_sentence(tmp_path: Path, said: str, version: str) -> None:
    assert parts.version_in_words(program(tmp_path, f"echo '{said}'")) == version


def test_a_browsers_version_is_read_behind_its_name(tmp_path: Path) -> None:
    said = "Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)"

    assert parts.version_by_number(program(tmp_path, f"echo '{said}'")) == "156.0.8078.79"
    assert parts.version_by_number(program(tmp_path, "exit 1")) == ""


def test_a_redmine_whose_empty_database_cannot_be_copied_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lib/redmine").mkdir(parents=True)
    (tmp_path / "lib/redmine/version.rb").write_text("  MAJOR = 6\n    MINOR = 0\n    TINY  = 2\n")
    database = tmp_path / "redmine_default"
    monkeypatch.setattr(parts, "REDMINE_DATABASE", database)

    assert parts.version_of_redmine(tmp_path / "config.ru") == ""
    database.touch()
    assert parts.version_of_redmine(tmp_path / "config.ru") == "6.0.2"
