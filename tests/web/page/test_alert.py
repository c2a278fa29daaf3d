"""The page of one alert: who was told, when and where; who was not, and why; what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from flask.testing import FlaskClient

from service_event_checker.config.models import CHAT_BUDGET
from service_event_checker.core import storms
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.store import Write
from service_event_checker.engine.services import Services
from tests.factories import event, silence
from tests.web.conftest import CONFIG, MakeApp, give_up
from tests.web.page.test_dashboard import Page

Ingest = Callable[[Event], Alert]


def shown(client: FlaskClient, alert: Alert) -> tuple[Page, str]:
    answer = client.get(f"/alerts/{alert.internal_id}")
    assert answer.status_code == 200, answer.text
    found = Page(answer.text)
    return found, " ".join(found.text.split())


def test_each_receiver_is_answered(services: Services, ingest: Ingest, client: FlaskClient) -> None:
    alert = ingest(event())
    services.outbox.drain("chat")

    page, text = shown(client, alert)

    (told,) = (step for step in services.store.outcomes(alert.key, 1) if step.receiver == "chat")
    assert page.heading.strip() == alert.title
    assert f"chat Told opening {told.at:%Y-%m-%d %H:%M:%S} UTC 1" in text
    assert "Azure DevOps Withheld: off: ADO_ORG_URL, ADO_PROJECT and ADO_PAT are not set opening" in text
    assert "Told: chat, opening" in text


def test_a_failure_and_what_waits_say_why(services: Services, ingest: Ingest, client: FlaskClient) -> None:
    alert = ingest(event())
    assert "chat Waiting opening next " in shown(client, alert)[1]

    give_up(services, "chat", "refused (token=abcdefghijkl)")

    text = shown(client, alert)[1]
    assert "chat Failed: refused (token=" in text
    assert "abcdefghijkl" not in text


def test_a_receiver_that_no_rule_names_is_not_matched(make_app: MakeApp) -> None:
    app = make_app(CONFIG | {"rules": []})
    alert = app.extensions["services"].pipeline.ingest([event()], datetime.now(UTC))[event().key]

    assert "chat Not matched: no rule sends this alert there" in shown(app.test_client(), alert)[1]


def test_a_silence_is_named_with_its_owner_its_end_and_its_reason(
    services: Services, ingest: Ingest, client: FlaskClient
) -> None:
    alert = ingest(event())
    now = datetime.now(UTC)
    services.store.silences.put(
        silence("S-1", 'source="github"', starts_at=now, ends_at=datetime(2999, 1, 1, tzinfo=UTC), reason="<b>slow</b>")
    )

    assert "Silenced by Ada until 2999-01-01 00:00 UTC: <b>slow</b> (S-1)" in shown(client, alert)[1]
    listed = " ".join(Page(client.get("/").text).text.split())
    assert 'source="github" Ada 2999-01-01 00:00 UTC <b>slow</b> S-1 0' in listed


def test_what_its_own_system_mutes_is_shown(services: Services, ingest: Ingest, client: FlaskClient) -> None:
    alert = ingest(event())
    muted = replace(alert, muted="muted in Alertmanager by ada until 2026-11-20 09:00 UTC: upgrade")
    services.store.commit([Write(alert=muted)], datetime.now(UTC))

    assert "Muted in Alertmanager by ada until 2026-11-20 09:00 UTC: upgrade" in shown(client, alert)[1]
    assert "Muted in Alertmanager by ada" in client.get("/").text
    assert client.get(f"/api/v1/alerts/{alert.internal_id}").json["muted"] == muted.muted


def test_what_strangers_wrote_runs_nowhere(ingest: Ingest, client: FlaskClient) -> None:
    alert = ingest(event(title="<script>alert(1)</script>", labels={"a": "<b>"}, url="javascript:alert(1)"))

    page, text = shown(client, alert)

    assert "<script>alert(1)</script>" in text
    assert not [tag for tag, _ in page.tags if tag in ("script", "b>")]
    assert not [link for link in page.links if link.startswith("javascript")]


def test_an_unknown_alert_is_404(client: FlaskClient) -> None:
    assert client.get("/alerts/NOPE-12345").status_code == 404


def test_what_a_storm_has_summarised_says_where_and_the_summary_is_listed(
    services: Services, client: FlaskClient
) -> None:
    now = datetime.now(UTC)
    events = [event(fingerprint=f"a{number}", title=f"a{number}") for number in range(CHAT_BUDGET.messages + 3)]
    services.pipeline.ingest(events, now)
    while services.outbox.drain("chat"):
        continue

    summary = services.store.get([storms.key_of("chat")])[storms.key_of("chat")]
    shown_now = " ".join(Page(client.get("/").text).text.split())
    assert "Storm: 3 alerts in one summary, 0 critical, 3 open" in shown_now
    told = [
        client.get(f"/api/v1/alerts/{each.internal_id}").json["deliveries"][0]
        for each in services.store.get(each.key for each in events).values()
    ]
    assert [each["state"] for each in told].count("summarised") == 3
    covered = next(
        each for each in services.store.get(each.key for each in events).values() if is_covered(client, each)
    )
    assert f"chat Summarised: in the summary {summary.internal_id} opening" in shown(client, covered)[1]
    assert '{"total"' not in client.get(f"/alerts/{summary.internal_id}").text


def is_covered(client: FlaskClient, alert: Alert) -> bool:
    answer = client.get(f"/api/v1/alerts/{alert.internal_id}").json
    return bool(answer["deliveries"][0]["state"] == "summarised")
