"""The buttons Agree and No on the message of an alert that a vendor's outage explains."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from service_event_checker.core.model import Alert
from service_event_checker.core.verdict import Answer
from service_event_checker.core.vocabulary import Kind
from service_event_checker.engine.learning import STEP, learned
from service_event_checker.engine.services import Services
from tests.destinations.slack.double import Slack
from tests.doubles.statuspages import StatusPages
from tests.factories import event
from tests.web.conftest import MakeApp
from tests.web.slack.caller import SlackCaller
from tests.web.slack.conftest import config
from tests.web.slack.test_buttons import buttons, pay, press

NOW = datetime.now(UTC) - timedelta(minutes=5)


@pytest.fixture
def app(make_app: MakeApp, pages: StatusPages, environ: dict[str, str]) -> Flask:
    settings = config(pages)
    settings["rules"] = [{"name": "alerts", "match": ['kind="alert"'], "send": ["slack"]}]
    settings["depends"] = [{"match": ['service="ci"'], "on": ["github"]}]
    return make_app(settings, **environ)


@pytest.fixture
def alert(services: Services) -> Alert:
    outage = event(source="github", fingerprint="o", starts_at=NOW)
    told = event(source="a", fingerprint="b", kind=Kind.ALERT, starts_at=NOW, labels={"service": "ci"})
    services.pipeline.ingest([outage], datetime.now(UTC))
    (found,) = services.pipeline.ingest([told], datetime.now(UTC)).values()
    pay(services)
    return found


@pytest.mark.parametrize(
    ("action", "answer", "said", "step"),
    [
        ("agree", Answer.VENDOR, "You have agreed", STEP),
        ("disagree", Answer.UNKNOWN, "You have said no", -STEP),
    ],
)
def test_a_vote_is_kept_answered_and_learned_once(
    people: SlackCaller,
    slack: Slack,
    services: Services,
    alert: Alert,
    action: str,
    answer: Answer,
    said: str,
    step: float,
) -> None:
    value = buttons(slack)[action]

    told = [press(people, slack, action, value) for _ in range(2)]

    after = services.store.get([alert.key])[alert.key]
    assert after.verdict
    assert after.verdict.answer is answer
    assert all(said in one and alert.internal_id in one for one in told)
    assert learned(services.store, datetime.now(UTC))["github", "ci"] == pytest.approx(step, abs=0.001)


def test_a_vote_that_is_changed_takes_the_former_step_back(
    people: SlackCaller, slack: Slack, services: Services, alert: Alert
) -> None:
    shown = buttons(slack)

    press(people, slack, "agree", shown["agree"])
    press(people, slack, "disagree", shown["disagree"], "bob")

    assert learned(services.store, datetime.now(UTC))["github", "ci"] == pytest.approx(-STEP, abs=0.001)


def test_an_alert_that_nothing_explains_has_no_such_buttons(slack: Slack, services: Services) -> None:
    services.pipeline.ingest([event(source="a", kind=Kind.ALERT)], datetime.now(UTC))
    pay(services)

    assert not {"agree", "disagree"} & set(buttons(slack))
