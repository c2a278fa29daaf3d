"""What is special about Opsgenie and JSM Operations: requests done later, three addresses, alerts born there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from service_event_checker import plugins
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Link, Remote
from service_event_checker.core.ports import Inbound, Reconcilable
from service_event_checker.core.vocabulary import EventStatus, Severity, Status, Verb
from service_event_checker.destinations.opsgenie.adapter import Config
from tests.destinations.deliver import deliver
from tests.destinations.opsgenie.double import KEY, OpsAlert, Opsgenie
from tests.doubles.base import Fault
from tests.factories import alert, delivery

MARK = "platform-outage-checker"
APIS = ["opsgenie", "jsm"]


@pytest.fixture
def pager() -> Iterator[Opsgenie]:
    with Opsgenie() as running:
        yield running


def adapter(pager: Opsgenie, api: str = "opsgenie", **changes: Any) -> Any:
    urls = {"opsgenie": pager.url, "jsm-integration": pager.integration_url, "jsm": pager.rest_url}
    settings = {"url": urls[api], "token": KEY, "timeout": 5, "email": pager.email if api == "jsm" else ""}
    return plugins.make_destination("opsgenie", Config(**{**settings, **changes}))


def told(
    pager: Opsgenie, alert: Alert, verb: Verb = Verb.OPEN, link: Link | None = None, api: str = "opsgenie", **more: Any
) -> Link:
    """Deliver once and return the link."""
    settings = {name: more.pop(name) for name in list(more) if name in Config.model_fields}
    made: Link | None = deliver(
        adapter(pager, api, **settings), delivery(alert, verb, receiver="opsgenie", **more), alert, link
    )
    assert made
    return made


def only(pager: Opsgenie) -> OpsAlert:
    (found,) = pager.alerts.values()
    return found


def actions(pager: Opsgenie) -> list[str]:
    return [json.loads(body)["action"] for _, body in pager.webhooks]


def test_an_alert_says_what_a_person_needs(pager):
    outage = alert(severity=Severity.CRITICAL)
    link = told(pager, outage, site="https://acme.app.opsgenie.com")

    made = only(pager)
    assert (made.message, made.priority) == ("GitHub: Disruption with some GitHub services", "P1")
    assert made.alias == f"poc-{remote_key(outage.key, 1)}"
    assert set(made.tags) == {MARK, made.alias, f"poc-{outage.key}"}
    assert made.details["component"] == "Actions"
    assert made.source == MARK
    for text in ("GitHub", "Firing", outage.description, outage.internal_id, outage.url):
        assert text in made.description
    assert (link.external_id, link.url) == (made.id, f"https://acme.app.opsgenie.com/alert/detail/{made.id}/details")


def test_the_properties_of_an_alert_are_named_as_each_address_names_them(pager):
    told(pager, alert(), api="jsm", responders=[{"type": "team", "id": "t-1"}])

    assert only(pager).details["component"] == "Actions"
    assert only(pager).responders == [{"type": "team", "id": "t-1"}]
    assert pager.refused == []


def test_the_alias_of_an_open_alert_makes_no_second_one(pager):
    first = told(pager, alert())
    second = told(pager, alert())  # without a search before it

    assert first.external_id == second.external_id
    assert only(pager).count == 2


@pytest.mark.parametrize("api", APIS)
def test_a_write_waits_until_it_is_known_what_became_of_it(pager, api):
    pager.pending_looks = 3

    link = told(pager, alert(), api=api)

    assert link.external_id == only(pager).id
    assert sum("/requests/" in request.path for request in pager.requests) == 4


def test_a_write_of_which_nobody_tells_in_time_may_have_worked(pager):
    pager.pending_looks = 1000

    with pytest.raises(DeliveryError) as raised:
        told(pager, alert(), timeout=0.3)

    assert (raised.value.reason, raised.value.permanent) == (Reason.TIMEOUT, False)
    assert raised.value.reason.ambiguous


def test_what_comes_late_is_found_when_it_has_come(pager):
    pager.processing_seconds = 60.0
    with pytest.raises(DeliveryError):
        told(pager, alert(), timeout=0.3)
    key = remote_key(alert().key, 1)
    before = adapter(pager).find(key)
    now = pager.clock()

    pager.clock = lambda: now + 61

    after = adapter(pager).find(key)
    assert before is None
    assert after
    assert after.external_id == only(pager).id


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.RESET, Fault.GARBAGE])
def test_one_fault_while_asking_what_became_of_a_write_is_asked_again(pager, fault):
    pager.script.extend([None, fault])

    assert told(pager, alert()).external_id == only(pager).id


@pytest.mark.parametrize("fault", [Fault.RATE_LIMIT, Fault.ERROR, Fault.RESET, Fault.GARBAGE])
def test_a_fault_while_asking_what_became_of_a_write_never_proves_that_it_did_not_happen(pager, fault):
    pager.script.extend([None, *[fault] * 100])

    with pytest.raises(DeliveryError) as raised:
        told(pager, alert(), timeout=0.3)

    assert raised.value.reason.ambiguous
    assert len(pager.alerts) == 1


def test_a_limit_is_waited_for_as_long_as_its_period_lasts(pager):
    """Opsgenie sends no Retry-After: https://docs.opsgenie.com/docs/api-rate-limiting."""
    pager.retry_after, pager.limits = "", {"X-RateLimit-State": "THROTTLED", "X-RateLimit-Period-In-Sec": "60"}
    pager.script.append(Fault.RATE_LIMIT)

    with pytest.raises(DeliveryError) as raised:
        told(pager, alert())

    assert (raised.value.reason, raised.value.retry_after) == (Reason.RATE_LIMITED, 60)


def test_a_write_that_failed_later_is_given_up_with_their_words(pager):
    pager.fail_next.append("Alert cannot be created due to a policy")

    with pytest.raises(DeliveryError, match="due to a policy") as raised:
        told(pager, alert())

    assert (raised.value.reason, raised.value.permanent) == (Reason.REFUSED, True)


def test_an_action_that_failed_as_somebody_was_faster_is_only_noted(pager):
    link = told(pager, alert())
    pager.meanwhile.append(lambda: pager.person_acknowledges(link.external_id))
    pager.fail_next.append("Alert is already acknowledged")

    told(pager, alert(), Verb.ACK, link, actor="bob")

    assert only(pager).acknowledged_by == "alice@example.com"
    assert ["Acknowledged by bob" in note.text for note in only(pager).notes] == [True]


def test_an_action_that_failed_and_was_nobody_elses_either_is_given_up(pager):
    link = told(pager, alert())
    pager.fail_next.append("Not allowed by a policy")

    with pytest.raises(DeliveryError, match="by a policy") as raised:
        told(pager, alert(), Verb.ACK, link, actor="bob")

    assert raised.value.permanent
    assert not only(pager).acknowledged


def test_an_alert_that_is_gone_when_its_request_is_done_is_not_found(pager):
    link = told(pager, alert())
    pager.meanwhile.append(lambda: pager.person_deletes(link.external_id))

    with pytest.raises(DeliveryError) as raised:
        told(pager, alert(), Verb.NOTE, link, note="a word")

    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_FOUND, True)


def test_a_plan_that_does_not_include_it_waits_for_a_person(pager):
    pager.suspended = True

    with pytest.raises(DeliveryError, match="is suspended") as raised:
        told(pager, alert())

    assert (raised.value.reason, raised.value.permanent) == (Reason.FORBIDDEN, False)


def test_a_key_that_may_not_do_it_waits_for_a_person(pager):
    pager.readable = False

    with pytest.raises(DeliveryError, match="the key may not do this") as raised:
        adapter(pager).find(remote_key(alert().key, 1))

    assert (raised.value.reason, raised.value.permanent) == (Reason.FORBIDDEN, False)


@pytest.mark.parametrize("api", APIS)
def test_both_sides_of_an_acknowledgement(pager, api):
    link = told(pager, alert(), api=api)

    told(pager, alert(), Verb.ACK, link, api, actor="alice")
    acknowledged = only(pager).acknowledged
    told(pager, alert(revision=2), Verb.UNACK, link, api, actor="bob")

    assert (acknowledged, only(pager).acknowledged) == (True, False)
    assert ["Acknowledged by alice" in only(pager).notes[0].text, "by bob" in only(pager).notes[1].text] == [True, True]
    assert len(only(pager).notes) == 2
    assert pager.refused == []


@pytest.mark.parametrize("api", APIS)
def test_an_acknowledgement_that_is_there_already_is_noted_and_stays_the_persons(pager, api):
    link = told(pager, alert(), api=api)
    pager.person_acknowledges(link.external_id)

    told(pager, alert(), Verb.ACK, link, api, actor="bob")

    assert only(pager).acknowledged_by == "alice@example.com"
    assert "Acknowledged by bob" in only(pager).notes[-1].text


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("verb", [Verb.ACK, Verb.UNACK, Verb.CLOSE, Verb.NOTE, Verb.UPDATE])
def test_nothing_wakes_an_alert_that_a_person_closed(pager, api, verb):
    link = told(pager, alert(), api=api)
    pager.person_closes(link.external_id)

    told(pager, alert(), verb, link, api, actor="bob", note="a word")

    assert not only(pager).open
    assert not only(pager).acknowledged
    assert len(only(pager).notes) == 1


def test_a_note_is_looked_for_on_all_pages_before_it_is_written_again(pager):
    link = told(pager, alert())
    told(pager, alert(), Verb.NOTE, link, actor="bob", note="first")
    pager.page_max = 2
    for number in range(7):
        pager.person_notes(link.external_id, f"note {number}")

    told(pager, alert(), Verb.NOTE, link, actor="bob", note="first")

    assert sum("first" in note.text for note in only(pager).notes) == 1


def test_an_update_tells_the_state_in_a_note(pager):
    link = told(pager, alert())

    told(pager, alert(severity=Severity.CRITICAL, description="now everywhere"), Verb.UPDATE, link)

    assert "Critical · GitHub" in only(pager).notes[-1].text
    assert "now everywhere" in only(pager).notes[-1].text


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("was", "severity", "priority"),
    [("P3", Severity.CRITICAL, "P1"), ("P1", Severity.WARNING, "P1"), ("P3", Severity.WARNING, "P3")],
)
def test_an_update_raises_the_priority_and_never_lowers_it(pager, api, was, severity, priority):
    link = told(pager, alert(), api=api)
    only(pager).priority = was

    for _ in range(2):
        told(pager, alert(severity=severity), Verb.UPDATE, link, api)

    assert (only(pager).priority, len(only(pager).notes)) == (priority, 1)
    assert sum(request.path.endswith("/priority") for request in pager.requests) == (was != priority)
    assert pager.refused == []


def test_the_priority_of_what_was_born_there_or_is_over_is_left_alone(pager):
    born = pager.create("Disk full")
    ours = told(pager, alert(severity=Severity.WARNING))
    pager.person_closes(ours.external_id)

    for id in (born.id, ours.external_id):
        told(pager, alert(severity=Severity.CRITICAL), Verb.UPDATE, replace(ours, external_id=id))

    assert {each.priority for each in pager.alerts.values()} == {"P3"}


@pytest.mark.parametrize(
    ("on_resolve", "open", "notes"), [("close", False, 1), ("comment", True, 1), ("none", True, 0)]
)
def test_the_end_is_told_as_configured(pager, on_resolve, open, notes):
    link = told(pager, alert())

    ended = told(pager, alert(status=Status.RESOLVED), Verb.CLOSE, link, on_resolve=on_resolve)

    assert (only(pager).open, len(only(pager).notes), ended.closed) == (open, notes, on_resolve == "close")


def test_a_closed_alert_is_not_opened_again_but_a_new_one_names_it(pager):
    first = told(pager, alert(), site="https://acme.app.opsgenie.com")
    pager.person_closes(first.external_id)
    again = alert(episode=2)

    second = told(pager, again, link=replace(first, episode=2))
    repeated = told(pager, again, link=replace(first, episode=2))

    assert second.external_id == repeated.external_id != first.external_id
    assert second.previous == first.url
    assert first.url in pager.alerts[second.external_id].description
    assert len(pager.alerts) == 2


@pytest.mark.parametrize("api", APIS)
def test_a_closed_alert_is_found_by_its_tag(pager, api):
    link = told(pager, alert(), api=api)
    pager.person_closes(link.external_id)

    found = adapter(pager, api).find(remote_key(alert().key, 1))

    assert found
    assert found.external_id == link.external_id


@pytest.mark.parametrize("api", APIS)
def test_an_open_alert_is_found_before_the_search_knows_it(pager, api):
    pager.search_lag = 60
    link = told(pager, alert(), api=api)

    found = adapter(pager, api).find(remote_key(alert().key, 1))

    assert found
    assert (found.external_id, found.url) == (link.external_id, link.url)


@pytest.mark.parametrize("api", APIS)
def test_all_open_alerts_are_listed_with_who_took_them(pager, api):
    link = told(pager, alert(), api=api)
    born = pager.create("Disk full", priority="P2", tags=["web"])
    pager.person_closes(pager.create("Over").id)
    pager.person_acknowledges(born.id, "carol@example.com")

    ours, theirs = adapter(pager, api).open_objects()

    assert (ours.external_id, ours.remote_key) == (link.external_id, link.remote_key)
    assert (ours.status, ours.event) == (Status.FIRING, None)
    assert (theirs.external_id, theirs.remote_key) == (born.id, "")
    assert (theirs.status, theirs.actor) == (Status.ACKNOWLEDGED, "carol@example.com")
    for at, truth in ((theirs.created_at, born.created_at), (theirs.at, born.acknowledged_at)):
        assert abs(at - datetime.fromtimestamp(truth, UTC)) < timedelta(milliseconds=5)


def test_an_alert_born_there_brings_the_event_of_its_lost_webhook(pager):
    pager.create("Disk full", priority="P2", tags=["web", "db"])
    pinned = adapter(pager)
    ((headers, body),) = pager.webhooks
    (heard,) = pinned.parse(headers, json.loads(body))

    (listed,) = pinned.open_objects()

    assert listed.event
    assert (listed.event.source, listed.event.fingerprint) == ("opsgenie", only(pager).id)
    told_of = (heard.key, heard.title, heard.severity, heard.starts_at, heard.labels["tag"])
    assert told_of == (
        listed.event.key,
        listed.event.title,
        listed.event.severity,
        listed.event.starts_at,
        listed.event.labels["tag"],
    )


def test_more_alerts_than_a_page_holds_are_all_listed(pager):
    for number in range(250):
        pager.create(f"Alert {number}")

    assert {remote.external_id for remote in adapter(pager).open_objects()} == pager.alerts.keys()


def test_a_list_that_cannot_be_read_is_no_empty_one(pager):
    pager.create("Disk full")
    pager.script.append(Fault.ERROR)

    with pytest.raises(DeliveryError):
        adapter(pager).open_objects()


def test_a_query_narrows_what_is_mirrored_and_never_what_is_ours(pager):
    told(pager, alert())
    pager.create("Theirs", teams=["db"])
    mine = pager.create("Mine", teams=["web"])

    listed = adapter(pager, query="teams: web OR teams: shop").open_objects()

    assert [remote.external_id for remote in listed if remote.event] == [mine.id]
    assert len(listed) == 2


@pytest.mark.parametrize("api", APIS)
def test_peoples_notes_are_listed_and_ours_are_not(pager, api):
    link = told(pager, alert(), api=api)
    told(pager, alert(), Verb.NOTE, link, api, actor="bob", note="from elsewhere")
    pager.person_notes(link.external_id, "looking")
    pager.person_notes(link.external_id, "found it")

    (remote,) = adapter(pager, api).open_objects()

    assert [note.text for note in remote.notes] == ["looking", "found it"]
    assert remote.notes[0].actor == "alice@example.com"


def test_a_note_has_one_id_however_we_hear_of_it(pager):
    born = pager.create("Disk full")
    pager.person_notes(born.id, "looking")
    pinned = adapter(pager)

    (heard,) = pinned.parse({}, json.loads(pager.webhooks[-1][1]))
    (remote,) = pinned.open_objects()

    assert heard.note_id == remote.notes[0].id != ""


def test_an_acknowledgement_taken_back_there_is_dated_by_the_last_change(pager):
    born = pager.create("Disk full")
    assert adapter(pager).open_objects()[0].at is None
    pager.person_acknowledges(born.id)
    pager.person_unacknowledges(born.id)

    (remote,) = adapter(pager).open_objects()

    assert remote.status is Status.FIRING
    assert remote.at
    assert abs(remote.at - datetime.fromtimestamp(born.updated_at, UTC)) < timedelta(milliseconds=5)


@pytest.mark.parametrize("api", APIS)
def test_a_look_tells_what_became_of_one_alert(pager, api):
    born = pager.create("Disk full")
    pager.person_closes(born.id, "carol@example.com")

    seen = adapter(pager, api).get_remote(born.id)

    assert seen
    assert seen.status is Status.RESOLVED
    assert api == "jsm" or seen.actor == "carol@example.com"
    assert adapter(pager, api).get_remote("052652ac-gone") is None
    pager.script.append(Fault.ERROR)
    with pytest.raises(DeliveryError):
        adapter(pager, api).get_remote(born.id)


@pytest.mark.parametrize("api", APIS)
def test_an_alert_made_twice_is_closed_with_a_word_on_the_other(pager, api):
    kept, twice = pager.create("One"), pager.create("Two")
    remotes = [Remote(external_id=each.id, remote_key="ab", status=Status.FIRING) for each in (twice, kept)]

    for _ in range(2):
        adapter(pager, api).close_duplicate(*remotes)

    assert (kept.open, twice.open) == (True, False)
    assert [kept.id in note.text for note in twice.notes] == [True]


@pytest.mark.parametrize("verb", [Verb.ACK, Verb.UNACK, Verb.NOTE, Verb.CLOSE])
def test_an_alert_born_there_is_treated_like_our_own(pager, verb):
    born = pager.create("Disk full")
    mirrored = alert(source="opsgenie", fingerprint=born.id)
    home = Link(key=mirrored.key, episode=1, receiver="opsgenie", remote_key="ab12", external_id=born.id)
    born.acknowledged = verb is Verb.UNACK

    told(pager, mirrored, verb, home, actor="Dana (PagerDuty)", note="from PagerDuty")

    assert (born.acknowledged, born.open) == (verb is Verb.ACK, verb is not Verb.CLOSE)
    assert "from PagerDuty" in born.notes[-1].text
    assert pager.refused == []


def test_the_integration_api_writes_by_alias_and_says_what_it_cannot_do(pager):
    link = told(pager, alert(), api="jsm-integration")
    told(pager, alert(), Verb.ACK, link, "jsm-integration", actor="alice")
    told(pager, alert(revision=2), Verb.NOTE, link, "jsm-integration", note="a word")
    acknowledged = only(pager).acknowledged
    told(pager, alert(revision=3), Verb.CLOSE, link, "jsm-integration")

    assert link.external_id == only(pager).alias
    assert (acknowledged, only(pager).open, len(only(pager).notes)) == (True, False, 3)
    assert pager.refused == []
    pinned = adapter(pager, "jsm-integration")
    assert Verb.UNACK not in pinned.verbs
    assert any("api: jsm" in warning for warning in pinned.preflight())
    with pytest.raises(DeliveryError, match="cannot unack") as raised:
        told(pager, alert(), Verb.UNACK, link, "jsm-integration")
    assert raised.value.permanent


def test_what_cannot_list_its_alerts_is_no_part_of_a_reconciliation(pager):
    pinned = adapter(pager, "jsm-integration")

    assert not isinstance(pinned, Reconcilable)
    assert isinstance(pinned, Inbound)
    assert any("left out of every reconciliation" in warning for warning in pinned.preflight())
    assert all(isinstance(adapter(pager, api), Reconcilable) for api in APIS)


def test_a_priority_that_is_refused_keeps_no_update_back(pager):
    link = told(pager, alert(severity=Severity.WARNING))
    told(pager, alert(severity=Severity.CRITICAL), Verb.UPDATE, link)
    only(pager).priority = "P3"
    pager.fail_next.append("You may not do that")

    told(pager, alert(severity=Severity.CRITICAL), Verb.UPDATE, link)  # its note is there

    assert not pager.fail_next
    assert (only(pager).priority, len(only(pager).notes)) == ("P3", 1)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("age", "is_found"), [(timedelta(minutes=50), True), (timedelta(minutes=70), False)])
def test_an_old_alert_that_is_closed_is_not_taken_for_the_one_to_be_made(pager, api, age, is_found):
    link = told(pager, alert(), api=api)
    pager.person_closes(link.external_id)
    pager.alerts[link.external_id].created_at -= age.total_seconds()

    found = adapter(pager, api).find(remote_key(alert().key, 1))

    assert (found is not None) is is_found


@pytest.mark.parametrize("api", APIS)
def test_an_old_alert_that_is_open_under_another_alias_is_found_by_its_tag(pager, api):
    link = told(pager, alert(), api=api)
    made = pager.alerts[link.external_id]
    made.alias, made.created_at = "renamed", made.created_at - timedelta(days=30).total_seconds()

    found = adapter(pager, api).find(remote_key(alert().key, 1))

    assert found
    assert found.external_id == link.external_id


def test_with_the_integration_api_a_webhook_about_our_alert_finds_it_by_its_alias(pager):
    link = told(pager, alert(), api="jsm-integration")
    pager.person_notes(only(pager).id, "looking")
    born = pager.create("Disk full")
    pager.person_acknowledges(born.id)

    heard = [adapter(pager, "jsm-integration").parse({}, json.loads(body)) for _, body in pager.webhooks]

    assert [event.ref for events in heard for event in events if event.ref] == [
        ("opsgenie", link.external_id),
        ("opsgenie", born.id),
    ]


def test_the_default_address_is_opsgenies_and_the_address_tells_which_api_it_is():
    assert Config(token="k").url == "https://api.opsgenie.com"
    expected = {
        "https://api.eu.opsgenie.com/v2/alerts": ("https://api.eu.opsgenie.com", "opsgenie"),
        "https://api.atlassian.com/jsm/ops/integration/v2/alerts/": (
            "https://api.atlassian.com/jsm/ops/integration",
            "jsm-integration",
        ),
        "https://api.atlassian.com/jsm/ops/api/c-1/v1": ("https://api.atlassian.com/jsm/ops/api/c-1", "jsm"),
    }
    for given, known in expected.items():
        config = Config(token="k", url=given)
        assert (config.url, config.spoken) == known
    assert Config(token="k", url="http://proxy.example", api="jsm").spoken == "jsm"


def test_jsms_rest_api_needs_an_account_and_a_cloud_id():
    assert "cloud id" in Config(token="k", url="https://api.atlassian.com/jsm/ops/api", api="jsm").lacks()
    assert "JIRA_EMAIL" in Config(token="k", url="https://api.atlassian.com/jsm/ops/api/c-1").lacks()
    assert Config(token="k", url="https://api.atlassian.com/jsm/ops/api/c-1", email="a@b.c").lacks() == ""
    assert Config(token="k").lacks() == ""


def test_a_mistake_in_the_config_is_refused():
    for wrong in ({"priorities": {"critical": "P0"}}, {"responders": [{"type": "robot"}]}, {"user": ""}):
        with pytest.raises(ValidationError):
            Config(token="k", **wrong)


@pytest.mark.parametrize(
    ("url", "site", "address"),
    [
        ("https://api.eu.opsgenie.com", "", "https://app.eu.opsgenie.com/alert/detail/a-1/details"),
        ("https://api.opsgenie.com", "https://acme.example/", "https://acme.example/alert/detail/a-1/details"),
        (
            "https://api.atlassian.com/jsm/ops/api/c-1",
            "https://acme.example",
            "https://acme.example/jira/ops/alerts/a-1",
        ),
        ("https://api.atlassian.com/jsm/ops/api/c-1", "", ""),
    ],
)
def test_people_are_sent_to_where_their_alerts_are(url, site, address):
    pinned = plugins.make_destination("opsgenie", Config(token="k", url=url, site=site, email="a@b.c"))

    (born,) = pinned.parse({}, {"action": "Create", "alert": {"alertId": "a-1"}})
    (strange,) = pinned.parse({}, {"action": "Create", "alert": {"alertId": "../x?y"}})

    assert (born.url, strange.url) == (address, "")


def test_what_a_person_should_mend_is_told_at_start(pager):
    assert adapter(pager, integration_id="i-1").preflight() == []
    assert any("OPSGENIE_INTEGRATION_ID" in warning for warning in adapter(pager).preflight())
    assert any("call nobody" in warning for warning in adapter(pager, "jsm").preflight())
    pager.readable = False
    assert any("cannot be read" in warning for warning in adapter(pager).preflight())


@pytest.mark.parametrize("api", [*APIS, "jsm-integration"])
def test_a_dry_run_names_the_priority(pager, api):
    line = adapter(pager, api).dry_run(delivery(alert(), receiver="opsgenie"), alert())

    assert line == "P2 alert: GitHub: Disruption with some GitHub services"
    assert pager.requests == []


@pytest.mark.parametrize("api", [*APIS, "jsm-integration"])
def test_our_own_doings_come_back_and_are_not_news(pager, api):
    link = told(pager, alert(), api=api)
    for number, verb in enumerate((Verb.ACK, Verb.NOTE, Verb.CLOSE), 1):
        told(pager, alert(revision=number), verb, link, api, actor="alice", note="a word")

    heard = [adapter(pager, api).parse(headers, json.loads(body)) for headers, body in pager.webhooks]

    assert {"Create", "Acknowledge", "AddNote", "Close"} == set(actions(pager))
    assert heard == [[]] * len(heard)


def test_a_day_with_a_mirrored_alert_is_heard_in_order(pager):
    born = pager.create("Disk full", username="monitor")
    pager.person_acknowledges(born.id, "carol@example.com")
    pager.person_notes(born.id, "on it", "carol@example.com")
    pager.person_unacknowledges(born.id, "carol@example.com")
    pager.person_closes(born.id, "dave@example.com")

    pinned = adapter(pager)
    heard = [event for headers, body in pager.webhooks for event in pinned.parse(headers, json.loads(body))]

    assert [event.status for event in heard] == [
        EventStatus.FIRING,
        EventStatus.ACKNOWLEDGED,
        EventStatus.NOTED,
        EventStatus.UNACKNOWLEDGED,
        EventStatus.RESOLVED,
    ]
    assert [event.actor for event in heard[1:]] == ["carol@example.com"] * 3 + ["dave@example.com"]
    assert all(event.ref == ("opsgenie", born.id) for event in heard[1:])
    assert all(event.via == "opsgenie" and event.at for event in heard)
    times = [event.at for event in heard]
    assert times == sorted(times)
