"""The words as values: identities that never change and ids that people can read out."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import DeliveryError, InvalidInput, Reason, SourceError
from service_event_checker.core.ids import (
    BUCKETS,
    alert_key,
    bucket,
    code_bucket,
    internal_code,
    internal_id,
    remote_key,
)
from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Family, Severity, Status, Verb, Why
from tests.factories import alert, delivery, event, receiver
from tests.strategies import REPEATABLE

KEYS = st.builds(alert_key, st.text(max_size=20), st.text(max_size=20))


def test_a_key_never_changes() -> None:
    """Stored rows and remote objects carry it; another hash would open everything again."""
    assert alert_key("github", "8zc63m64hy36") == "3518c69b3ca23c9bcc46"
    assert remote_key("3518c69b3ca23c9bcc46", 2) == "ac4a7564e0fdfc205601"
    assert event().key == alert().key


def test_source_and_fingerprint_do_not_run_into_each_other() -> None:
    assert alert_key("ab", "c") != alert_key("a", "bc")


def test_any_text_has_a_key() -> None:
    assert len(alert_key("\ud800", "\0")) == 20


def test_an_episode_begins_with_an_opening_or_with_what_was_over_before() -> None:
    assert {why for why in Why if why.opens} == {Why.OPENED, Why.OPENED_AGAIN, Why.MISSED}


def test_severities_are_ranked_from_the_worst() -> None:
    assert sorted(Severity, key=lambda severity: severity.rank) == [
        Severity.CRITICAL,
        Severity.ERROR,
        Severity.WARNING,
        Severity.INFO,
    ]


@pytest.mark.parametrize(
    ("status", "is_open"), [(Status.FIRING, True), (Status.ACKNOWLEDGED, True), (Status.RESOLVED, False)]
)
def test_an_alert_is_open_until_it_is_resolved(status: Status, is_open: bool) -> None:
    assert alert(status=status).open is is_open


def test_values_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        alert().title = "x"  # type: ignore[misc]


def test_a_deliverys_id_is_made_of_what_it_is() -> None:
    assert delivery(alert(), Verb.CLOSE, "pager").id == "3518c69b3ca23c9bcc46:1:1:pager:close"


@pytest.mark.parametrize("family", Family)
def test_tickets_and_chats_get_their_open_and_their_close(family: Family) -> None:
    assert receiver(family=family).cancels is (family not in (Family.TICKET, Family.CHAT))


@pytest.mark.parametrize(
    ("source", "prefix"),
    [
        ("github", "GITHUB-"),
        ("rest:monitoring-system", "MONITORING_SYSTEM-"),
        ("azure devops", "AZURE_DEVOPS-"),
        ("障害", "ALERT-"),
        ("", "ALERT-"),
        ("x" * 30, "X" * 20 + "-"),
    ],
)
def test_an_internal_id_begins_with_the_source(source: str, prefix: str) -> None:
    assert internal_id(source, alert().key, 1).startswith(prefix)


@REPEATABLE
@given(KEYS, st.integers(min_value=1, max_value=9999), st.integers(min_value=5, max_value=12))
def test_an_internal_id_is_found_however_a_person_writes_it(key: str, episode: int, length: int) -> None:
    written = internal_id("github", key, episode, length=length)
    code = internal_code(written)

    assert len(code) == length
    assert not set(code) & set("ILOU")
    for spelling in (written.lower(), f"  {written} ", code, code.lower(), f"other-{code}"):
        assert internal_code(spelling) == code
    assert code_bucket(code) == bucket(key) < BUCKETS


@pytest.mark.parametrize(
    "text", ["", "GITHUB", "GITHUB-", "GITHUB-7F3", "GITHUB-7F3KO", "GITHUB-7F3KQ7F3KQ7F3", "a b c", "-----"]
)
def test_what_is_no_internal_id_has_no_code(text: str) -> None:
    assert internal_code(text) == ""


def test_two_episodes_have_two_ids_and_two_remote_keys() -> None:
    key = alert().key

    assert len({internal_id("github", key, episode) for episode in range(1, 20)}) == 19
    assert len({remote_key(key, episode) for episode in range(1, 20)}) == 19


@pytest.mark.parametrize(
    ("reason", "ambiguous"),
    [
        (Reason.TIMEOUT, True),
        (Reason.RESET, True),
        (Reason.SERVER_ERROR, True),
        (Reason.GARBAGE, True),
        (Reason.UNREACHABLE, False),
        (Reason.RATE_LIMITED, False),
        (Reason.UNAUTHORIZED, False),
        (Reason.REFUSED, False),
        (Reason.NOT_FOUND, False),
    ],
)
def test_only_what_may_have_had_its_effect_is_ambiguous(reason: Reason, ambiguous: bool) -> None:
    assert reason.ambiguous is ambiguous


def test_errors_say_what_is_known() -> None:
    assert str(SourceError("github", Reason.TIMEOUT, "after 15 s")) == "github: timeout (after 15 s)"
    assert str(SourceError("github", Reason.TIMEOUT)) == "github: timeout"
    assert str(DeliveryError(Reason.REFUSED, "no such channel", permanent=True)) == "refused (no such channel)"
    assert str(DeliveryError(Reason.RESET)) == "connection reset"
    assert (
        str(InvalidInput("alerts[2]", "is not an object", "Send an object"))
        == "alerts[2]: is not an object. Send an object"
    )
    assert str(InvalidInput("alerts[2]", "is not an object")) == "alerts[2]: is not an object"


def test_an_alert_knows_its_key_by_its_words() -> None:
    assert isinstance(alert(), Alert)
    assert alert(fingerprint="other").key == event(fingerprint="other").key
