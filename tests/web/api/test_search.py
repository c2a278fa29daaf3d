"""GET /api/v1/alerts by what has no index: labels, text, times, other orders, and a bounded count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import Severity
from tests.factories import NOW, event
from tests.strategies import REPEATABLE

Ingest = Callable[[Event], Alert]
PATH = "/api/v1/alerts"


@pytest.fixture
def three(ingest: Ingest) -> None:
    """Three alerts; the last one has changed last, and began first."""
    for number, (name, severity) in enumerate(
        (("db-1", Severity.WARNING), ("db-2", Severity.CRITICAL), ("web-1", Severity.INFO))
    ):
        began = NOW.replace(day=20 - number)
        labels = {"instance": name, "tag": "cpu\nslow" if number else "disk"}
        ingest(event(fingerprint=name, title=f"Trouble at {name}", severity=severity, starts_at=began, labels=labels))


def found(client: FlaskClient, **query: Any) -> list[str]:
    answer = client.get(PATH, query_string=query)
    assert answer.status_code == 200, answer.text
    return [alert["fingerprint"] for alert in answer.json["alerts"]]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"filter": 'instance="db-1"'}, ["db-1"]),
        ({"filter": "instance=db-1"}, ["db-1"]),
        ({"filter": 'instance=~"db-.+"'}, ["db-2", "db-1"]),
        ({"filter": ['instance=~"db-.+"', 'instance!="db-1"']}, ["db-2"]),
        ({"filter": '{severity="critical",tag="slow"}'}, ["db-2"]),
        ({"filter": 'tag="slow"', "severity": "info"}, ["web-1"]),
        ({"q": "TROUBLE AT WEB"}, ["web-1"]),
        ({"q": "nothing like it"}, []),
        ({"from": "2026-11-19T03:00:00Z", "time": "started"}, ["db-2", "db-1"]),
        ({"to": "2026-11-19T04:00:00+01:00", "time": "started"}, ["web-1", "db-2"]),
        ({"from": "2026-11-20T00:00:00Z"}, ["web-1", "db-2", "db-1"]),
        ({"to": "2026-11-20T00:00:00Z"}, []),
        ({"sort": "updated"}, ["db-1", "db-2", "web-1"]),
        ({"sort": "severity"}, ["db-2", "db-1", "web-1"]),
        ({"sort": "started"}, ["web-1", "db-2", "db-1"]),
        ({"sort": "-started", "limit": "1"}, ["db-1"]),
    ],
)
def test_a_search_holds_what_is_asked_for(query: dict[str, Any], expected: list[str], client: FlaskClient) -> None:
    assert found(client, **query) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("filter", "instance"),
        ("filter", 'instance=~"("'),
        ("filter", 'instance=~"(a+)+b"'),
        ("filter", 'instance=~".*.*.*x"'),
        ("filter", 'instance=~"' + "a?" * 9 + '"'),
        ("filter", ",".join(['a="b"'] * 21)),
        ("q", "x" * 201),
        ("from", "yesterday"),
        ("to", "2026-11-20"),
        ("to", "0001-01-01T00:00:00+23:00"),
        ("time", "ended"),
        ("sort", "title"),
        ("total", "yes"),
    ],
)
def test_a_part_of_a_search_that_cannot_be_read_is_named(field: str, value: str, client: FlaskClient) -> None:
    answer = client.get(PATH, query_string={field: value})

    assert (answer.status_code, answer.json["error"]["details"][0]["field"]) == (422, field)


@pytest.mark.parametrize("sort", ["-updated", "started", "severity"])
def test_pages_of_a_search_follow_each_other_without_gap_or_repetition(
    sort: str, ingest: Ingest, client: FlaskClient
) -> None:
    for number in range(7):
        ingest(event(fingerprint=f"f{number}", labels={"even": str(number % 2 == 0)}))

    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        query = {"filter": "even=True", "limit": 2, "cursor": cursor, "sort": sort}
        page = client.get(PATH, query_string=query).json
        seen += [alert["fingerprint"] for alert in page["alerts"]]
        cursor = page["cursor"]

    assert sorted(seen) == ["f0", "f2", "f4", "f6"]


@pytest.mark.parametrize("cursor", ["s99999", "5", "s", "sx"])
def test_a_cursor_of_another_order_is_refused(cursor: str, client: FlaskClient) -> None:
    assert client.get(PATH, query_string={"sort": "started", "cursor": cursor}).status_code == 422


@pytest.mark.usefixtures("three")
def test_the_count_is_of_all_pages(client: FlaskClient) -> None:
    answer = client.get(PATH, query_string={"filter": 'instance=~"db-.+"', "limit": 1, "total": "true"})

    assert answer.json["total"] == {"count": 2, "more": False}
    assert "total" not in client.get(PATH).json


@given(
    st.dictionaries(
        st.sampled_from(["filter", "q", "from", "to", "time", "sort", "total", "cursor", "limit", "status"]),
        st.text(max_size=30) | st.sampled_from(['a=~"b"', "a=b", "2026-01-01T00:00:00Z", "s5", "-started"]),
        max_size=4,
    )
)
@REPEATABLE
def test_no_query_is_an_error_of_ours(client: FlaskClient, query: dict[str, str]) -> None:
    assert client.get(PATH, query_string=query).status_code in (200, 422)
