"""What people do and read by `outage`, where no app runs: the store is read and written directly."""

from __future__ import annotations

import getpass
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.store import Failed
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity, Status
from tests.cli.runner import Terminal
from tests.factories import NOW, event

ADO = {"ADO_ORG_URL": "http://127.0.0.1:9", "ADO_PROJECT": "Outages", "ADO_PAT": "a-secret-pat"}
CONFIG = {
    "destinations": {
        "chat": {"kind": "console"},
        "azure_devops": {"kind": "azure_devops", "url": "env:ADO_ORG_URL", "project": "env:ADO_PROJECT"},
        "redmine": {"kind": "redmine"},
    },
    "rules": [{"name": "all", "send": ["chat", "redmine"]}],
}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, CONFIG, **ADO)


def ingest(terminal: Terminal, happened: Event) -> Alert:
    return terminal.services.pipeline.ingest([happened], NOW)[happened.key]


def now_of(terminal: Terminal, alert: Alert) -> Alert:
    return terminal.services.store.get([alert.key])[alert.key]


def test_an_alert_is_acknowledged_taken_back_and_resolved_in_the_name_of_the_user(terminal: Terminal) -> None:
    alert = ingest(terminal, event())
    id = alert.internal_id

    for command, status, owner in (
        (("ack", id), Status.ACKNOWLEDGED, getpass.getuser()),
        (("unack", id), Status.FIRING, ""),
        (("resolve", id, "--note", "rolled back"), Status.RESOLVED, getpass.getuser()),
    ):
        answer = terminal.run(*command)
        assert answer.stdout.startswith(f"{id} is {status.value}: "), answer.output
        assert (now_of(terminal, alert).status, now_of(terminal, alert).owner) == (status, owner)

    last = terminal.services.store.timeline(alert.key)[-1]
    assert (last.note, last.actor) == ("rolled back", getpass.getuser())
    assert {each.verb.value for each in terminal.services.store.waiting_deliveries()} >= {"ack", "close"}


def test_asking_for_what_is_so_already_says_so_and_changes_nothing(terminal: Terminal) -> None:
    alert = ingest(terminal, event())
    terminal.run("ack", alert.internal_id)
    before = now_of(terminal, alert)

    answer = terminal.run("ack", alert.internal_id)

    assert (answer.exit_code, "is acknowledged already" in answer.stdout) == (0, True)
    assert now_of(terminal, alert) == before


def test_what_is_resolved_cannot_be_taken_back(terminal: Terminal) -> None:
    alert = ingest(terminal, event())
    terminal.run("resolve", alert.internal_id)

    answer = terminal.run("unack", alert.internal_id)

    assert answer.exit_code == 1
    assert answer.stderr == (
        f"Error: {alert.internal_id} cannot become active: it is resolved, and only its source opens it again.\n"
    )


def test_a_past_episode_names_the_one_of_now(terminal: Terminal) -> None:
    first = ingest(terminal, event())
    ingest(terminal, event(status=EventStatus.RESOLVED, at=NOW + timedelta(minutes=5)))
    again = ingest(terminal, event(starts_at=NOW + timedelta(hours=1), at=NOW + timedelta(hours=1)))

    for words in (("ack", first.internal_id), ("note", first.internal_id, "x"), ("ticket", first.internal_id)):
        answer = terminal.run(*words)
        assert answer.exit_code == 1
        assert f"{first.internal_id} is over. The alert is {again.internal_id} now." in answer.stderr


def test_a_note_stands_on_the_timeline_and_is_sent(terminal: Terminal) -> None:
    alert = ingest(terminal, event())

    assert terminal.run("note", alert.internal_id, "we fail over by hand").exit_code == 0

    last = terminal.services.store.timeline(alert.key)[-1]
    assert (last.note, last.actor) == ("we fail over by hand", getpass.getuser())
    assert "note" in {each.verb.value for each in terminal.services.store.waiting_deliveries()}
    assert terminal.run("note", alert.internal_id, "  ").exit_code == 2


def test_a_ticket_is_asked_for_once_however_often(terminal: Terminal) -> None:
    alert = ingest(terminal, event())

    answers = [terminal.run("ticket", alert.internal_id).stdout for _ in range(2)]

    assert answers[0].startswith(f"A ticket of {alert.internal_id} is being opened in azure_devops.")
    assert f"was asked for already by {getpass.getuser()}" in answers[1]
    opens = [each for each in terminal.services.store.waiting_deliveries() if each.receiver == "azure_devops"]
    assert len(opens) == 1


def test_a_ticket_system_that_is_off_or_unknown_is_said(terminal: Terminal) -> None:
    alert = ingest(terminal, event())

    off = terminal.run("ticket", alert.internal_id, "--in", "redmine")
    unknown = terminal.run("ticket", alert.internal_id, "--in", "chat")

    assert (off.exit_code, unknown.exit_code) == (1, 1)
    assert "redmine is off: REDMINE_URL" in off.stderr
    assert "Name one of azure_devops, redmine" in unknown.stderr


def test_an_alert_is_found_by_any_of_its_names_and_a_wrong_one_gets_near_ones(terminal: Terminal) -> None:
    alert = ingest(terminal, event())
    code = alert.internal_id.rpartition("-")[2]

    for name in (alert.internal_id.lower(), code, f'"{alert.internal_id}"', alert.key, alert.fingerprint):
        assert terminal.run("show", name).stdout.startswith(alert.internal_id), name
    wrong = terminal.run("show", alert.internal_id[:-1] + ("A" if alert.internal_id[-1] != "A" else "B"))
    assert wrong.exit_code == 1
    assert f"Did you mean {alert.internal_id}? ./outage alerts --status all lists them" in wrong.stderr


def test_a_fingerprint_of_several_alerts_names_them(terminal: Terminal) -> None:
    both = [ingest(terminal, event(source=source)) for source in ("github", "retool")]

    answer = terminal.run("ack", both[0].fingerprint)

    assert answer.exit_code == 1
    assert all(alert.internal_id in answer.stderr for alert in both)


def test_alerts_are_listed_and_filtered(terminal: Terminal) -> None:
    outage = ingest(terminal, event(fingerprint="firing"))
    own = event(fingerprint="own", source="shop", kind=Kind.ALERT, severity=Severity.CRITICAL, intake="/alert")
    alert = ingest(terminal, own)
    over = ingest(terminal, event(fingerprint="over"))
    terminal.run("resolve", over.internal_id)

    def listed(*words: str) -> set[str]:
        found = json.loads(terminal.run("alerts", "--json", *words).stdout)["alerts"]
        return {each["id"] for each in found}

    assert listed() == {outage.internal_id, alert.internal_id}
    assert listed("--status", "all") == {outage.internal_id, alert.internal_id, over.internal_id}
    assert listed("--status", "resolved") == {over.internal_id}
    assert listed("--severity", "CRITICAL") == listed("--kind", "alert") == listed("--source", "shop")
    assert listed("--source", "shop") == {alert.internal_id}
    assert listed("--source", "nobody") == set()
    lines = terminal.run("alerts", "--limit", "1").stdout.splitlines()
    assert (lines[0].split()[0], len(lines), lines[-1]) == ("ID", 3, "the newest 1; --limit shows more")
    assert terminal.run("alerts", "--status", "acknowledged").stdout.startswith("no acknowledged alerts")


def test_a_table_is_as_wide_as_the_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(terminal, event(title="数据库" * 60))

    monkeypatch.setenv("COLUMNS", "80")
    cut = terminal.run("alerts").stdout.splitlines()
    monkeypatch.delenv("COLUMNS")
    whole = terminal.run("alerts").stdout

    assert cut[1].endswith("…")
    assert sum(2 if char > "ÿ" and char != "…" else 1 for char in cut[1]) <= 80
    assert "数据库" * 60 in whole


def test_what_strangers_write_does_not_command_the_terminal(terminal: Terminal) -> None:
    alert = ingest(terminal, event(title="a\x1b[2Jb\nc", description="d\x1b]0;x\x07", labels={"l": "\x1b[31m"}))
    terminal.run("note", alert.internal_id, "n\x1b[1A")

    for words in (("alerts",), ("show", alert.internal_id), ("ack", alert.internal_id)):
        answer = terminal.run(*words)
        assert answer.exit_code == 0
        assert not {char for char in answer.stdout if char < " "} - {"\n"}, words


def test_show_tells_who_was_told_who_waits_what_failed_and_what_is_withheld(terminal: Terminal) -> None:
    alert = ingest(terminal, event())
    terminal.run("ticket", alert.internal_id)
    store = terminal.services.store
    until = datetime.now(UTC) + timedelta(minutes=1)
    (claimed,) = store.claim("azure_devops", limit=1, owner="me", now=until, until=until)
    store.settle(claimed.delivery, Failed(reason="refused (token=abcdefghijkl)"), until)

    shown = terminal.run("show", alert.internal_id).stdout
    found = json.loads(terminal.run("show", alert.internal_id, "--json").stdout)

    states = {each["receiver"]: each for each in found["deliveries"] if each["verb"] == "open"}
    assert {name: each["state"] for name, each in states.items()} == {
        "chat": "waiting",
        "azure_devops": "failed",
        "redmine": "withheld",
    }
    assert states["azure_devops"]["id"] == claimed.delivery.id
    assert f"./outage failed --retry {claimed.delivery.id}" in shown
    rows = [row.split() for row in shown.splitlines()]
    assert ["Azure", "DevOps", "open", "failed"] in [row[:4] for row in rows]
    assert ["Redmine", "open", "withheld"] in [row[:3] for row in rows]
    assert states["redmine"]["why"].startswith("off: REDMINE_URL")
    assert "abcdefghijkl" not in shown
    assert "receiver added: azure_devops" in shown
    assert found["timeline"][0]["why"] == "opened"


def test_status_counts_what_is_open_waits_and_failed(terminal: Terminal) -> None:
    ingest(terminal, event(severity=Severity.CRITICAL))
    ingest(terminal, replace(event(), fingerprint="test", test=True))

    answer = terminal.run("status")
    facts = json.loads(terminal.run("status", "--json").stdout)

    assert "not running. Start it: ./outage start" in answer.stdout
    assert "open:       1 critical" in answer.stdout
    assert (facts["open"]["critical"], facts["failed"], facts["running"], facts["answers"]) == (1, 0, False, False)
    assert {each["name"]: each["failed"] for each in facts["receivers"]} == {
        "chat": 0,
        "azure_devops": 0,
        "redmine": 0,
    }


def test_a_store_that_cannot_be_used_is_a_sentence_with_the_next_step(terminal: Terminal) -> None:
    terminal.database.mkdir()

    for words in (("status",), ("alerts",), ("show", "x"), ("ack", "x"), ("failed",), ("quarantine",)):
        answer = terminal.run(*words)
        assert answer.exit_code == 1
        assert answer.stderr.startswith("Error: the store cannot be used, so nothing was done: "), words
        assert "./outage doctor" in answer.stderr


def test_show_says_that_no_rule_matched(tmp_path: Path) -> None:
    rules = [{"name": "outages", "match": ['kind="outage"'], "send": ["chat"]}]
    terminal = Terminal(tmp_path, {**CONFIG, "rules": rules}, **ADO)
    lost = ingest(terminal, event(kind=Kind.ALERT, fingerprint="lost"))
    told = ingest(terminal, event())

    assert "no rule matched" in terminal.run("show", lost.internal_id).stdout
    assert json.loads(terminal.run("show", lost.internal_id, "--json").stdout)["unrouted"] is True
    assert "no rule matched" not in terminal.run("show", told.internal_id).stdout
    terminal.run("ticket", lost.internal_id)
    assert "no rule matched" not in terminal.run("show", lost.internal_id).stdout


def test_a_filter_acts_on_all_that_match_after_a_preview_and_within_a_limit(terminal: Terminal) -> None:
    found = [ingest(terminal, event(fingerprint=name, severity=Severity.CRITICAL)) for name in ("a", "b")]
    other = ingest(terminal, event(fingerprint="c", severity=Severity.WARNING))
    named = ("ack", "--filter", 'severity="critical"')

    shown = terminal.run(*named, "--preview")
    assert "2 would be changed" in shown.output
    assert all(alert.internal_id in shown.output for alert in found)
    refused = terminal.run(*named, "--limit", "1")
    assert (refused.exit_code, "would change 2 alerts" in refused.output) == (1, True)
    assert {now_of(terminal, alert).status for alert in found} == {Status.FIRING}

    done = terminal.run(*named, "--note", "on it")
    assert "2 changed" in done.output
    assert {now_of(terminal, alert).owner for alert in found} == {getpass.getuser()}
    assert now_of(terminal, other).status is Status.FIRING
    assert "0 changed" in terminal.run(*named).output


@pytest.mark.parametrize("words", [(), ("A-1", "--filter", 'source="x"'), ("A-1", "--preview")])
def test_an_act_names_one_alert_or_a_filter(terminal: Terminal, words: tuple[str, ...]) -> None:
    answer = terminal.run("resolve", *words)

    assert answer.exit_code == 2
    assert "filter" in answer.output


def test_why_shows_the_verdict_with_its_reasons_the_strongest_first(tmp_path: Path) -> None:
    config = CONFIG | {"checkers": {"stripe": {"kind": "statuspage", "url": "https://www.stripestatus.com"}}}
    terminal = Terminal(tmp_path, config, **ADO)
    ingest(terminal, event(source="stripe", fingerprint="o", title="API errors"))
    words = {"title": "Payments fail", "description": "api.stripe.com: HTTP 503"}
    ours = ingest(terminal, event(source="alertmanager", fingerprint="a", kind=Kind.ALERT, **words))

    lines = terminal.run("why", ours.internal_id).output.splitlines()

    assert lines[0] == f"{ours.internal_id} · Payments fail"
    assert lines[1].startswith("Likely Stripe: API errors")
    assert lines[4].split(maxsplit=1) == ["+2.2", "The alert names api.stripe.com, which belongs to Stripe"]
    assert json.loads(terminal.run("why", ours.internal_id, "--json").stdout)["answer"] == "vendor"


def test_depends_suggest_proposes_what_alerts_named_and_applies_nothing(tmp_path: Path) -> None:
    checkers = {name: {"kind": "statuspage", "url": f"https://{name}.example.com"} for name in ("stripe", "github")}
    declared = [{"match": ['service="ci"'], "on": ["github"]}]
    terminal = Terminal(tmp_path, CONFIG | {"checkers": checkers, "depends": declared}, **ADO)
    told = [("shop", "api.stripe.com"), ("shop", "api.stripe.com"), ("ci", "github.com"), ("ci", "github.com")]
    told += [("cart", "api.stripe.com"), ("", "api.stripe.com"), ("shop", "nothing")]
    for number, (service, host) in enumerate(told):
        labels = {"service": service} if service else {}
        alert = event(source="a", fingerprint=str(number), kind=Kind.ALERT, description=host, labels=labels)
        ingest(terminal, alert)
    before = terminal.file.read_text()

    shown = terminal.run("depends", "suggest").output

    assert ["shop", "stripe", "2", "api.stripe.com"] in [line.split() for line in shown.splitlines()], shown
    assert '{"match": ["service=\\"shop\\""], "on": ["stripe"]}' in shown
    assert "1 more alerts name a vendor" in shown
    assert "ci" not in shown.split()
    proposed = json.loads(terminal.run("depends", "suggest", "--json").stdout)
    assert proposed == [{"match": ['service="shop"'], "on": ["stripe"]}]
    assert terminal.file.read_text() == before


def test_depends_suggest_says_where_there_is_nothing_to_propose(terminal: Terminal) -> None:
    assert terminal.services.store.open_alerts() == []

    assert terminal.run("depends", "suggest").output.startswith("Nothing to propose: of 0 alerts")
