"""The kind `systemd` against a real sshd: the forced command sees what was declared, and nothing else gets there."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.actions.systemd import Config, Runner
from service_event_checker.core.actions import State
from service_event_checker.core.errors import InvalidInput
from tests.conftest import require
from tests.real.parts import SSHD
from tests.real.sshd import Sshd


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    require(SSHD)
    server = Sshd(tmp_path, getpass.getuser())
    server.start()
    yield server
    server.stop()


def runner(sshd: Sshd, **changes: Any) -> Runner:
    base: dict[str, Any] = {
        "kind": "systemd",
        "hosts": ["127.0.0.1"],
        "user": sshd.user,
        "port": sshd.port,
        "identity": str(sshd.identity),
        "known_hosts": str(sshd.known_hosts),
        "parameters": {"service_name": "(?s).*", "server": ".*"},
        "timeout": "20s",
    }
    return Runner(Config.model_validate(base | changes))


def test_it_restarts_the_unit_there(sshd: Sshd) -> None:
    ended = runner(sshd).run({"service_name": "nginx", "server": "127.0.0.1"})

    assert (ended.state, sshd.calls) == (State.SUCCEEDED, ["restart -- nginx"]), ended
    assert f"restarted by {sshd.user}" in ended.output


def test_what_the_remote_side_refuses_is_a_failure_with_its_words(sshd: Sshd) -> None:
    ended = runner(sshd).run({"service_name": "postgresql", "server": "127.0.0.1"})

    assert (ended.state, ended.why, sshd.calls) == (State.FAILED, "exit code 13", [])
    assert "refused" in ended.output


def test_a_unit_that_does_not_start_is_a_failure(sshd: Sshd) -> None:
    sshd.answer(5)

    ended = runner(sshd).run({"service_name": "nginx", "server": "127.0.0.1"})

    assert (ended.state, ended.why) == (State.FAILED, "exit code 5")


@pytest.mark.parametrize("unit", ["nginx; id", "$(id)", "-f", "--help", "nginx\nid", "a b", "", "`id`", "nginx\\x20"])
def test_a_name_that_is_no_unit_leaves_for_nowhere(sshd: Sshd, unit: str) -> None:
    made = runner(sshd)

    with pytest.raises(InvalidInput):
        made.check({"service_name": unit, "server": "127.0.0.1"})
    assert made.run({"service_name": unit, "server": "127.0.0.1"}).state is State.FAILED
    assert sshd.calls == []


@pytest.mark.parametrize("host", ["localhost", "-oProxyCommand=id", "127.0.0.1 -p 22", "root@127.0.0.1", ""])
def test_a_host_that_is_not_listed_is_refused(sshd: Sshd, host: str) -> None:
    with pytest.raises(InvalidInput, match="Listed: 127.0.0.1"):
        runner(sshd).check({"service_name": "nginx", "server": host})


def test_a_host_with_another_key_is_not_trusted_and_the_result_unknown(sshd: Sshd) -> None:
    made = runner(sshd)
    sshd.known_hosts.write_text("")

    ended = made.run({"service_name": "nginx", "server": "127.0.0.1"})

    assert (ended.state, ended.why, sshd.calls) == (State.UNKNOWN, "exit code 255", [])
