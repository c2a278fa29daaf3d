"""The page: the answer in a sentence, what is open, who was told and why others were not; nothing that could run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from flask.testing import FlaskClient

from service_event_checker.core.model import Alert, Event, PlannedWork, Slot
from service_event_checker.core.store import Settled
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind, Severity
from service_event_checker.engine.services import Services
from service_event_checker.web.page.rows import alert_row
from tests.factories import event
from tests.web.conftest import CONFIG, MakeApp, bearer, beat, give_up

Ingest = Callable[[Event], Alert]
HOUR = timedelta(hours=1)
OURS = event(source="alertmanager", fingerprint="own", kind=Kind.ALERT, title="HighErrorRate", intake="/alert")


class Page(HTMLParser):
    """What a browser would make of it: the heading, all text, tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.heading = ""
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.text += data
        self.heading += data if "h1" in self._open else ""

    @property
    def links(self) -> list[str]:
        return [attributes["href"] for _, attributes in self.tags if "href" in attributes]


def page(client: FlaskClient) -> Page:
    answer = client.get("/")
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


@pytest.fixture
def seeing(services: Services) -> None:
    """The engine runs and all pages that are asked could be read just now."""
    now = datetime.now(UTC)
    beat(services)
    for name in ("github", "retool"):
        services.store.put_slot(Slot(name=name, due_at=now + timedelta(seconds=40), last_success_at=now))


@pytest.mark.usefixtures("seeing")
@pytest.mark.parametrize(
    ("events", "heading"),
    [
        ([], "All quiet. No vendor reports an outage; no internal alert is open."),
        ([event()], "It looks like them. GitHub reports an outage; no internal alert is open."),
        (
            [event(), event(fingerprint="2nd"), event(source="retool")],
            "It looks like them. 2 vendors report outages: GitHub, Retool; no internal alert is open.",
        ),
        ([OURS], "It looks like us. No vendor reports an outage; 1 internal alert is open."),
        ([OURS, event()], "Them and us. GitHub reports an outage; 1 internal alert is open."),
        ([event(test=True)], "All quiet. No vendor reports an outage; no internal alert is open."),
        (
            [event(affects_us=Affects.UNKNOWN)],
            "It looks like them. GitHub reports an outage; no internal alert is open.",
        ),
    ],
)
def test_one_sentence_answers_whether_it_is_us_or_them(
    events: list[Event], heading: str, ingest: Ingest, client: FlaskClient
) -> None:
    for seen in events:
        ingest(seen)

    assert " ".join(page(client).heading.split()) == heading


@pytest.mark.usefixtures("seeing")
def test_a_page_that_cannot_be_read_is_a_doubt(services: Services, client: FlaskClient) -> None:
    slot, now = services.store.slots()["retool"], datetime.now(UTC)
    services.store.put_slot(replace(slot, unknown_since=now - timedelta(minutes=7), unknown_reason="timeout"))

    shown = page(client)

    assert "All quiet" in shown.heading
    assert "1 status page cannot be read: Retool." in shown.text
    assert "unknown for 7 min: timeout" in shown.text


@pytest.mark.usefixtures("seeing")
def test_nobody_says_quiet_who_has_not_looked(services: Services, ingest: Ingest, client: FlaskClient) -> None:
    beat(services, timedelta(minutes=3))
    assert "Cannot tell" in page(client).heading
    assert "Nothing has been checked since" in page(client).text

    ingest(event())
    assert "It looks like them" in page(client).heading


def test_before_the_first_poll_nothing_is_claimed(services: Services, client: FlaskClient) -> None:
    beat(services)

    shown = page(client)

    assert "Cannot tell" in shown.heading
    assert "Not checked yet: GitHub, Retool." in shown.text


def test_an_open_alert_is_shown_with_all_that_a_person_on_call_asks(ingest: Ingest, client: FlaskClient) -> None:
    alert = ingest(event(affects_us=Affects.UNKNOWN, starts_at=datetime.now(UTC) - timedelta(minutes=42)))
    client.put(f"/api/v1/alerts/{alert.key}/status", json={"status": "acknowledged"})

    shown = page(client)

    assert alert.url in shown.links
    assert f"/alerts/{alert.internal_id}" in shown.links
    for text in (alert.title, "42 min", "Acknowledged by local", "affects us: unknown", "Waiting: chat"):
        assert text in shown.text
    assert "Withheld: Azure DevOps (off: ADO_ORG_URL, ADO_PROJECT and ADO_PAT are not set)" in shown.text


def test_a_receiver_that_has_the_alert_is_told(services: Services, ingest: Ingest, client: FlaskClient) -> None:
    ingest(event())
    now = datetime.now(UTC)
    (claimed,) = services.store.claim("chat", limit=1, owner="test", now=now, until=now + timedelta(seconds=30))
    services.store.settle(claimed.delivery, Settled(), now)

    text = " ".join(page(client).text.split())

    assert "Told: chat" in text
    assert "Waiting:" not in text


def test_what_was_made_at_a_receiver_is_a_link_even_while_an_update_waits(ingest: Ingest) -> None:
    alert = replace(ingest(event()), links={"chat": "https://chat.example/1"})

    row = alert_row(alert, datetime.now(UTC), pending=frozenset({("chat", alert.key)}))

    assert (row.told, row.waiting) == ((("chat", "https://chat.example/1"),), ())


def test_an_alert_that_is_over_says_when_it_began_and_how_long_it_lasted(ingest: Ingest, client: FlaskClient) -> None:
    began = datetime.now(UTC) - timedelta(minutes=42)
    ingest(event(starts_at=began))
    ingest(event(starts_at=began, status=EventStatus.RESOLVED, at=datetime.now(UTC)))

    text = " ".join(page(client).text.split())

    assert f"Over GitHub {began:%H:%M} UTC, lasted 42 min" in text


def test_the_worst_comes_first_and_tests_last(ingest: Ingest, client: FlaskClient) -> None:
    ingest(event(fingerprint="t", title="T-alert", severity=Severity.CRITICAL, test=True))
    ingest(event(fingerprint="w", title="W-alert", severity=Severity.WARNING))
    ingest(event(fingerprint="m", title="M-alert", severity=Severity.CRITICAL, kind=Kind.MAINTENANCE))
    ingest(event(fingerprint="c", title="C-alert", severity=Severity.CRITICAL))

    text = page(client).text

    assert sorted(("T-alert", "W-alert", "M-alert", "C-alert"), key=text.index) == [
        "C-alert",
        "W-alert",
        "T-alert",
        "M-alert",
    ]


def planned(start: timedelta, length: timedelta, **changes: Any) -> Event:
    begins = datetime.now(UTC) + start
    plan = {"kind": Kind.MAINTENANCE, "severity": Severity.INFO, "starts_at": begins, "ends_at": begins + length}
    return event(fingerprint="m", title="Storage move", **plan | changes)


@pytest.mark.usefixtures("seeing")
def test_planned_work_is_coming_up_and_is_not_open(ingest: Ingest, client: FlaskClient) -> None:
    soon = planned(timedelta(hours=3, minutes=1), HOUR)
    tracked = ingest(soon)

    shown = " ".join(page(client).text.split())

    plan = f"Planned {soon.starts_at:%H:%M} to {soon.ends_at:%H:%M} UTC, in 3 h"
    assert f"Coming up 1 Storage move maintenance GitHub {plan} {tracked.internal_id}" in shown
    assert "Open 0 Nothing is open." in shown
    assert "All quiet" in shown
    assert "firing" not in shown.lower()
    assert "lasted" not in shown
    assert plan in client.get(f"/alerts/{tracked.internal_id}").text


@pytest.mark.usefixtures("seeing")
def test_work_in_progress_says_until_when(ingest: Ingest, client: FlaskClient) -> None:
    begun = planned(-HOUR, 3 * HOUR)
    ingest(begun)

    assert f"In progress until {begun.ends_at:%H:%M} UTC" in page(client).text


def test_planned_work_that_no_rule_tracks_is_shown_as_its_page_lists_it(
    services: Services, client: FlaskClient
) -> None:
    now = datetime.now(UTC)
    work = PlannedWork(fingerprint="m", title="Storage move", starts_at=now + 2 * HOUR, url="javascript:alert(1)")
    services.store.put_slot(Slot(name="github", due_at=now + HOUR, last_success_at=now, planned=(work,)))

    shown = page(client)

    assert f"Planned {work.starts_at:%H:%M} UTC, in 1 h 59 min" in shown.text
    assert not any("javascript" in link for link in shown.links)


def test_tracked_work_is_shown_once_and_resolved_work_not_at_all(
    services: Services, ingest: Ingest, client: FlaskClient
) -> None:
    now = datetime.now(UTC)
    ingest(planned(2 * HOUR, HOUR))
    works = tuple(PlannedWork(fingerprint=name, title=f"Work {name}") for name in ("m", "gone", "other"))
    slot = Slot(name="github", due_at=now, last_success_at=now, planned=works, dismissed={"gone": 0})
    services.store.put_slot(slot)

    text = page(client).text

    assert [text.count(name) for name in ("Storage move", "Work m", "Work gone", "Work other")] == [1, 0, 0, 1]


def test_work_of_a_page_that_cannot_be_read_is_not_overdue(services: Services, client: FlaskClient) -> None:
    now = datetime.now(UTC)
    works = (
        PlannedWork(fingerprint="past", title="Past", starts_at=now - 2 * HOUR, ends_at=now - HOUR),
        PlannedWork(fingerprint="next", title="Next", starts_at=now + HOUR, ends_at=now + 2 * HOUR),
    )
    slot = Slot(name="github", due_at=now, last_success_at=now - HOUR, planned=works, unknown_since=now - HOUR)
    services.store.put_slot(slot)

    text = page(client).text

    assert ("Past" in text, "Next" in text) == (False, True)


def test_work_that_was_called_off_did_not_last_0_s(ingest: Ingest, client: FlaskClient) -> None:
    ingest(planned(2 * HOUR, HOUR))
    ingest(planned(2 * HOUR, HOUR, status=EventStatus.RESOLVED, at=datetime.now(UTC)))

    assert "called off before it began" in page(client).text


SILENCED = {
    "match": ['source="github"'],
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2099-01-01T00:00:00Z",
    "owner": "ada",
    "reason": "known & slow",
}


def test_what_is_silenced_does_not_count_and_says_by_whom_and_until_when(make_app: MakeApp) -> None:
    app = make_app(CONFIG | {"silences": [SILENCED]})
    here: Services = app.extensions["services"]
    beat(here)
    now = datetime.now(UTC)
    for name in ("github", "retool"):
        here.store.put_slot(Slot(name=name, due_at=now + HOUR, last_success_at=now))
    here.pipeline.ingest([event(severity=Severity.CRITICAL), event(source="retool", severity=Severity.WARNING)], now)

    shown = page(app.test_client())

    assert "Retool reports an outage" in shown.heading
    assert "GitHub" not in shown.heading
    assert "Not counted: 1 silenced alert." in shown.text
    assert "Silenced by ada until 2099-01-01 00:00 UTC: known & slow" in shown.text
    assert shown.text.index("Retool") < shown.text.index("Silenced by ada")


def test_a_failed_delivery_is_shown_with_the_command_that_sends_it_again(
    services: Services, ingest: Ingest, client: FlaskClient
) -> None:
    ingest(event())
    failed = give_up(services, "chat", "unauthorized (invalid_auth)")

    text = page(client).text

    assert f"./outage failed --retry {failed}" in text
    assert "Disruption with some GitHub services failed, made 0 s ago" in " ".join(text.split())
    assert "Failed: chat (unauthorized (invalid_auth))" in text


ATTACKS = [
    "<script>alert(1)</script>",
    "</title></h1><img src=x onerror=alert(1)>",
    "\"' onmouseover=alert(1) x='",
    "{{ 7 * 7 }}{% raw %}",
    "<svg/onload=alert(1)>",
    "&lt;script&gt;",
    "\u202egnp.exe <!--",
    "]]><a href=javascript:alert(1)>x</a>",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_sender_writes_is_text_and_nothing_else(attack: str, ingest: Ingest, client: FlaskClient) -> None:
    before = [tag for tag, _ in page(client).tags]
    hostile = {
        "title": attack,
        "description": attack,
        "url": f"javascript:{attack}",
        "labels": {attack: attack},
        "annotations": {attack: attack},
    }
    alert = ingest(event(source=f"rest:{attack}", kind=Kind.ALERT, **hostile))
    body = {"status": "acknowledged", "resolution_note": attack}
    client.put(f"/api/v1/alerts/{alert.internal_id}/status", json=body)

    shown = page(client)

    assert attack.replace("\u202e", "") in " ".join(shown.text.split()) or "  " in attack
    assert {tag for tag, _ in shown.tags} - set(before) <= {"article", "h3"} | {"a", "b"}
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]
    assert not [link for link in shown.links if not link.startswith(("/", "?", "https://", "http://"))]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "vbscript:x", 'https://x/" onclick="y', " "]
)
def test_only_web_addresses_are_links(url: str, ingest: Ingest, client: FlaskClient) -> None:
    before = page(client).links
    alert = ingest(event(url=url))

    assert set(page(client).links) - set(before) == {f"/alerts/{alert.internal_id}"}


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing(ingest: Ingest, client: FlaskClient) -> None:
    ingest(event())
    shown = page(client)

    loaded = [attributes["href"] for tag, attributes in shown.tags if tag == "link"]
    assert all(client.get(address).status_code == 200 for address in loaded)
    assert not {"script", "iframe", "img", "object", "form"} & {tag for tag, _ in shown.tags}
    assert not [attributes for _, attributes in shown.tags if "style" in attributes]
    assert ("meta", {"http-equiv": "refresh", "content": "30"}) in shown.tags
    assert 'http-equiv="refresh"' not in client.get("/?refresh=off").text


def test_no_secret_is_on_any_page(make_app: MakeApp, services: Services) -> None:
    canaries = {
        "API_TOKENS": "ops:admin:canary-api-token",
        "WEBHOOK_TOKEN": "canary-webhook-token",
        "SLACK_BOT_TOKEN": "xoxb-canary-slack-token",
        "ADO_PAT": "canary-ado-pat",
        "SECRET_KEY": "canary-secret-key",
        "ADO_ORG_URL": "https://ado.example",
        "ADO_PROJECT": "ops",
    }
    config = {**CONFIG, "destinations": {**CONFIG["destinations"], "slack": {"kind": "slack"}}}
    app = make_app(config=config, **canaries)
    here: Services = app.extensions["services"]
    now = datetime.now(UTC)
    here.pipeline.ingest([event()], now)
    for secret in ("canary-ado-pat", "xoxb-canary-slack-token", "canary-api-token"):
        here.store.put_slot(Slot(name="github", due_at=now, unknown_since=now, unknown_reason=f"said {secret}"))
    give_up(here, "chat", "refused by canary-ado-pat xoxb-canary-slack-token canary-api-token canary-webhook-token")

    answers = [
        app.test_client().open(path, method=method, **request)
        for path in (
            "/",
            "/health",
            "/health/db",
            "/metrics",
            "/api/v1/alerts",
            "/api/v1/dead-letters",
            "/readyz",
            "/x",
        )
        + ("/api/v1/alerts/8zc63m64hy36",)
        for method in ("GET", "POST")
        for request in ({}, bearer("canary-api-token"))
    ]

    assert not [answer for answer in answers if "canary" in answer.text]
