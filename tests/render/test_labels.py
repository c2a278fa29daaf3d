"""What tells similar alerts apart: the place in the title, the author's links, what is called a page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.model import STORMS, Alert
from service_event_checker.core.vocabulary import Kind, Verb
from service_event_checker.render import names
from service_event_checker.render.labels import alert_title, author_links, place
from service_event_checker.render.notice import notice
from tests.factories import NOW, alert

FOREIGN = st.text(max_size=400)


def own(title: str = "KubePodNotReady", **labels: str) -> Alert:
    return alert(kind=Kind.ALERT, title=title, labels={"alertname": "KubePodNotReady", **labels})


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"namespace": "prod", "pod": "api-1", "instance": "10.0.0.1:8080", "job": "kubelet"}, "prod/api-1"),
        ({"pod": "api-1"}, "api-1"),
        ({"namespace": "prod", "deployment": "api", "job": "kube-state-metrics"}, "prod/api"),
        ({"instance": "db-1:9100", "job": "node", "service": "db", "cluster": "eu"}, "db-1:9100"),
        ({"job": "node", "service": "db"}, "node"),
        ({"service": "checkout\nbasket", "cluster": "eu"}, "checkout, basket"),
        ({"cluster": "eu", "namespace": "prod"}, "eu"),
        ({"namespace": "prod"}, "prod"),
        ({"severity": "page"}, ""),
    ],
)
def test_the_place_is_the_most_exact_that_the_labels_name(labels: dict[str, str], said: str) -> None:
    assert place(labels) == said
    assert alert_title(own(**labels)) == (f"KubePodNotReady · {said}" if said else "KubePodNotReady")


def test_alerts_with_one_summary_are_told_apart_by_their_place() -> None:
    full = [own("DiskFull: 92 % used", instance=name) for name in ("db-1", "db-2")]

    assert [alert_title(each) for each in full] == ["DiskFull: 92 % used · db-1", "DiskFull: 92 % used · db-2"]
    assert alert_title(own("CPU is busy", server="web-01")) == "CPU is busy · web-01"


def test_a_title_that_names_the_place_and_that_of_an_outage_stay() -> None:
    assert alert_title(own("api-1 waits", pod="api-1", namespace="prod")) == "api-1 waits"
    assert alert_title(alert(title="GitHub is down", labels={"service": "git"})) == "GitHub is down"
    assert alert_title(alert(title=" ", labels={"service": "git"})) == "git"
    assert alert_title(alert(title="", labels={})) == "(no title)"


@given(FOREIGN, FOREIGN, st.dictionaries(st.sampled_from(["pod", "namespace", "instance", "job"]), FOREIGN))
def test_a_title_is_one_line_that_fits_whatever_was_sent(title: str, name: str, labels: dict[str, str]) -> None:
    said = alert_title(alert(title=title, labels={**labels, "alertname": name}), 80)

    assert said
    assert len(said) <= 80
    assert len(said.splitlines()) == 1


def test_only_web_addresses_of_the_author_are_links_each_once() -> None:
    written = {
        "runbook_url": "https://runbooks.example/pod",
        "runbook": "https://runbooks.example/other",
        "dashboard": "javascript:alert(1)",
        "summary": "https://elsewhere.example",
    }
    assert list(author_links(written)) == [("Runbook", "https://runbooks.example/pod")]
    assert list(author_links({"dashboard": "http://graphs.example/d/1"})) == [
        ("Dashboard", "http://graphs.example/d/1")
    ]


def test_what_a_pager_holds_is_a_page_and_no_object_links_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_used", [names._Names({}, frozenset({"duty"}))])
    known = alert(links={"duty": "https://duty.example/1", "jira": "https://jira.example/OPS-1"})

    def tickets(**changes: Any) -> list[tuple[str, str, str]]:
        return list(notice(known, Verb.OPEN, NOW, **changes).tickets)

    page, ticket = (
        ("Page", "duty", "https://duty.example/1"),
        ("Ticket", names.platform_name("jira"), "https://jira.example/OPS-1"),
    )
    assert tickets() == [page, ticket]
    assert tickets(receiver="jira") == [page]


def test_a_summary_of_a_storm_links_the_alerts_that_it_names_and_hides_its_numbers() -> None:
    annotations = {"storm": '{"total": 3}', "storm link GITHUB-A": "https://poc.example.com/alerts/GITHUB-A"}
    annotations["storm link GITHUB-B"] = "javascript:alert(1)"

    told = notice(alert(source=STORMS, kind=Kind.ALERT, annotations=annotations), Verb.OPEN, NOW)
    other = notice(alert(kind=Kind.ALERT, annotations=annotations), Verb.OPEN, NOW)

    assert told.links == (("GITHUB-A", "https://poc.example.com/alerts/GITHUB-A"),)
    assert told.annotations == ()
    assert told.link_text == "All alerts"
    assert (other.links, len(other.annotations)) == ((), 3)
