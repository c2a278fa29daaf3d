"""What every destination that sends mail promises, by what its server took. Each brings a `<kind>/mail_case.py`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Family, Kind, ResolvedBy, Status, Verb
from service_event_checker.render.mail import compose
from tests.destinations.mail_cases import TO, MailCase
from tests.factories import NOW, alert, delivery

CASES: list[MailCase] = [
    importlib.import_module(f"tests.destinations.{found.parent.name}.mail_case").CASE
    for found in sorted(Path(__file__).parent.glob("*/mail_case.py"))
]
HOSTILE = 'x\r\nBcc: evil@example.com\r\n\r\n<script>alert(1)</script> <b onclick="x"> {{ 7*7 }} & \u2028 \x00'


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> MailCase:
    return request.param


@pytest.fixture
def server(case: MailCase, tmp_path: Path) -> Iterator[Any]:
    with case.server(tmp_path) as running:
        yield running
        assert running.refused == []


@pytest.fixture
def send(case: MailCase, server: Any) -> Any:
    """A function that sends a mail about an alert, and returns the link."""

    def deliver(alert: Alert, verb: Verb = Verb.OPEN, **changes: Any) -> Any:
        return case.adapter(server).deliver(delivery(alert, verb, "mail", **changes), alert, None)

    return deliver


def over(alert: Alert) -> Alert:
    changes = {"ended_at": NOW + timedelta(minutes=42), "resolved_by": ResolvedBy.SOURCE, "revision": 2}
    return replace(alert, status=Status.RESOLVED, **changes)


def test_similar_alerts_are_told_apart_and_the_runbook_is_a_click_away(case, server, send):
    labels = {"alertname": "DiskFull", "instance": "db-1:9100"}
    send(
        alert(
            kind=Kind.ALERT, title="DiskFull", labels=labels, annotations={"runbook_url": "https://runbooks.example/d"}
        )
    )

    (mail,) = case.mails(server)
    assert "DiskFull · db-1:9100" in mail.subject
    assert "Runbook:      https://runbooks.example/d" in mail.text
    assert '<a href="https://runbooks.example/d"' in mail.html


def test_the_end_is_told_in_the_same_thread(case, server, send):
    link = send(alert())
    send(over(alert()), Verb.CLOSE)

    first, last = case.mails(server)
    assert last.subject.startswith("Resolved · GitHub: ")
    assert "Resolved after 42 min, at 2026-11-20 03:42 UTC: reported by the source" in last.text
    assert last.headers["In-Reply-To"] == first.headers["Message-ID"] == link.external_id
    assert first.headers["References"] in last.headers["References"]
    assert first.headers["Message-ID"] != last.headers["Message-ID"]


def test_a_mail_that_is_repeated_is_the_same_mail_and_another_episode_another_thread(case, server, send):
    send(alert())
    send(alert(), attempts=1)
    send(replace(alert(), episode=2))

    first, again, later = (mail.headers for mail in case.mails(server))
    assert first["Message-ID"] == again["Message-ID"]
    assert first["References"] == again["References"] != later["References"]


def test_only_the_opening_and_the_end_are_told_unless_more_is_wanted(case, server):
    assert case.adapter(server).verbs == {Verb.OPEN, Verb.CLOSE}
    assert case.adapter(server, updates=True).verbs == set(Verb) - {Verb.RUN}
    assert case.adapter(server).family is Family.MAIL


def test_two_updates_are_two_mails(case, server, send):
    for revision in (2, 3):
        send(alert(revision=revision), Verb.NOTE, actor="alice", note="looking into it")

    assert len({mail.headers["Message-ID"] for mail in case.mails(server)}) == 2
    assert "Note from alice: looking into it" in case.mails(server)[0].text


def test_an_opening_that_comes_when_it_is_over_tells_the_end(case, server, send):
    send(over(alert()))

    assert "Resolved after 42 min" in case.mails(server)[0].text


def test_a_test_alert_carries_the_word(case, server, send):
    send(alert(test=True))

    (mail,) = case.mails(server)
    assert mail.subject.startswith("[TEST] ")
    assert "TEST · ERROR" in mail.html


def test_a_dry_run_names_subject_and_recipients_and_sends_nothing(case, server):
    said = case.adapter(server).dry_run(delivery(alert()), alert(test=True))

    assert "to 2: [TEST] Error · GitHub: " in said
    assert case.mails(server) == []


def test_what_a_vendor_wrote_is_text_and_nothing_else(case, server, send):
    changes = {"title": HOSTILE, "description": HOSTILE, "owner": HOSTILE, "labels": {"component": HOSTILE}}
    send(alert(**changes), Verb.NOTE, actor=HOSTILE, note=HOSTILE)

    (mail,) = case.mails(server)
    assert mail.to == list(TO)
    assert "<script" not in mail.html
    assert "<b on" not in mail.html
    assert "{{ 7*7 }}" in mail.html


def test_endless_text_is_cut(case, server, send):
    labels = {f"label-{number}": "&" * 2000 for number in range(100)}
    send(alert(title="&<" * 400, description="&<\n" * 20_000, labels=labels, annotations=labels))

    (mail,) = case.mails(server)
    assert len(mail.subject) <= 150
    assert mail.subject.endswith(f"… ({alert().internal_id})")
    assert len(mail.html) < 200_000


def test_nothing_at_all_is_still_told(case, server, send):
    send(alert(title="", description="", url="", labels={}))

    assert "(no title)" in case.mails(server)[0].subject


def test_nobody_there_proves_that_nothing_was_sent(case, server):
    about = alert()

    with pytest.raises(DeliveryError) as raised:
        case.adapter(server, **case.nobody).deliver(delivery(about, receiver="mail"), about, None)

    assert raised.value.reason is Reason.UNREACHABLE


def test_a_mail_of_planned_work_tells_its_plan_and_never_that_it_fires() -> None:
    begins = NOW + timedelta(hours=3)
    work = alert(kind=Kind.MAINTENANCE, started_at=begins, starts_at=begins, ends_at=begins + timedelta(hours=2))

    mail = compose(delivery(work), work, "ops@example.com", NOW)

    assert mail.subject.startswith("Maintenance · GitHub: ")
    for text in (mail.text, mail.html):
        assert "2026-11-20 06:00 to 08:00 UTC" in text
        assert "Firing" not in text
    assert "MAINTENANCE" in mail.html
