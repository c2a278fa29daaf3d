"""Reloads of one process' configuration: what stays, what is built anew, and how processes follow each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service_event_checker import wiring
from service_event_checker.config.load import ConfigError
from service_event_checker.core.errors import StoreError
from service_event_checker.engine import reloads
from service_event_checker.engine.schedule import Engine
from service_event_checker.reload import Board, Reloader

CHECKERS = {
    "github": {"kind": "statuspage", "url": "https://www.githubstatus.com"},
    "retool": {"kind": "feed", "url": "https://status.retool.com/history.rss"},
}
ADO = {"kind": "azure_devops", "url": "https://dev.azure.com/us", "project": "Outages"}
CONFIG: dict[str, Any] = {
    "checkers": CHECKERS,
    "destinations": {"chat": {"kind": "console"}, "tickets": ADO},
    "rules": [{"name": "all", "send": ["chat"]}],
}
OTHER = {**CONFIG, "destinations": {"chat": {"kind": "console"}, "tickets": {**ADO, "project": "Other"}}}
Make = Callable[..., Reloader]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


@pytest.fixture
def make(tmp_path: Path, file: Path) -> Make:
    """A process with the file as it is now; all of them share a store."""

    def build(config: object = CONFIG, file: Path = file) -> Reloader:
        file.write_text(json.dumps(config))
        environ = {"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{tmp_path}/store.db", "ADO_PAT": "a-pat-of-us"}
        engine = Engine(wiring.build(*wiring.examine(environ)))
        engine.services.store.prepare()
        return Reloader(engine, environ)

    return build


def project(reloader: Reloader) -> str:
    adapter: Any = reloader._engine.services.outbox.destinations["tickets"]
    return str(adapter.config.project)


def test_what_is_unchanged_goes_on_with_what_it_knows_and_the_rest_is_new(make: Make, file: Path) -> None:
    reloader = make()
    before = reloader._engine.services
    changed = {**OTHER, "checkers": {**CHECKERS, "retool": {**CHECKERS["retool"], "every": "5m"}}}
    file.write_text(json.dumps(changed))

    found = reloader.reload()

    after = reloader._engine.services
    assert found.changes == reloads.Changes(changed=("checker retool", "destination tickets"))
    for name, same in (("chat", True), ("tickets", False)):
        assert (after.outbox.destinations[name] is before.outbox.destinations[name]) is same
        assert (after.outbox.throttles[name] is before.outbox.throttles[name]) is same
    assert after.poller.watches["github"] is before.poller.watches["github"]
    assert after.poller.watches["retool"] is not before.poller.watches["retool"]
    kept = ("store", "wakes", "refusals", "settings")
    assert all(getattr(after, name) is getattr(before, name) for name in kept)
    assert after.outbox.suspects is before.outbox.suspects
    assert project(reloader) == "Other"


def test_parts_come_and_go(make: Make, file: Path) -> None:
    reloader = make()
    file.write_text(json.dumps({"checkers": {}, "destinations": {"new": {"kind": "console"}}}))

    changes = reloader.reload().changes

    assert changes.added == ("destination new",)
    assert changes.removed == ("checker github", "checker retool", "destination chat", "destination tickets")
    assert changes.changed == ("rules",)
    assert not reloader._engine.services.poller.watches


@pytest.mark.parametrize("text", ["{", '{"rules": 1}', '{"checkers": {"x": {"kind": "no such"}}}', None])
def test_a_wrong_file_leaves_the_last_good_one_and_is_told(make: Make, file: Path, text: str | None) -> None:
    reloader = make()
    before = reloader._engine.services
    file.write_text(text) if text else file.unlink()

    with capture_logs() as lines, pytest.raises(ConfigError):
        reloader.reload()

    assert reloader._engine.services is before
    failed = reloads.failed_since(reloads.read(before.store), before.loaded_at)
    assert failed is not None
    assert list(failed.problems) == lines[-1]["problems"] != []
    file.write_text(json.dumps(OTHER))
    reloader.reload()
    assert reloads.read(before.store).failed is None


def test_processes_on_one_store_follow_each_other(make: Make, file: Path) -> None:
    first, second = make(), make()
    first.follow(), second.follow()
    file.write_text(json.dumps(OTHER))
    second.follow()
    assert project(second) == "Outages"  # nobody asked for it yet

    first.reload()
    second.follow()

    assert (project(first), project(second)) == ("Other", "Other")
    services = second._engine.services
    second.follow()
    first.follow()
    assert second._engine.services is services


def test_a_process_with_another_file_says_so_once_and_takes_it_when_it_has_it(
    make: Make, file: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "copy.json"
    first, second = make(), make(file=elsewhere)
    second.follow()
    file.write_text(json.dumps(OTHER))
    first.reload()

    with capture_logs() as lines:
        second.follow(), second.follow()
    elsewhere.write_bytes(file.read_bytes())
    second.follow()

    assert [line["event"] for line in lines] == ["config_differs"]
    assert project(second) == "Other"


def test_a_process_that_starts_with_a_newer_file_than_was_reloaded_keeps_it(make: Make, file: Path) -> None:
    make().reload()

    started = make(OTHER)
    with capture_logs() as lines:
        started.follow()

    assert project(started) == "Other"
    assert lines == []


def test_a_process_that_starts_with_what_its_parent_had_takes_what_was_reloaded(make: Make, file: Path) -> None:
    first, forked = make(), make()
    file.write_text(json.dumps(OTHER))
    first.reload()

    forked.follow()

    assert project(forked) == "Other"


def test_workers_take_what_the_master_has_posted_and_tell_the_others(make: Make, file: Path) -> None:
    master, worker, elsewhere = make(), make(), make()
    master.board = worker.board = Board()
    elsewhere.follow()
    file.write_text(json.dumps(OTHER))

    master.reload_for_workers()
    worker.follow()
    elsewhere.follow()
    assert {project(each) for each in (master, worker, elsewhere)} == {"Other"}

    file.write_text("{")
    master.reload_for_workers()
    worker.follow()
    store = worker._engine.services.store
    failed = reloads.read(store).failed
    assert failed is not None
    assert "not JSON" in failed.problems[0]
    assert reloads.read(store).applied is not None


def test_late_news_from_the_board_do_not_replace_newer_ones(make: Make, file: Path) -> None:
    master, worker, other = make(), make(), make()
    master.board = worker.board = Board()
    master.reload_for_workers()
    file.write_text(json.dumps(OTHER))
    other.reload()
    newer = reloads.read(other._engine.services.store)

    worker.follow()

    assert reloads.read(other._engine.services.store) == newer
    assert project(worker) == "Other"


def test_while_the_store_is_away_a_process_reloads_and_tells_the_others_later(
    make: Make, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make(), make()
    second.follow()
    store: Any = first._engine.services.store
    file.write_text(json.dumps(OTHER))

    store._trouble = "away"
    first.reload()
    with pytest.raises(StoreError):
        first.follow()
    second.follow()
    assert (project(first), project(second)) == ("Other", "Outages")

    store._trouble = ""
    first.follow()
    second.follow()
    assert project(second) == "Other"


def test_a_signal_is_answered_at_the_next_look(make: Make, file: Path) -> None:
    reloader = make()
    file.write_text(json.dumps(OTHER))

    reloader.ask()
    reloader.follow()

    assert project(reloader) == "Other"
    file.write_text("{")
    reloader.ask()
    reloader.follow()
    assert project(reloader) == "Other"


def test_a_board_shows_whole_texts_only() -> None:
    board = Board()
    assert board.read() == ""

    board.write("one")
    assert board.read() == "one"

    board._memory[37:38] = b"x"
    assert board.read() == ""
