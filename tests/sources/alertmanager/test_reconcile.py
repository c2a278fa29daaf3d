"""Alerts that their Alertmanager no longer lists: when that means that they are over, and when it means nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import Family, Status
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.reconcile.passes import Reconciler
from service_event_checker.sources.alertmanager import client
from service_event_checker.sources.alertmanager.reconcile import make
from service_event_checker.sources.alertmanager.truncated import remember
from service_event_checker.sources.alertmanager.webhook import parse
from service_event_checker.stores.sql.store import SqlStore
from tests.doubles.alertmanager import Alertmanager
from tests.doubles.base import Answer, Fault
from tests.factories import receiver


class Shop:
    """Our books, and an Alertmanager that can be asked."""

    def __init__(self, path: Path, *managers: Any, **config: Any) -> None:
        store = SqlStore(f"sqlite:///{path}/store.db")
        store.prepare()
        book = Rulebook((Rule("all", (), ("tickets",)),), (), {"tickets": receiver("tickets", Family.TICKET)})
        self.store, self.pipeline = store, Pipeline(store, book)
        named = {f"am{number}": manager for number, manager in enumerate(managers)}
        asked = make({name: client.Config(url=each.url, **config) for name, each in named.items()})
        self.ahead = timedelta(0)
        self.reconciler = Reconciler(self.pipeline, {}, asked, clock=lambda: datetime.now(UTC) + self.ahead)

    def take(self, message: dict[str, Any], intake: str = "/webhook") -> None:
        self.pipeline.ingest(parse(message, intake).events, datetime.now(UTC))

    def passes(self, number: int = 1, *, apart: timedelta = timedelta(minutes=5)) -> list[str]:
        """Make passes and return what the last one said."""
        for _ in range(number):
            self.ahead += apart
            report = self.reconciler.run()
        return [*report.lines, *report.failed]

    def open(self) -> set[str]:
        return {alert.labels["alertname"] for alert in self.store.open_alerts()}


@pytest.fixture
def manager() -> Iterator[Alertmanager]:
    with Alertmanager() as running:
        assert isinstance(running, Alertmanager)
        yield running
        assert running.refused == []


@pytest.fixture
def shop(tmp_path: Path, manager: Alertmanager) -> Iterator[Shop]:
    made = Shop(tmp_path, manager)
    yield made
    made.store.close()


def test_an_alert_that_is_listed_stays_open(shop, manager):
    shop.take(manager.message(manager.fire("DiskFull")))

    assert shop.passes(5) == []
    assert shop.open() == {"DiskFull"}


def test_one_that_is_listed_no_more_is_closed_at_the_second_look(shop, manager):
    shop.take(manager.message(manager.fire("DiskFull"), manager.fire("Slow")))
    manager.listed.popitem()

    assert "waits for another look" in shop.passes()[0]
    assert shop.open() == {"DiskFull", "Slow"}
    assert "no longer listed, closed" in shop.passes()[0]
    assert shop.open() == {"DiskFull"}


def test_an_empty_answer_closes_nothing_until_it_is_repeated(shop, manager):
    shop.take(manager.message(manager.fire("DiskFull")))
    listed, manager.listed = manager.listed, {}
    shop.passes()
    manager.listed = listed
    shop.passes()
    manager.listed = {}

    shop.passes()

    assert shop.open() == {"DiskFull"}


def test_after_a_restart_nothing_is_closed_until_all_can_have_been_sent_again(shop, manager):
    shop.take(manager.message(manager.fire("DiskFull")))
    manager.listed, manager.started_at = {}, datetime.now(UTC) - timedelta(minutes=4)

    said = shop.passes(5, apart=timedelta(seconds=5))

    assert said == ["am0: was started a moment ago and may not list all yet: nothing is closed"]
    assert shop.open() == {"DiskFull"}


def test_a_silenced_alert_is_not_over(shop, manager):
    told = manager.fire("DiskFull")
    shop.take(manager.message(told))
    manager.silence(told["fingerprint"])

    shop.passes(5)

    assert shop.open() == {"DiskFull"}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({}, "by ada until 2026-11-20 09:00 UTC: upgrade"),
        ({"silencedBy": ["s-1", "s-9"]}, "by ada until 2026-11-20 09:00 UTC: upgrade, and by silence s-9"),
        ({"mutedBy": ["nights"]}, "by the time interval nights"),
        ({"silencedBy": "x", "inhibitedBy": [1]}, "by something"),
    ],
)
def test_what_alertmanager_mutes_says_so_until_it_is_muted_no_more(shop, manager, status, text):
    told = manager.fire("DiskFull")
    shop.take(manager.message(told))
    manager.silence(told["fingerprint"], **status)

    shop.passes()
    (muted,) = shop.store.open_alerts()
    shop.passes()
    (same,) = shop.store.open_alerts()
    manager.fire("DiskFull")
    shop.passes()

    assert muted.muted == f"muted in Alertmanager {text}"
    assert same.revision == muted.revision
    assert [alert.muted for alert in shop.store.open_alerts()] == [""]
    assert shop.store.waiting() == 1


def test_an_inhibited_alert_names_what_inhibits_it(shop, manager):
    cause, effect = manager.fire("NodeDown"), manager.fire("DiskFull")
    shop.take(manager.message(cause, effect))
    manager.silence(effect["fingerprint"], inhibitedBy=[cause["fingerprint"]])

    shop.passes()

    texts = {alert.labels["alertname"]: alert.muted for alert in shop.store.open_alerts()}
    assert texts == {"NodeDown": "", "DiskFull": "muted in Alertmanager as long as NodeDown fires"}


@pytest.mark.parametrize("answer", [Answer(500), Answer.json({"no": "list"}), Answer.json([7])])
def test_silences_that_cannot_be_read_do_not_stop_the_comparison(shop, manager, answer):
    told = manager.fire("DiskFull")
    shop.take(manager.message(told, manager.fire("Gone")))
    del manager.listed[manager.fire("Gone")["fingerprint"]]
    manager.silence(told["fingerprint"])
    manager.silences_answer = answer

    shop.passes(2)

    assert [alert.muted for alert in shop.store.open_alerts()] == ["muted in Alertmanager by silence s-1"]


def test_what_no_alertmanager_sent_is_not_its_to_end(shop, manager):
    by_hand = {"status": "firing", "labels": {"alertname": "ByHand"}}
    shop.take({"alerts": [by_hand]})

    shop.passes(5)

    assert shop.open() == {"ByHand"}


def test_unless_its_api_listed_it_once(shop, manager):
    told = manager.fire("DiskFull")
    shop.take({"alerts": [told]})
    shop.passes()
    manager.listed.clear()

    shop.passes(2)

    assert shop.open() == set()


def test_of_several_senders_each_ends_its_own_only(tmp_path):
    with Alertmanager() as one, Alertmanager() as other:
        assert isinstance(one, Alertmanager)
        assert isinstance(other, Alertmanager)
        shop = Shop(tmp_path, one, other)
        shop.take(one.message(one.fire("One")))
        shop.take(other.message(other.fire("Other")))
        one.listed.clear()

        shop.passes(2)

        assert shop.open() == {"Other"}


def test_another_senders_alerts_are_left_though_only_one_can_be_asked(shop, manager):
    shop.take(manager.message(manager.fire("Ours")))
    shop.take(manager.message(manager.fire("Theirs"), externalURL="http://elsewhere.test:9093"))
    shop.passes()
    manager.listed.clear()

    shop.passes(6)

    assert shop.open() == {"Theirs"}


def test_a_lone_sender_may_call_itself_something_else(shop, manager):
    shop.take(manager.message(manager.fire("DiskFull"), externalURL="http://a1b2c3:9093"))
    manager.listed.clear()

    shop.passes(2)

    assert shop.open() == set()


def test_no_pass_closes_more_than_its_share_without_saying_so(shop, manager):
    shop.take(manager.message(*(manager.fire("Disk", host=f"h{number}") for number in range(20))))
    manager.listed.clear()

    said = shop.passes(2)

    assert said[-1] == "am0: 10 more are no longer listed; too many at once, so they wait for the next run"
    assert len(shop.store.open_alerts()) == 10
    shop.passes(5)
    assert shop.store.open_alerts() == []


def test_what_comes_back_after_it_was_closed_too_early_is_opened_again(shop, manager):
    told = manager.fire("DiskFull")
    shop.take(manager.message(told))
    listed, manager.listed = manager.listed, {}
    shop.passes(2)
    manager.listed = listed

    assert "listed there, taken in" in shop.passes()[0]
    (alert,) = shop.store.open_alerts()
    assert (alert.episode, alert.status, alert.intakes) == (2, Status.FIRING, ("/webhook",))


def test_one_that_is_listed_though_its_end_was_told_is_opened_again_at_the_second_look(shop, manager):
    firing = manager.fire("DiskFull")
    shop.take(manager.message(firing))
    shop.take(manager.message({**firing, "status": "resolved", "endsAt": "2026-11-20T03:09:00Z"}))
    assert shop.open() == set()

    assert "its end was told, waits for another look" in shop.passes()[0]
    assert shop.open() == set()

    assert "listed there, taken in" in shop.passes()[0]
    assert shop.open() == {"DiskFull"}
    assert shop.passes() == []


def test_another_firing_of_what_was_ended_needs_one_look_only(shop, manager):
    firing = manager.fire("DiskFull")
    earlier = {**firing, "startsAt": "2026-11-20T01:00:00Z", "endsAt": "2026-11-20T02:00:00Z"}
    shop.take(manager.message(earlier))
    shop.take(manager.message({**earlier, "status": "resolved"}))

    assert "listed there, taken in" in shop.passes()[0]
    assert shop.open() == {"DiskFull"}


def test_alerts_that_a_truncated_message_left_out_are_taken_in(shop, manager):
    sent, left_out = manager.fire("Sent"), manager.fire("LeftOut")
    manager.fire("Elsewhere", receivers=("other",))
    manager.silence(manager.fire("Silenced")["fingerprint"])
    shop.take(manager.message(sent, truncatedAlerts=1))
    remember(shop.store, "/webhook", "tickets")

    shop.passes()

    assert shop.open() == {"Sent", "LeftOut"}
    assert shop.store.by_fingerprint(left_out["fingerprint"])[0].intakes == ("/webhook",)
    assert shop.passes() == []


def test_what_is_listed_and_was_never_sent_is_not_ours_to_tell(shop, manager):
    manager.fire("Unrouted")

    assert shop.passes() == []
    assert shop.open() == set()


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.RESET, Fault.GARBAGE, Fault.HTML, Fault.TRUNCATED])
@pytest.mark.parametrize("good_calls", [0, 1])
def test_an_answer_that_cannot_be_read_closes_nothing_and_is_said(shop, manager, fault, good_calls):
    shop.take(manager.message(manager.fire("DiskFull")))
    manager.listed.clear()
    shop.passes()
    manager.script.extend([*[None] * good_calls, fault])

    (said,) = shop.passes()

    assert said.endswith("nothing is closed for that")
    assert shop.open() == {"DiskFull"}


def test_a_dry_run_counts_nothing(shop, manager):
    shop.take(manager.message(manager.fire("DiskFull")))
    manager.listed.clear()
    shop.passes()
    shop.ahead += timedelta(minutes=5)

    report = shop.reconciler.run(dry_run=True)

    assert "no longer listed, closed" in report.lines[0]
    assert shop.open() == {"DiskFull"}


def test_two_looks_in_a_row_are_no_two_looks(shop, manager):
    shop.take(manager.message(manager.fire("DiskFull")))
    manager.listed.clear()

    shop.passes(5, apart=timedelta(seconds=1))
    assert shop.open() == {"DiskFull"}
    shop.passes()
    assert shop.open() == set()


def test_a_pair_is_asked_together_and_closes_nothing_that_one_of_them_lists(tmp_path):
    with Alertmanager() as one, Alertmanager() as other:
        assert isinstance(one, Alertmanager)
        assert isinstance(other, Alertmanager)
        shop = Shop(tmp_path, one, other, external_url="http://alertmanager.test")
        told = other.fire("DiskFull")
        shop.take(other.message(told, externalURL="http://alertmanager.test"))

        shop.passes(4)
        assert shop.open() == {"DiskFull"}
        other.script.extend([Fault.ERROR] * 8)
        shop.passes(4)
        assert shop.open() == {"DiskFull"}
        other.script.clear()
        other.listed.clear()
        shop.passes()
        assert shop.open() == {"DiskFull"}
        shop.passes()
        assert shop.open() == set()


def test_what_a_person_ended_is_not_taken_in_again_though_it_is_listed(shop, manager):
    told = manager.fire("DiskFull")
    shop.take(manager.message(told))
    remember(shop.store, "/webhook", "tickets")
    (event,) = parse({"alerts": [{**told, "status": "resolved"}]}, "api").events
    shop.pipeline.ingest([replace(event, person=True)], datetime.now(UTC))

    assert shop.passes() == []


def test_a_password_in_our_address_of_it_goes_no_further(tmp_path):
    with Alertmanager() as manager:
        assert isinstance(manager, Alertmanager)
        shop = Shop(tmp_path, manager)
        config = client.Config(url=manager.url.replace("//", "//ops:canary@"))
        shop.reconciler.sources = make({"am0": config})
        shop.take({"alerts": [manager.fire("DiskFull")]})

        shop.passes()

        (alert,) = shop.store.open_alerts()
        assert alert.origin == f"{manager.url}#listed"


def test_only_so_many_receivers_are_remembered_as_truncated(shop):
    for number in range(300):
        remember(shop.store, "/webhook", f"receiver-{number}")

    assert len(shop.store.setting("alertmanager:truncated")) < 3000


def test_what_its_api_listed_makes_no_second_sender_of_a_lone_one(shop, manager):
    told, left_out = manager.fire("Sent"), manager.fire("LeftOut")
    shop.take(manager.message(told, externalURL="http://a1b2c3:9093", truncatedAlerts=1))
    remember(shop.store, "/webhook", "tickets")
    shop.passes()
    assert shop.open() == {"Sent", "LeftOut"}
    manager.listed.clear()

    shop.passes(2)

    assert shop.open() == set()
    assert left_out["fingerprint"] != told["fingerprint"]
