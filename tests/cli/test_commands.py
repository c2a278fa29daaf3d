"""What the commands print, with the real app on a real store and a real status page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from service_event_checker.core.errors import Reason
from service_event_checker.core.store import Failed
from service_event_checker.web import create_app
from tests.doubles.statuspages import StatusPages
from tests.factories import NOW, event


@pytest.fixture
def pages() -> Iterator[StatusPages]:
    with StatusPages() as pages:
        pages.page("github")
        yield pages


@pytest.fixture
def app(pages: StatusPages, tmp_path: Path) -> Flask:
    url = f"{pages.url}/page/github"
    config = {
        "checkers": {
            "github": {"kind": "statuspage", "url": url, "only": {"components": ["Actions"]}, "timeout": "1s"},
            "private": {"kind": "statuspage", "url": "env:PRIVATE_PAGE"},
        },
        "destinations": {"slack": {"kind": "slack"}},
        "rules": [{"name": "all", "send": ["slack"]}],
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    return create_app({"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{tmp_path}/store.db"})


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=list(words))


def test_check_shows_what_the_page_shows_and_whether_it_affects_us(app: Flask, pages: StatusPages) -> None:
    pages.open_incident("github", "a", "Actions are slow", impact="critical", components=("Actions",))
    pages.open_incident("github", "b", "Pages are slow", components=("Pages",))

    answer = run(app, "check", "github")

    lines = [line.split() for line in answer.output.splitlines()]
    assert lines[0] == ["github:", "2", "events"]
    shown = {tuple(line[-3:]): line[:4] for line in lines[2:]}
    assert shown == {
        ("Actions", "are", "slow"): ["outage", "firing", "critical", "yes"],
        ("Pages", "are", "slow"): ["outage", "firing", "warning", "no"],
    }
    assert answer.exit_code == 0


def test_check_says_unknown_and_why_and_fails(app: Flask, pages: StatusPages) -> None:
    pages.broken["github"] = "html"

    answer = run(app, "check", "github")

    assert answer.output == "github: UNKNOWN, unreadable answer (HTML instead of JSON)\n"
    assert answer.exit_code == 1


def test_check_all_goes_through_those_that_are_on(app: Flask) -> None:
    assert run(app, "check", "--all").output == "github: 0 events\n"
    assert run(app, "check", "private").output == "private: off, PRIVATE_PAGE is not set\n"


def test_check_reads_a_saved_answer(app: Flask, tmp_path: Path) -> None:
    page = {"page": {"id": "x"}, "incidents": [{"id": "i", "name": "Actions fail", "status": "investigating"}]}
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(page))

    assert "Actions fail" in run(app, "check", "github", "--file", str(saved)).output


def test_check_names_the_checkers_there_are(app: Flask) -> None:
    assert "there are github, private" in run(app, "check", "gitub").output
    assert "name a checker (github, private)" in run(app, "check").output


def test_dead_letters_are_listed_with_their_reason_and_sent_again(app: Flask) -> None:
    services = app.extensions["services"]
    services.store.prepare()
    assert run(app, "dead-letters").output == "no dead letters\n"
    services.pipeline.ingest([event()], NOW)
    (claimed,) = services.store.claim("slack", limit=1, owner="me", now=NOW, until=NOW)
    services.store.settle(claimed.delivery, Failed(reason=str(Reason.REFUSED)), NOW)
    id = claimed.delivery.id

    listed = run(app, "dead-letters").output.splitlines()[1].split()
    assert (listed[0], listed[-1]) == (id, "refused")
    assert run(app, "dead-letters", "--requeue", "nonsense").output.startswith("nonsense: not queued")
    assert run(app, "dead-letters", "--requeue", "nonsense").exit_code == 1
    assert run(app, "dead-letters", "--requeue", id).output == f"{id}: queued again\n"
    assert run(app, "dead-letters").output == "no dead letters\n"
    assert services.store.waiting("slack") == 1


def test_a_dead_letter_that_nobody_wants_is_deleted(app: Flask) -> None:
    services = app.extensions["services"]
    services.store.prepare()
    services.pipeline.ingest([event()], NOW)
    (claimed,) = services.store.claim("slack", limit=1, owner="me", now=NOW, until=NOW)
    services.store.settle(claimed.delivery, Failed(reason="refused"), NOW)

    assert run(app, "dead-letters", "--discard", claimed.delivery.id).output.endswith(": deleted\n")
    assert run(app, "dead-letters").output == "no dead letters\n"
    assert run(app, "dead-letters", "--discard", claimed.delivery.id).exit_code == 1
    assert run(app, "dead-letters", "--requeue", "all").output == "no dead letters\n"


def test_detect_prints_an_entry_for_the_configuration(app: Flask, pages: StatusPages) -> None:
    pages.add_component("github", "Actions")

    answer = run(app, "check", "--detect", f"{pages.url}/page/github")

    entry, component = answer.output.splitlines()
    assert json.loads(entry)["kind"] == "statuspage"
    assert component.endswith("Actions")
    pages.broken["github"] = "empty"
    assert run(app, "check", "--detect", f"{pages.url}/page/github").exit_code == 1
