"""`check`, `detect`, `failed`, `config` and the former commands, with a real store and a real status page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from service_event_checker.core.errors import Reason
from service_event_checker.core.model import Snapshot
from service_event_checker.core.store import Failed
from service_event_checker.core.vocabulary import Kind
from service_event_checker.web import create_app
from tests.cli.runner import Terminal
from tests.doubles.base import Answer
from tests.doubles.statuspages import StatusPages
from tests.factories import NOW, event
from tests.real.server import free_port

HTML = Answer(200, b"<!doctype html><title>Status</title>", {"Content-Type": "text/html"})


@pytest.fixture
def pages() -> Iterator[StatusPages]:
    with StatusPages() as pages:
        pages.page("github")
        yield pages


@pytest.fixture
def terminal(pages: StatusPages, tmp_path: Path) -> Terminal:
    url = f"{pages.url}/page/github"
    config = {
        "checkers": {
            "github": {"kind": "statuspage", "url": url, "only": {"components": ["Actions"]}, "timeout": "1s"},
            "private": {"kind": "statuspage", "url": "env:PRIVATE_PAGE"},
        },
        "destinations": {"slack": {"kind": "slack"}},
        "rules": [{"name": "all", "send": ["slack"]}],
    }
    return Terminal(tmp_path, config)


def former(terminal: Terminal, *words: str) -> Result:
    return create_app(terminal.environ).test_cli_runner().invoke(args=list(words))


def fail_one(terminal: Terminal, reason: str = "refused") -> str:
    services = terminal.services
    services.pipeline.ingest([event()], NOW)
    (claimed,) = services.store.claim("slack", limit=1, owner="me", now=NOW, until=NOW)
    services.store.settle(claimed.delivery, Failed(reason=reason), NOW)
    return claimed.delivery.id


def test_check_shows_what_the_page_shows_and_whether_it_affects_us(terminal: Terminal, pages: StatusPages) -> None:
    pages.open_incident("github", "a", "Actions are slow", impact="critical", components=("Actions",))
    pages.open_incident("github", "b", "Pages are slow", components=("Pages",))

    answer = terminal.run("check", "github")

    lines = [line.split() for line in answer.output.splitlines()]
    assert lines[0] == ["github:", "2", "events"]
    shown = {tuple(line[-3:]): line[:4] for line in lines[2:]}
    assert shown == {
        ("Actions", "are", "slow"): ["outage", "firing", "critical", "yes"],
        ("Pages", "are", "slow"): ["outage", "firing", "warning", "no"],
    }
    assert answer.exit_code == 0


def test_check_says_when_planned_work_begins_and_ends(terminal: Terminal, pages: StatusPages) -> None:
    begins = datetime.now(UTC) + timedelta(hours=3, minutes=1)
    pages.schedule_maintenance("github", "m", "Storage move", begins, hours=2.0, components=("Actions",))

    text = " ".join(terminal.run("check", "github").output.split())
    (seen,) = json.loads(terminal.run("check", "github", "--json").stdout)["checks"]

    assert "maintenance planned info yes" in text
    ends = (begins + timedelta(hours=2)).astimezone()
    assert re.search(rf"\(in 3 h\) to (\S+ )?{ends:%H:%M} Storage", text)
    assert "firing" not in text
    assert seen["events"][0]["ends_at"].startswith(f"{begins + timedelta(hours=2):%Y-%m-%dT%H:%M}")


def test_tracked_planned_work_is_listed_and_shown_as_planned(terminal: Terminal) -> None:
    begins = datetime.now(UTC) + timedelta(hours=3, minutes=1)
    work = event(kind=Kind.MAINTENANCE, starts_at=begins, ends_at=begins + timedelta(hours=2))
    (alert,) = terminal.services.pipeline.ingest([work], datetime.now(UTC)).values()

    listed = terminal.run("alerts").output
    shown = " ".join(terminal.run("show", alert.internal_id).output.split())
    as_json = json.loads(terminal.run("alerts", "--json").stdout)["alerts"][0]

    assert ("planned" in listed, "firing" in listed) == (True, False)
    assert f"{alert.internal_id} planned error maintenance" in shown
    assert "until: " in shown
    assert as_json["ends_at"].startswith(f"{begins + timedelta(hours=2):%Y-%m-%dT%H:%M}")
    assert json.loads(terminal.run("status", "--json").stdout)["checkers"][0]["planned"] == []


def test_check_as_json_says_the_same(terminal: Terminal, pages: StatusPages) -> None:
    pages.open_incident("github", "a", "Actions are slow", impact="critical", components=("Actions",))

    (seen,) = json.loads(terminal.run("check", "--all", "--json").stdout)["checks"]

    (found,) = seen["events"]
    assert (seen["checker"], seen["state"], seen["complete"]) == ("github", "ok", True)
    assert (found["title"], found["severity"], found["affects_us"]) == ("Actions are slow", "critical", "yes")


def test_check_says_unknown_and_why_and_fails(terminal: Terminal, pages: StatusPages) -> None:
    pages.broken["github"] = "html"

    answer = terminal.run("check", "github")

    assert answer.output == "github: UNKNOWN, unreadable answer (HTML instead of JSON)\n"
    assert answer.exit_code == 1
    assert json.loads(terminal.run("check", "github", "--json").stdout)["checks"][0]["state"] == "unknown"


def test_check_all_goes_through_those_that_are_on(terminal: Terminal) -> None:
    assert terminal.run("check", "--all").output == "github: 0 events\n"
    answer = terminal.run("check", "private")
    assert (answer.output, answer.exit_code) == ("private: off, PRIVATE_PAGE is not set\n", 0)


def test_check_counts_in_words_and_says_of_a_list_that_is_not_all_why(terminal: Terminal, pages: StatusPages) -> None:
    pages.add_component("github", "Actions")["status"] = "partial_outage"

    unexplained = terminal.run("check", "github").output
    pages.missing = {"summary", "incidents/unresolved"}
    pages.open_incident("github", "a", "Actions are slow")
    recent = terminal.run("check", "github").output

    head = "github: 1 event (the page shows trouble that its list of incidents does not explain)\n"
    assert unexplained.startswith(head)
    assert "warning: the page lists no incident that explains: Actions: partial outage" in unexplained
    assert recent.startswith("github: 1 event (this page lists only recent incidents)\n")


def test_check_reads_a_saved_answer_from_the_folder_in_which_the_person_stands(
    terminal: Terminal, tmp_path: Path
) -> None:
    page = {"page": {"id": "x"}, "incidents": [{"id": "i", "name": "Actions fail", "status": "investigating"}]}
    (tmp_path / "saved.json").write_text(json.dumps(page))
    terminal.environ["OUTAGE_CALLED_FROM"] = str(tmp_path)

    assert "Actions fail" in terminal.run("check", "github", "--file", "saved.json").output
    assert terminal.run("check", "github", "--file", "none.json").exit_code == 2


def test_check_names_the_checkers_there_are(terminal: Terminal) -> None:
    assert "there are github, private" in terminal.run("check", "gitub").output
    assert "name a checker (github, private)" in terminal.run("check").output


def test_failed_deliveries_are_listed_with_their_reason_and_sent_again(terminal: Terminal) -> None:
    assert terminal.run("failed").output == "no failed deliveries\n"
    id = fail_one(terminal, str(Reason.REFUSED))

    assert "Disruption with some" in terminal.run("failed").output.splitlines()[1]
    listed = terminal.run("failed").output.splitlines()[1].split()
    assert (listed[0], listed[1].startswith("GITHUB-"), listed[-1]) == (id, True, "refused")
    (as_json,) = json.loads(terminal.run("failed", "--json").stdout)["deliveries"]
    assert (as_json["id"], as_json["state"], as_json["reason"]) == (id, "failed", "refused")
    wrong = terminal.run("failed", "--retry", "nonsense")
    assert wrong.stderr.startswith("nonsense: not queued. There is no such failed delivery")
    assert wrong.exit_code == 1
    assert terminal.run("failed", "--retry", id).output == f"{id}: queued again\n"
    assert terminal.run("failed").output == "no failed deliveries\n"
    assert terminal.services.store.waiting("slack") == 1


def test_all_failed_deliveries_are_sent_again(terminal: Terminal) -> None:
    id = fail_one(terminal)

    assert terminal.run("failed", "--retry", "all").output == f"{id}: queued again\n"
    assert terminal.run("failed", "--retry", "all").output == "no failed deliveries\n"


def test_a_failed_delivery_that_nobody_wants_is_deleted(terminal: Terminal) -> None:
    id = fail_one(terminal)

    assert terminal.run("failed", "--discard", id).output.endswith(": deleted\n")
    assert terminal.run("failed").output == "no failed deliveries\n"
    assert terminal.run("failed", "--discard", id).exit_code == 1
    assert terminal.run("failed", "--discard", id, "--retry", id).exit_code == 2


def test_detect_prints_an_entry_for_the_configuration(terminal: Terminal, pages: StatusPages) -> None:
    pages.add_component("github", "Actions")
    url = f"{pages.url}/page/github"

    entry, component = terminal.run("detect", url).output.splitlines()
    assert json.loads(entry)["kind"] == "statuspage"
    assert component.endswith("Actions")
    assert json.loads(terminal.run("detect", url, "--json").stdout)["components"] == ["Actions"]
    pages.broken["github"] = "empty"
    answer = terminal.run("detect", url)
    assert answer.exit_code == 1
    assert "Next: docs/adding-a-vendor.md" in answer.stderr


def test_detect_knows_vendors_by_name_and_asks_nobody(terminal: Terminal) -> None:
    known, typo, unreadable = (terminal.run("detect", name) for name in ("Stripe", "strype", "okta"))

    assert json.loads(known.output) == {"kind": "statuspage", "url": "https://www.stripestatus.com"}
    assert 'Did you mean "stripe"?' in typo.stderr
    assert "no checker reads its page, https://status.okta.com" in unreadable.stderr
    assert (known.exit_code, typo.exit_code, unreadable.exit_code) == (0, 1, 1)


def test_detect_says_what_to_do_next_by_what_went_wrong(terminal: Terminal) -> None:
    closed = terminal.run("detect", f"http://127.0.0.1:{free_port()}")
    typo = terminal.run("detect", "status.example")

    assert "unreachable" in closed.stderr
    assert "Next: check DNS and network" in closed.stderr
    assert typo.stderr.startswith("Error: status.example: is not an http or https address\n")
    assert typo.stderr.endswith("Next: write the whole address, like https://status.example.com\n")
    assert closed.exit_code == typo.exit_code == 1


def test_check_says_what_to_do_about_a_page_that_cannot_be_reached(terminal: Terminal) -> None:
    config: dict[str, Any] = json.loads(terminal.file.read_text())
    config["checkers"]["github"]["url"] = f"http://127.0.0.1:{free_port()}"
    terminal.file.write_text(json.dumps(config))

    lines = terminal.run("check", "github").output.splitlines()

    assert lines[0].startswith("github: UNKNOWN, unreachable")
    assert lines[1:] == ["    → check DNS and network; behind a proxy set OUTBOUND_PROXY"]


def test_detect_adds_the_entry_and_the_checker_works(terminal: Terminal, pages: StatusPages) -> None:
    pages.page("mine")
    before: dict[str, Any] = json.loads(terminal.file.read_text())
    terminal.file.write_text(json.dumps(before, indent=4))
    terminal.file.chmod(0o640)

    answer = terminal.run("detect", f"{pages.url}/page/mine", "--add", "mine")

    assert answer.exit_code == 0, answer.output
    after = json.loads(terminal.file.read_text())
    assert list(after["checkers"]) == ["github", "private", "mine"]
    assert (after["destinations"], terminal.file.stat().st_mode & 0o777) == (before["destinations"], 0o640)
    assert terminal.run("check", "mine").output == "mine: 0 events\n"
    again = terminal.run("detect", f"{pages.url}/page/mine", "--add", "mine")
    assert (again.exit_code, 'has a "mine" already' in again.stderr) == (1, True)
    assert terminal.run("detect", f"{pages.url}/page/mine", "--add", "My Page").exit_code == 2


def test_check_adopts_the_entry_of_a_page_that_moved(terminal: Terminal, pages: StatusPages) -> None:
    name = {"page": {"name": "Acme", "status": "UP"}}
    known = terminal.services.poller
    pages.add_component("github", "Actions")
    assert isinstance(known.check_now("github").snapshot, Snapshot)
    pages.others |= {"/new": HTML, "/new/summary.json": Answer.json(name)}
    pages.moved["github"] = "/new"

    early = terminal.run("check", "github", "--adopt")
    for _ in range(2):
        known.check_now("github")
    written = terminal.run("check", "github", "--adopt")

    assert (early.exit_code, "no change of its page is known" in early.stderr) == (1, True)
    patch = {"kind": "json_page", "url": f"{pages.url}/new/summary.json", "preset": "instatus"}
    assert json.loads(written.stdout) == patch
    entry = json.loads(terminal.file.read_text())["checkers"]["github"]
    assert entry == {**patch, "only": {"components": ["Actions"]}, "timeout": "1s"}
    assert terminal.run("check", "github").output == "github: 0 events\n"


def test_check_adopts_the_new_name_of_a_component(terminal: Terminal, pages: StatusPages) -> None:
    component = pages.add_component("github", "Actions")
    poller = terminal.services.poller
    poller.check_now("github")
    component["name"] = "Actions & Runners"

    for _ in range(2):
        poller.check_now("github")
    terminal.run("check", "github", "--adopt")

    entry = json.loads(terminal.file.read_text())["checkers"]["github"]
    assert entry["only"] == {"components": ["Actions & Runners"]}


def test_check_accepts_a_page_that_is_right_as_it_is_and_says_when_none_is_found(
    terminal: Terminal, pages: StatusPages
) -> None:
    pages.add_component("github", "Actions")
    poller = terminal.services.poller
    poller.check_now("github")
    pages.emptied.add("github")
    for _ in range(2):
        poller.check_now("github")

    accepted = terminal.run("check", "github", "--adopt")
    assert "accepted as it is" in accepted.stderr
    assert poller.check_now("github").error is None

    pages.emptied.clear()
    poller.check_now("github")
    pages.gone["github"] = 404
    for _ in range(2):
        poller.check_now("github")
    nothing = terminal.run("check", "github", "--adopt")
    assert (nothing.exit_code, "No page was found at its address" in nothing.stderr) == (1, True)
    assert terminal.run("check", "--all", "--adopt").exit_code == 2


def test_what_is_to_be_adopted_is_printed_where_the_file_is_yaml(terminal: Terminal, pages: StatusPages) -> None:
    component = pages.add_component("github", "Actions")
    terminal.environ["CONFIG_FILE"] = str(terminal.file.rename(terminal.file.with_suffix(".yaml")))
    poller = terminal.services.poller
    poller.check_now("github")
    component["name"] = "Runners"
    for _ in range(2):
        poller.check_now("github")

    answer = terminal.run("check", "github", "--adopt")

    assert json.loads(answer.stdout) == {"only": {"components": ["Runners"]}}
    assert "by hand" in answer.stderr


def test_detect_changes_no_file_that_is_wrong(terminal: Terminal, pages: StatusPages) -> None:
    wrong = terminal.file.read_text().replace('"timeout": "1s"', '"timeout": "soon"')
    terminal.file.write_text(wrong)

    answer = terminal.run("detect", f"{pages.url}/page/github", "--add", "more")

    assert answer.exit_code == 1
    assert "checkers.github.timeout" in answer.stderr
    assert terminal.file.read_text() == wrong
    assert [path.name for path in terminal.file.parent.glob(".config*")] == []


def test_config_check_lists_what_is_on_and_says_what_is_wrong(terminal: Terminal) -> None:
    good = terminal.run("config", "check")
    assert good.output.splitlines()[-1].startswith("config.json can be used: 2 checkers, 1 destination, ")
    parts = json.loads(terminal.run("config", "check", "--json").stdout)["parts"]
    assert {part["name"]: part["why_off"] for part in parts}["private"] == "PRIVATE_PAGE is not set"

    terminal.file.write_text('{"checkers": {"github": {"kind": "statuspag"}}}')
    for words in (("config", "check"), ("status",), ("alerts",), ("check", "github")):
        wrong = terminal.run(*words)
        assert wrong.exit_code == 1
        assert wrong.stderr.startswith("Error: config.json cannot be used:\n  checkers.github.kind: ")
        assert wrong.stdout == ""


@pytest.mark.parametrize(
    ("words", "now"),
    [
        (["check", "github"], "check"),
        (["check", "--detect", "{pages}/page/github"], "detect"),
        (["check", "--detect={pages}/page/github"], "detect"),
        (["dead-letters"], "failed"),
        (["quarantine"], "quarantine"),
        (["reconcile", "--dry-run"], "reconcile"),
        (["mirror", "--check"], "mirror"),
        (["config-schema"], "config schema"),
    ],
)
def test_a_former_command_names_the_new_one_and_runs_it(
    terminal: Terminal, pages: StatusPages, words: list[str], now: str
) -> None:
    asked = [word.replace("{pages}", pages.url) for word in words]

    answer = former(terminal, *asked)

    assert answer.exit_code == 0, answer.output
    assert answer.stderr == f"flask --app app {words[0]} is ./outage {now} now; the former name goes with 1.0\n"
    assert answer.stdout


def test_a_former_command_takes_its_former_options_and_fails_as_before(terminal: Terminal) -> None:
    id = fail_one(terminal)

    assert former(terminal, "dead-letters", "--requeue", "nonsense").exit_code == 1
    assert former(terminal, "dead-letters", f"--requeue={id}").stdout == f"{id}: queued again\n"
    assert former(terminal, "check", "--nonsense").exit_code == 2


def test_a_wrong_command_names_the_one_that_was_meant(terminal: Terminal) -> None:
    answer = terminal.run("alrts")

    assert answer.exit_code == 2
    assert 'there is no command "alrts". Did you mean alerts' in answer.stderr


def test_check_warns_of_a_component_that_the_page_does_not_list(terminal: Terminal, pages: StatusPages) -> None:
    pages.add_component("github", "API Requests")

    answer = terminal.run("check", "github")
    (seen,) = json.loads(terminal.run("check", "github", "--json").stdout)["checks"]

    said = 'only.components: the page lists no component "Actions". It lists API Requests'
    assert f"warning: {said}" in answer.stdout
    assert seen["warnings"] == [said]
    pages.add_component("github", "Actions", group="Runtime")
    assert "warning" not in terminal.run("check", "github").stdout


def test_config_check_tells_programs_what_is_wrong(terminal: Terminal) -> None:
    terminal.file.write_text(terminal.file.read_text().replace('"all"', '"all", "match": ["kind=\\"outages\\""]'))

    answer = terminal.run("config", "check", "--json")

    (problem,) = json.loads(answer.stdout)["problems"]
    assert answer.exit_code == 1
    assert problem.startswith('rules[0].match[0]: kind="outages" can never match.')
