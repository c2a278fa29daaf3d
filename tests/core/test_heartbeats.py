from __future__ import annotations

from datetime import timedelta

import pytest

from service_event_checker.core.heartbeats import Heartbeat, deadline, heard, silence
from service_event_checker.core.matchers import parse
from service_event_checker.core.vocabulary import EventStatus, Severity
from tests.factories import NOW as START
from tests.factories import event

FIVE = timedelta(minutes=5)
PROMETHEUS = Heartbeat(name="prometheus", every=FIVE, matchers=parse('alertname="Watchdog",intake="/alert"'))
WATCHDOG = event(source="alertmanager", labels={"alertname": "Watchdog"}, intake="/alert")


@pytest.mark.parametrize(
    ("heartbeat", "changes", "covered"),
    [
        (PROMETHEUS, {}, True),
        (PROMETHEUS, {"status": EventStatus.RESOLVED}, False),
        (PROMETHEUS, {"labels": {"alertname": "DiskFull"}}, False),
        (PROMETHEUS, {"intake": "/webhook"}, False),
        (Heartbeat(name="x", every=FIVE, matchers=parse('label.source="eu"')), {"labels": {"source": "eu"}}, True),
        (Heartbeat(name="x", every=FIVE, matchers=parse('source="alertmanager"')), {"labels": {"source": "eu"}}, True),
        (Heartbeat(name="no matcher, requests alone", every=FIVE), {}, False),
    ],
)
def test_a_firing_alert_that_meets_the_matchers_is_a_sign_of_life(
    heartbeat: Heartbeat, changes: dict[str, object], covered: bool
) -> None:
    told = event(**{"source": "alertmanager", "labels": WATCHDOG.labels, "intake": "/alert", **changes})

    assert heartbeat.covers(told) is covered


def test_the_time_of_a_sender_runs_from_its_last_sign_or_from_when_we_began_to_listen() -> None:
    assert deadline(PROMETHEUS, None, START) == START + FIVE
    assert deadline(PROMETHEUS, START + FIVE, START) == START + 2 * FIVE
    assert deadline(PROMETHEUS, START - FIVE, START) == START + FIVE


def test_the_alert_says_who_is_silent_since_when_and_how_often_it_has_to_send() -> None:
    told = silence(PROMETHEUS, START, START + FIVE)

    assert (told.title, told.severity, told.starts_at) == ("prometheus is silent", Severity.CRITICAL, START + FIVE)
    assert f"{START:%Y-%m-%d %H:%M} UTC" in told.description
    assert "once in 5m" in told.description
    assert told.key == heard("prometheus").key


@pytest.mark.parametrize(
    ("every", "words"), [(timedelta(hours=2), "2h"), (timedelta(seconds=90), "90s"), (timedelta(days=1), "24h")]
)
def test_a_sender_that_was_never_heard_from_is_told_as_such(every: timedelta, words: str) -> None:
    told = silence(Heartbeat(name="backup", every=every), None, START)

    assert "never heard from" in told.description
    assert f"once in {words}" in told.description
