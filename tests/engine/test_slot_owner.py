"""Whether the process that took a slot still runs: on this machine that is known at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from service_event_checker.engine.slot_owner import is_gone, new_owner

TAKE = """
import sys
from service_event_checker.engine.slot_owner import new_owner
print(new_owner(), flush=True)
sys.stdin.read()
"""


@dataclass
class Other:
    """Another process, which has taken a slot and runs until it is killed."""

    process: subprocess.Popen[str]
    owner: str

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def other() -> Iterator[Other]:
    process = subprocess.Popen([sys.executable, "-c", TAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield Other(process, process.stdout.readline().strip())
    process.kill()
    process.communicate()


def changed(owner: str, place: int, value: str) -> str:
    fields = owner.split(" ")
    fields[place] = value
    return " ".join(fields)


def test_one_that_runs_is_not_gone(other: Other) -> None:
    assert not is_gone(new_owner())
    assert not is_gone(other.owner)


def test_one_that_was_killed_is_gone(other: Other) -> None:
    other.kill()

    assert is_gone(other.owner)


def test_one_that_was_killed_and_is_still_to_be_asked_for_by_its_parent_is_gone(other: Other) -> None:
    assert other.process.stdout
    other.process.kill()
    assert other.process.stdout.read() == ""  # the kernel has closed its files

    until = 1000
    while not is_gone(other.owner) and until:
        until -= 1
    assert is_gone(other.owner)


def test_another_process_that_has_its_number_by_now_is_not_it() -> None:
    assert is_gone(changed(new_owner(), 4, "1"))


@pytest.mark.parametrize(("place", "value"), [(1, "another-machine"), (2, "another-boot"), (2, ""), (3, "x"), (4, "")])
def test_of_another_machine_or_boot_nobody_can_tell(place: int, value: str, other: Other) -> None:
    other.kill()

    assert not is_gone(changed(other.owner, place, value))


def test_containers_may_share_name_and_boot_so_an_owner_names_where_its_process_id_counts(other: Other) -> None:
    boot_id, _, namespace = other.owner.split(" ")[2].partition("/")
    assert namespace == os.readlink("/proc/self/ns/pid")
    other.kill()

    assert not is_gone(changed(other.owner, 2, f"{boot_id}/pid:[1]"))


@pytest.mark.parametrize("owner", ["", "0123456789abcdef0123456789abcdef", "a b", " a b 1 2"])
def test_of_an_owner_in_an_older_form_nobody_can_tell(owner: str) -> None:
    assert not is_gone(owner)


def test_each_taking_has_a_name_of_its_own() -> None:
    assert new_owner() != new_owner()
