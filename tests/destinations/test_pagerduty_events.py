"""PagerDuty's Events API v2: one alert per episode by its dedup key, within its limits, and safe to repeat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker import wiring
from service_event_checker.config import load
from service_event_checker.config.settings import Settings
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Link
from service_event_checker.core.ports import Findable, Inbound
from service_event_checker.core.vocabulary import Severity, Status, Verb
from service_event_checker.destinations.pagerduty_events import Adapter, Config
from tests.destinations.pagerduty.double import ALICE, ROUTING_KEY, PagerDuty
from tests.doubles.base import Fault
from tests.factories import NOW, alert, delivery


@pytest.fixture
def pager() -> Iterator[PagerDuty]:
    with PagerDuty() as running:
        yield running


def pay(pager: PagerDuty, alert: Alert, verb: Verb = Verb.OPEN, link: Link | None = None, **changes: Any) -> Link:
    settings = {"url": pager.url, "routing_key": pager.routing_key, "timeout": 5}
    by = Adapter("pagerduty_events", Config(**{**settings, **changes}))
    paid = by.deliver(delivery(alert, verb, receiver="pagerduty_events"), alert, link)
    assert paid
    return paid


def the_incident(pager: PagerDuty) -> Any:
    (incident,) = pager.incidents.values()
    return incident


def test_it_can_neither_be_searched_nor_does_it_talk_back():
    adapter = Adapter("pagerduty_events", Config(routing_key=ROUTING_KEY))

    assert not isinstance(adapter, Findable)
    assert not isinstance(adapter, Inbound)
    assert adapter.verbs == {Verb.OPEN, Verb.ACK, Verb.CLOSE}


def test_an_episode_is_triggered_acknowledged_and_resolved_by_one_key(pager):
    statuses = []
    link = pay(pager, alert())
    statuses.append(the_incident(pager).status)
    link = pay(pager, alert(), Verb.ACK, link)
    statuses.append(the_incident(pager).status)
    link = pay(pager, replace(alert(), status=Status.RESOLVED), Verb.CLOSE, link)
    statuses.append(the_incident(pager).status)

    assert statuses == ["triggered", "acknowledged", "resolved"]
    assert the_incident(pager).key == link.external_id == f"poc-{remote_key(alert().key, 1)}"
    assert link.closed
    assert pager.refused == []


def test_an_event_says_what_a_person_needs(pager):
    outage = alert(severity=Severity.CRITICAL, annotations={"runbook": "restart it"})
    pay(pager, outage)

    payload = pager.requests[-1].json()["payload"]
    assert payload["summary"] == "GitHub: Disruption with some GitHub services"
    assert (payload["severity"], payload["source"], payload["component"]) == ("critical", "github", "Actions")
    assert payload["timestamp"] == "2026-11-20T03:00:00+00:00"
    for text in (outage.description, outage.url, outage.internal_id, "restart it"):
        assert text in payload["custom_details"].values()


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.ERROR_AFTER, Fault.GARBAGE_AFTER, Fault.HANG_AFTER])
def test_what_may_have_arrived_is_sent_again_and_is_still_one(pager, fault):
    pager.script.append(fault)
    with pytest.raises(DeliveryError) as raised:
        pay(pager, alert(), timeout=0.4)
    pay(pager, alert())

    assert raised.value.reason.ambiguous
    assert not raised.value.permanent
    assert len(pager.incidents) == 1


def test_the_outbox_repeats_it_for_every_severity_unless_told_otherwise(tmp_path):
    def repeated(**keys: str) -> frozenset[Severity]:
        file = tmp_path / "config.json"
        file.write_text(json.dumps({"destinations": {"pager": {"kind": "pagerduty_events", **keys}}}))
        environ = {
            "CONFIG_FILE": str(file),
            "DATABASE_URL": f"sqlite:///{tmp_path}/a.db",
            "PAGERDUTY_ROUTING_KEY": ROUTING_KEY,
        }
        return wiring.build(Settings.read(environ)).book.receivers["pager"].repeat_ambiguous

    assert repeated() == frozenset(Severity)
    assert repeated(on_ambiguous="drop") == frozenset()


def test_a_late_acknowledgement_opens_nothing_again(pager):
    link = pay(pager, alert())
    pager.person_resolves(link_id := the_incident(pager).id, ALICE)

    pay(pager, alert(), Verb.ACK, link)

    assert (pager.incidents[link_id].status, pager.reopened, len(pager.incidents)) == ("resolved", 0, 1)


def test_an_end_is_sent_though_nobody_knows_whether_it_was_opened(pager):
    pay(pager, alert())

    pay(pager, alert(), Verb.CLOSE, None)

    assert the_incident(pager).status == "resolved"


def test_a_new_episode_has_a_key_of_its_own(pager):
    first = pay(pager, alert())
    key = remote_key(alert().key, 2)
    link = Link(key=alert().key, episode=2, receiver="pagerduty_events", remote_key=key, previous=first.external_id)

    assert pay(pager, alert(episode=2), link=link).external_id != first.external_id
    assert len(pager.incidents) == 2


@pytest.mark.parametrize("how", ["comment", "none"])
def test_an_end_that_is_no_close_sends_nothing(pager, how):
    link = pay(pager, alert())

    pay(pager, alert(), Verb.CLOSE, link, on_resolve=how)

    assert (the_incident(pager).status, len(pager.requests)) == ("triggered", 1)


def test_endless_text_is_cut_to_what_is_taken(pager):
    much = {f"label-{number}": "\u0001é" * 2000 for number in range(100)}
    pay(
        pager,
        alert(
            title="x" * 5000,
            description="é\n" * 20_000,
            labels={**much, "component": "y" * 9000},
            annotations={f"the {n}": v for n, v in much.items()},
        ),
    )

    assert pager.refused == []
    assert len(pager.requests[-1].body) < 512 * 1024
    assert "Severity" in the_incident(pager).details


def test_nothing_at_all_is_still_told(pager):
    pay(pager, alert(title="", description="", url="", labels={}, source="", started_at=NOW - timedelta(days=1)))

    assert pager.refused == []


def test_a_rate_limit_is_waited_for_as_pagerduty_asks(pager):
    pager.script.append(Fault.RATE_LIMIT)
    pager.retry_after = ""

    with pytest.raises(DeliveryError) as raised:
        pay(pager, alert())

    assert (raised.value.reason, raised.value.retry_after) == (Reason.RATE_LIMITED, 30)


def test_a_wrong_routing_key_waits_for_a_person_and_is_named_nowhere(pager):
    pager.echo_credentials = True

    with pytest.raises(DeliveryError) as raised:
        pay(pager, alert(), routing_key="canary0wrong")

    assert (raised.value.reason, raised.value.permanent) == (Reason.UNAUTHORIZED, False)
    assert "canary0" not in repr(raised.value)
    assert "PAGERDUTY_ROUTING_KEY" in str(raised.value)


def test_nobody_there_proves_that_nothing_happened(pager):
    pager.stop()

    with pytest.raises(DeliveryError) as raised:
        pay(pager, alert())

    assert raised.value.reason is Reason.UNREACHABLE


def test_a_rehearsal_sends_nothing(pager):
    adapter = Adapter("pagerduty_events", Config(url=pager.url, routing_key=ROUTING_KEY))

    told = adapter.dry_run(delivery(alert()), alert())

    assert told == "trigger at PagerDuty: GitHub: Disruption with some GitHub services"
    assert pager.requests == []


def test_without_a_routing_key_it_is_off_and_says_so(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"destinations": {"pager": {"kind": "pagerduty_events"}}}')

    (entry,) = wiring.load_config(Settings.read({"CONFIG_FILE": str(file)})).destinations

    assert isinstance(entry, load.Entry)
    assert "PAGERDUTY_ROUTING_KEY" in entry.why_off
