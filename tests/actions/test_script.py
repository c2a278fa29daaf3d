"""The kind `script`: a program of its own path and arguments, and nothing that a value could make of them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service_event_checker.actions.process import OUTPUT_MAX
from service_event_checker.actions.script import Config, Runner
from service_event_checker.core.actions import State
from tests.waiting import wait_for

pytestmark = pytest.mark.real  # it runs programs
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def script(tmp_path: Path) -> Path:
    found = tmp_path / "act.sh"
    found.touch(0o755)
    return found


def runner(script: Path, text: str, **changes: Any) -> Runner:
    script.write_text(f"#!/bin/sh\n{text}\n")
    base: dict[str, Any] = {"kind": "script", "path": str(script), "args": ["{x}"], "parameters": {"x": "(?s).*"}}
    return Runner(Config.model_validate(base | changes))


def test_it_has_an_environment_and_a_folder_of_its_own(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKENS", "a:admin:a-token-of-ours-1")

    ended = runner(script, "env; pwd", environment={"GREETING": "hello"}, cwd="/tmp").run({"x": "1"})  # noqa: S108

    assert ended.state is State.SUCCEEDED
    assert "GREETING=hello" in ended.output
    assert "a-token-of-ours-1" not in ended.output
    assert ended.output.strip().endswith("/tmp")  # noqa: S108


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_any_value_is_one_argument(script: Path, value: str) -> None:
    out = script.parent / "out"

    runner(script, f'printf "%s\\n%s" "$#" "$1" > {out}').run({"x": value})

    assert out.read_bytes() == f"1\n{value}".encode()


def test_all_that_it_starts_is_killed_at_the_time_out(script: Path) -> None:
    mark = script.parent / "pid"
    began = time.monotonic()

    ended = runner(script, f"sleep 300 & echo $! > {mark}; echo begun; sleep 300", timeout="1s").run({"x": "1"})

    assert (ended.state, ended.why, ended.output) == (State.FAILED, "it was killed after 1 s", "begun")
    assert time.monotonic() - began < 20
    wait_for(lambda: not _runs(int(mark.read_text())))


def test_one_that_ignores_sigterm_is_killed_all_the_same(script: Path) -> None:
    ended = runner(script, "trap '' TERM; while :; do sleep 0.1; done", timeout="1s").run({"x": "1"})

    assert ended.state is State.FAILED


def test_only_the_end_of_much_output_is_kept(script: Path) -> None:
    ended = runner(script, "yes 0123456789 | head -c 3000000; echo the end").run({"x": "1"})

    assert ended.output.rstrip().endswith("the end")
    assert len(ended.output) <= OUTPUT_MAX


def test_its_exit_code_and_its_secrets(script: Path) -> None:
    ended = runner(script, "echo token=abcdefgh12345678; printf '\\033[31m'; exit 3").run({"x": "1"})

    assert (ended.state, ended.why) == (State.FAILED, "exit code 3")
    assert "abcdefgh" not in ended.output
    assert "\033" not in ended.output


def test_its_limits_hold(script: Path) -> None:
    ended = runner(script, "ulimit -n; ulimit -c", files=64).run({"x": "1"})

    assert ended.output.split() == ["64", "0"]


@pytest.mark.skipif(not AS_ROOT, reason="only root becomes another user")
def test_it_runs_as_the_user_that_is_named(tmp_path: Path) -> None:
    ended = Runner(Config.model_validate({"kind": "script", "path": "/usr/bin/id", "run_as": "nobody"})).run({})

    assert "(nobody)" in ended.output.partition(" ")[0]
    assert "root" not in ended.output


def test_a_script_that_others_may_change_is_off(script: Path) -> None:
    made = runner(script, "echo hi")
    script.chmod(0o777)

    assert "may be changed by others" in made.config.lacks()
    assert (made.run({"x": "1"}).state, made.run({"x": "1"}).output) == (State.FAILED, "")


def test_one_that_is_gone_fails_with_the_reason(script: Path) -> None:
    made = runner(script, "echo hi")
    script.unlink()

    assert "cannot be read" in made.run({"x": "1"}).why


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "act.sh"},
        {"path": "/usr/../tmp/act.sh"},
        {"args": ["{y}"]},
        {"parameters": {"x": "("}},
        {"parameters": {"X": "a"}},
        {"subject": ["y"]},
        {"labels": {"y": "z"}},
        {"per_day": 0},
        {"cooldown": "2d"},
        {"approval": {"by": []}},
    ],
)
def test_a_wrong_entry_is_refused(script: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        runner(script, "", **changes)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
