"""What is special about Redmine: keys in fields and subjects, what it silently does otherwise, people's own changes.

All of it against the real one, but for its cases that need nobody to answer.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from structlog.testing import capture_logs

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Link
from service_event_checker.core.vocabulary import Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.destinations.redmine import changes as watch
from service_event_checker.destinations.redmine import client, markup
from service_event_checker.destinations.redmine.adapter import Adapter, Config
from service_event_checker.render.notice import notice
from tests.destinations.deliver import deliver, link_to
from tests.destinations.redmine.case import RedmineProxy, config
from tests.doubles.base import Answer, Request
from tests.factories import NOW, alert, delivery
from tests.real.redmine import ADMIN_KEY, BOT_KEY, JANE_KEY, Redmine
from tests.real.redmine_page import Browser

CLOSED, IN_PROGRESS = 5, 2
NASTY = [
    "{{include(Wiki)}} {{toc}}\n{{collapse(x)\nfoo\n}}",
    "*bold* _it_ -del- +ins+ ^sup^ ~sub~ %{color:red}x% ??cite?? @code@",
    "h1. Title\nbq. quote\n# one\n* two\n\n|a|b|\n|_. c|d|",
    "<pre>x</pre> <notextile>*x*</notextile> ==*x*== </pre>",
    '!http://evil.example/x.png! "click":http://evil.example/ [[Wiki]] [[a|b]]',
    "#1 r12 commit:abc source:foo user:admin @admin #note-1 ABC(explained) [1]",
    "a & b &amp; &#38; 99% 5%x%x% kube_pod_name __init__ --- rate(x[5m]) > 0.5",
]


@pytest.fixture
def proxy(redmine: Redmine) -> Iterator[RedmineProxy]:
    with RedmineProxy(redmine) as running:
        yield running


def adapter(proxy: RedmineProxy, **changes: Any) -> Adapter:
    return Adapter("redmine", config(proxy, **changes))


def opened(made_by: Adapter, alert: Alert, link: Link | None = None, **changes: Any) -> Link:
    made = deliver(made_by, delivery(alert, receiver="redmine", **changes), alert, link)
    assert made
    return made


def closed(by: Adapter, alert: Alert, link: Link, **changes: Any) -> Link:
    ended = {"ended_at": NOW + timedelta(minutes=42), "resolved_by": ResolvedBy.SOURCE}
    over = replace(alert, status=Status.RESOLVED, revision=alert.revision + 1, **ended)
    done = deliver(by, delivery(over, Verb.CLOSE, receiver="redmine", **changes), over, link)
    assert done
    return done


def two(alert: Alert) -> Alert:
    return replace(alert, episode=2, revision=alert.revision + 2)


def as_admin(proxy: RedmineProxy, method: str, path: str, body: dict[str, Any] | None = None) -> None:
    key = {"X-Redmine-API-Key": ADMIN_KEY}
    requests.request(method, proxy.target + path, json=body, headers=key, timeout=20).raise_for_status()


def number(link: Link) -> int:
    return int(link.external_id)


def test_an_issue_says_what_a_person_needs(proxy):
    changes = {"labels": {"alertname": "DiskFull", "pod": "shop-1"}, "annotations": {"summary": "disk of shop-1"}}
    address = "http://prometheus.example/graph?g0.expr=up+%3D%3D+0&g0.tab=1"
    firing = alert(source="alertmanager", kind=Kind.ALERT, severity=Severity.CRITICAL, url=address, **changes)
    link = opened(adapter(proxy), firing)

    (issue,) = proxy.made
    assert (issue["tracker"]["name"], issue["status"]["name"], issue["priority"]["name"]) == ("Bug", "New", "Immediate")
    assert issue["subject"].startswith("Disruption with some GitHub services")
    assert link.url == f"{proxy.url}/issues/{issue['id']}"
    shown = Browser(proxy.server).shown(issue["id"])
    for name, value in [("alertname", "DiskFull"), ("pod", "shop-1"), ("summary", "disk of shop-1")]:
        assert re.search(rf"<td>\s*{name}\s*</td>\s*<td>\s*{value}\s*</td>", shown)
    assert f'<a class="external" href="{html.escape(address)}">' in shown
    for text in ("2026-11-20 03:00 UTC", firing.internal_id, firing.description):
        assert text in shown


@pytest.mark.parametrize("formatting", ["textile", "markdown", "common_mark"])
def test_what_a_vendor_wrote_shows_as_it_stands(proxy, formatting):
    browser, text = Browser(proxy.server), "\n\n".join(NASTY)
    changes = {"description": text, "labels": {str(n): each for n, each in enumerate(NASTY)}}
    tickets = adapter(proxy, text_formatting=formatting)
    link = opened(tickets, alert(title="Disk", **changes))
    deliver(tickets, delivery(alert(), Verb.NOTE, receiver="redmine", note=text), alert(), link)

    try:
        browser.format_text_as(formatting)
        page = browser.shown(number(link))
    finally:
        browser.format_text_as("textile")

    shown = " ".join(html.unescape(re.sub(r"<[^<>]*>", "", page)).replace("\u2060", "").split())
    for line in text.split("\n"):
        assert shown.count(" ".join(line.split())) >= 2  # in the description and in the note
    assert "<td>1</td>" in re.sub(r"\s", "", page)


def test_an_address_in_the_text_is_a_link_as_it_stands(proxy):
    runbook = "https://runbooks.example/disk_full_(1)"
    graph = "https://graphs.example/d/a_b?var-pod=shop_1&from=now-1h#top"
    link = opened(adapter(proxy), alert(description=f"See {graph} or {runbook}", annotations={"graph": graph}))

    shown = Browser(proxy.server).shown(number(link))

    assert shown.count(f'<a class="external" href="{html.escape(graph)}">{html.escape(graph)}</a>') == 2
    assert runbook in shown  # whole, at least


def test_keys_stand_in_the_field_alone_as_soon_as_redmine_was_seen_to_keep_them_there(proxy):
    tickets, outages = adapter(proxy), [alert(fingerprint=str(n), key=f"{n}" * 20) for n in range(3)]
    for outage in outages:
        opened(tickets, outage)

    values = [issue["custom_fields"][0]["value"] for issue in proxy.made]
    marked = ["[poc-" in issue["subject"] for issue in proxy.made]
    assert marked == [True, False, False]  # the first shows us the field
    assert values == [f"{remote_key(each.key, 1)} {each.key}" for each in outages]
    assert [adapter(proxy).find(remote_key(each.key, 1)) is not None for each in outages] == [True] * 3
    assert len(adapter(proxy).open_objects()) == 3


@pytest.mark.parametrize("custom_field", ["", "No such field", "99"])
def test_without_the_field_the_keys_stand_in_subject_and_description(proxy, custom_field):
    proxy.server.create(proxy.project, "a stranger")
    outage = alert()
    opened(adapter(proxy, custom_field=custom_field), outage)

    again = adapter(proxy, custom_field=custom_field)
    (issue,) = proxy.made
    assert issue["subject"].endswith(f" [poc-{remote_key(outage.key, 1)}]")
    for found in (again.find(remote_key(outage.key, 1)), again.find_open_for(outage.key)):
        assert found
        assert found.external_id == str(issue["id"])
    assert again.find(remote_key(outage.key, 2)) is None
    assert again.find_open_for("ab" * 10) is None
    assert [each.external_id for each in again.open_objects()] == [str(issue["id"])]


def test_a_field_that_redmine_stops_keeping_moves_the_key_into_the_subject(proxy):
    class Forgetful(RedmineProxy):
        forgets = False

        def handle(self, request: Request) -> Answer:
            if self.forgets and request.method == "POST":
                body = {"issue": {**request.json()["issue"], "custom_fields": []}}
                request = replace(request, body=json.dumps(body).encode())
            return super().handle(request)

    with Forgetful(proxy.server) as forgetful:
        tickets = adapter(forgetful)
        for n in range(2):
            opened(tickets, alert(key=f"{n}" * 20))
        forgetful.forgets = True
        link = opened(tickets, alert())

        assert f"[poc-{link.remote_key}]" in forgetful.server.issue(number(link))["subject"]
        assert tickets.find(link.remote_key)


@pytest.mark.parametrize("close_status_id", [8, 3])
def test_a_closing_status_that_is_none_is_replaced_and_named(proxy, close_status_id):
    tickets = adapter(proxy, close_status_id=close_status_id)
    link = opened(tickets, alert())
    with capture_logs() as logs:
        done = closed(tickets, alert(), link)

    (issue,) = proxy.made
    assert (done.closed, issue["status"]["name"]) == (True, "Closed")
    (told,) = [each for each in logs if each["event"] == "redmine_other_status"]
    assert told["wanted"].startswith(str(close_status_id))
    assert told["taken"] == "5 Closed"


def test_a_close_that_redmine_forbids_is_told_and_never_claimed(proxy):
    tickets = adapter(proxy)
    link = opened(tickets, alert())
    blocking = proxy.server.create(proxy.project, "in the way")
    relation = {"relation": {"issue_to_id": number(link), "relation_type": "blocks"}}
    as_admin(proxy, "POST", f"/issues/{blocking}/relations.json", relation)

    for _ in range(2):
        with pytest.raises(DeliveryError) as raised:
            closed(tickets, alert(), link)
        assert (raised.value.reason, raised.value.permanent) == (Reason.REFUSED, True)
        assert "stays New" in str(raised.value)

    (note,) = proxy.notes
    assert "Resolved after" in note
    assert "could not be closed" in note
    proxy.server.close(blocking)
    closed(tickets, alert(), link)
    assert [each["status"]["is_closed"] for each in proxy.made] == [True]
    assert len(proxy.notes) == 1


def test_a_status_that_redmine_kept_in_silence_is_seen_and_the_next_is_tried(proxy):
    class Silent(RedmineProxy):
        """A Redmine that does not tell which statuses are allowed."""

        def handle(self, request: Request) -> Answer:
            answer = super().handle(request)
            return replace(answer, body=answer.body.replace(b'"allowed_statuses"', b'"of_no_interest"'))

    with Silent(proxy.server) as silent:
        tickets = adapter(silent, close_status_id=6)  # Rejected: no Developer may
        closed(tickets, alert(), opened(tickets, alert()))

        assert [each["status"]["name"] for each in silent.made] == ["Closed"]
        assert sum("Resolved after" in note for note in silent.notes) == 1


def test_what_cannot_be_opened_again_gets_one_new_issue_that_names_the_old(proxy):
    tickets, outage = adapter(proxy), alert()
    old = closed(tickets, outage, opened(tickets, outage))

    first, second = opened(tickets, two(outage), old), opened(tickets, two(outage), old)

    assert first == second
    assert first.external_id != old.external_id
    assert (first.remote_key, first.previous) == (remote_key(outage.key, 2), old.url)
    assert f'href="{old.url}"' in Browser(proxy.server).shown(number(first))
    assert len(proxy.made) == 2


def test_what_was_deleted_gets_a_new_issue(proxy):
    tickets, outage = adapter(proxy), alert()
    old = opened(tickets, outage)
    as_admin(proxy, "DELETE", f"/issues/{old.external_id}.json")

    made = opened(tickets, two(outage), old)

    assert [issue["id"] for issue in proxy.made] == [number(made)]


def test_where_the_workflow_allows_it_the_same_issue_opens_again(proxy):
    tickets, outage = adapter(proxy, token=ADMIN_KEY), alert()  # an administrator may do all
    old = closed(tickets, outage, opened(tickets, outage))

    for _ in range(2):
        assert opened(tickets, two(outage), old) == replace(old, closed=False)

    (issue,) = proxy.server.issues(project_id=proxy.project)
    assert issue["status"]["name"] == "New"
    notes = [each["notes"] for each in proxy.server.issue(issue["id"])["journals"]]
    assert sum("Opened again &#40;episode 2)" in note or "Opened again (episode 2)" in note for note in notes) == 1


def test_a_reopening_of_what_is_open_is_said_once(proxy):
    tickets, outage = adapter(proxy, on_resolve="none"), alert()
    link = opened(tickets, outage)
    for _ in range(2):
        opened(tickets, outage, link)  # as after a crash before the link was stored
    before = list(proxy.notes)

    for _ in range(2):
        assert opened(tickets, two(outage), link) == link

    assert before == []
    assert len(proxy.made) == 1
    assert len(proxy.notes) == 1
    assert "Opened again" in proxy.notes[0]


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE])
def test_nothing_is_done_to_what_has_the_same_number_in_another_redmine(proxy, verb):
    tickets = adapter(proxy)
    elsewhere = replace(opened(tickets, alert()), url="https://other.example/issues/1")

    with pytest.raises(DeliveryError, match="belongs to another address: https://other.example/") as raised:
        deliver(tickets, delivery(alert(revision=2), verb, receiver="redmine"), alert(), elsewhere)

    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_FOUND, True)
    assert ([each["status"]["name"] for each in proxy.made], proxy.notes) == (["New"], [])


def test_what_was_closed_in_another_redmine_gets_one_new_issue_that_names_it(proxy):
    tickets, outage = adapter(proxy), alert()
    stranger = opened(tickets, alert(fingerprint="another"))
    key = remote_key(outage.key, 1)
    elsewhere = replace(stranger, key=outage.key, remote_key=key, url="https://other.example/issues/1")

    first, second = opened(tickets, two(outage), elsewhere), opened(tickets, two(outage), elsewhere)

    assert first.external_id == second.external_id != stranger.external_id
    assert first.previous == "https://other.example/issues/1"
    assert len(proxy.made) == 2


def test_a_priority_that_is_not_there_costs_no_ticket(proxy):
    with capture_logs() as logs:
        opened(adapter(proxy, priorities={"error": 77}), alert(severity=Severity.ERROR))

    assert [each["priority"]["name"] for each in proxy.made] == ["Normal"]
    assert [each["why"] for each in logs if each["event"] == "redmine_refused"][0].endswith("Priority cannot be blank")


def test_what_redmine_quietly_replaces_is_logged(proxy):
    with capture_logs() as logs:
        opened(adapter(proxy, tracker_id=99, open_status_id=IN_PROGRESS), alert())

    told = {(each["what"], each["wanted"], each["got"]) for each in logs if each["event"] == "redmine_replaced"}
    assert told == {("tracker", 99, 1), ("status", IN_PROGRESS, 1)}
    assert len(proxy.made) == 1


def test_what_redmine_refuses_is_permanent_and_in_its_own_words(proxy):
    with pytest.raises(DeliveryError) as raised:
        opened(adapter(proxy, custom_field="", custom_fields={proxy.server.fingerprint_field: "x" * 65}), alert())

    assert (raised.value.reason, raised.value.permanent) == (Reason.REFUSED, True)
    assert "Alert fingerprint is too long (maximum is 64 characters)" in str(raised.value)


def test_more_fields_are_set_on_creation(proxy):
    fields = {"done_ratio": 10, "due_date": "2027-01-01"}
    opened(adapter(proxy, fields=fields), alert())

    (issue,) = proxy.made
    assert (issue["done_ratio"], issue["due_date"]) == (10, "2027-01-01")


def test_open_issues_show_what_people_did(proxy):
    tickets, server = adapter(proxy), proxy.server
    links = [opened(tickets, alert(key=f"{n}" * 20)) for n in range(4)]
    untouched, taken, commented, done = map(number, links)
    server.move(taken, "In Progress")
    server.comment(commented, "looking *into* it")
    as_admin(proxy, "PUT", f"/issues/{commented}.json", {"issue": {"notes": "psst", "private_notes": True}})
    deliver(tickets, delivery(alert(), Verb.NOTE, receiver="redmine", note="ours"), alert(), links[2])
    server.close(done)

    remotes = {int(each.external_id): each for each in tickets.open_objects()}

    assert set(remotes) == {untouched, taken, commented}
    assert [remotes[id].status for id in (untouched, taken, commented)] == [
        Status.FIRING,
        Status.ACKNOWLEDGED,
        Status.FIRING,
    ]
    assert remotes[taken].actor == "Jane Doe"
    assert remotes[taken].at
    assert [(note.text, note.actor) for note in remotes[commented].notes] == [("looking *into* it", "Jane Doe")]
    assert [remotes[number(link)].remote_key for link in links[:3]] == [link.remote_key for link in links[:3]]
    assert all(
        each.created_at and each.created_at.tzinfo and each.url.startswith(proxy.url) for each in remotes.values()
    )


def test_a_status_that_we_set_ourselves_is_nobodys_acknowledgement(proxy):
    tickets = adapter(proxy)
    link = opened(tickets, alert())
    proxy.server.move(number(link), "Feedback", key=BOT_KEY)

    assert [each.status for each in tickets.open_objects()] == [Status.FIRING]


def test_where_issues_begin_in_another_status_than_configured_nobody_has_taken_them(proxy):
    tickets = adapter(proxy, open_status_id=IN_PROGRESS)  # a Developer may not; New is taken
    opened(tickets, alert())

    assert [each.status for each in tickets.open_objects()] == [Status.FIRING]


def test_journals_are_read_where_something_changed_and_nothing_of_the_same_second_is_missed(proxy):
    tickets = adapter(proxy)
    links = [opened(tickets, alert(key=f"{n}" * 20)) for n in range(3)]
    first = tickets.open_objects()
    proxy.server.comment(number(links[0]), "in the same second")

    passes = []
    for _ in range(4):
        before = len(proxy.requests)
        remotes = tickets.open_objects()
        passes.append(sum(request.path.startswith("/issues/") for request in proxy.requests[before:]))

    assert [note.text for note in remotes[0].notes] == ["in the same second"]
    assert first[0].notes == ()
    assert passes[0] == 3
    assert passes[-1] == 0


def test_a_pass_reads_no_more_journals_than_it_may_and_the_next_goes_on(proxy, monkeypatch):
    monkeypatch.setattr(watch, "READS", 2)
    links = [opened(adapter(proxy), alert(key=f"{n}" * 20)) for n in range(3)]
    for link in links:
        proxy.server.comment(number(link), "hello")
    tickets = adapter(proxy)

    passes = [tickets.open_objects() for _ in range(4)]

    assert [len(remotes) for remotes in passes] == [3, 3, 3, 3]
    assert sum(len(remote.notes) for remote in passes[0]) == 2
    assert sum(len(remote.notes) for remote in passes[-1]) == 3


def test_what_is_not_read_yet_is_nobodys_acknowledgement(proxy, monkeypatch):
    proxy.server.move(number(opened(adapter(proxy), alert())), "In Progress")
    monkeypatch.setattr(watch, "READS", 0)
    unread = adapter(proxy).open_objects()
    monkeypatch.undo()
    read = adapter(proxy).open_objects()

    assert [remote.status for remote in unread + read] == [Status.FIRING, Status.ACKNOWLEDGED]


def test_open_issues_are_listed_over_pages_and_only_ours(proxy, monkeypatch):
    monkeypatch.setattr(client, "PAGE", 2)
    tickets = adapter(proxy)
    made = [opened(tickets, alert(key=f"{n}" * 20)).external_id for n in range(5)]
    field = {"id": proxy.server.fingerprint_field, "value": "somebody else's"}
    proxy.server.create(proxy.project, "a stranger", custom_fields=[field])

    assert [each.external_id for each in tickets.open_objects()] == made


def test_a_persons_copy_of_our_issue_is_the_persons(proxy):
    tickets = adapter(proxy)
    link = opened(tickets, alert())
    (ours,) = proxy.made
    fields = [{"id": each["id"], "value": each["value"]} for each in ours["custom_fields"]]
    proxy.server.create(proxy.project, ours["subject"], description=ours["description"], custom_fields=fields)

    assert [each.external_id for each in tickets.open_objects()] == [link.external_id]
    for found in (tickets.find(link.remote_key), tickets.find_open_for(alert().key)):
        assert found
        assert found.external_id == link.external_id


def test_with_every_fifth_call_failing_each_alert_has_one_issue_that_ends_once(proxy):
    tickets = adapter(proxy)
    proxy.chaos(0.2, seed=4)
    outages = [alert(key=f"{n:x}" * 20) for n in range(10)]

    def found(outage: Alert) -> Link | None:
        ref = tickets.find(remote_key(outage.key, 1))
        return link_to(ref, outage, tickets.name) if ref else None

    for each in outages:
        link = persistent(partial(found, each), partial(opened, tickets, each))
        persistent(partial(closed, tickets, each, link))

    proxy.chaos(0)
    assert [issue["status"]["is_closed"] for issue in proxy.made] == [True] * len(outages)
    assert sum("Resolved after" in note for note in proxy.notes) == len(outages)


def persistent(*ways: Callable[[], Link | None]) -> Link:
    """Go these ways in turn, until one gives a link, and from the first again after a failure: as the outbox does."""
    while True:
        with suppress(DeliveryError):
            return next(link for way in ways if (link := way()))


def test_one_issue_is_looked_at_in_any_state(proxy):
    tickets = adapter(proxy)
    link = opened(tickets, alert())
    states = []
    for status in ("New", "In Progress", "Closed"):
        proxy.server.move(number(link), status)
        remote = tickets.get_remote(link.external_id)
        assert remote
        states.append((remote.status, remote.actor))
    as_admin(proxy, "DELETE", f"/issues/{link.external_id}.json")

    assert states == [(Status.FIRING, ""), (Status.ACKNOWLEDGED, "Jane Doe"), (Status.RESOLVED, "Jane Doe")]
    assert tickets.get_remote(link.external_id) is None


def test_an_issue_that_was_made_twice_is_closed_and_names_the_other(proxy):
    tickets = adapter(proxy)
    opened(tickets, alert())
    opened(tickets, alert())
    kept, duplicate = tickets.open_objects()

    for _ in range(2):
        tickets.close_duplicate(duplicate, kept)

    assert [each.external_id for each in tickets.open_objects()] == [kept.external_id]
    assert sum(f"#{kept.external_id}" in note for note in proxy.notes) == 1


def test_a_stock_redmine_with_the_settings_as_given_names_what_differs(proxy):
    proxy.server.create(proxy.project, "shows the custom fields")

    (told,) = adapter(proxy, close_status_id=8).preflight()

    assert "no closing status 8" in told
    assert "5 Closed" in told


def test_settings_that_fit_give_no_warning_before_the_first_issue_or_after(proxy):
    assert adapter(proxy).preflight() == []

    proxy.server.create(proxy.project, "shows the custom fields")
    assert adapter(proxy).preflight() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tracker_id": 9}, ["no tracker 9", "1 Bug, 2 Feature, 3 Support", "REDMINE_TRACKER_ID"]),
        ({"open_status_id": 5}, ["no open status 5 Closed", "1 New", "REDMINE_OPEN_STATUS_ID"]),
        ({"priorities": {"critical": 9}}, ["no priority 9 for critical", "1 Low", "5 Immediate"]),
        ({"custom_field": "Key"}, ['"Key"', "subject", "filter"]),
        ({"custom_field": "99"}, ['"99"', "filter"]),
        ({"project": "nix"}, ["no project nix", "member"]),
    ],
)
def test_what_redmine_would_do_silently_is_said_beforehand(proxy, changes, words):
    proxy.server.create(proxy.project, "shows the custom fields")

    (told,) = adapter(proxy, **changes).preflight()

    assert [word for word in words if word not in told] == []


def test_a_wrong_key_is_said_with_what_to_do(proxy):
    with pytest.raises(DeliveryError, match="API key is wrong") as raised:
        adapter(proxy, token="f" * 40).preflight()

    assert raised.value.reason is Reason.UNAUTHORIZED


def test_a_project_that_is_not_there_waits_for_a_person(proxy):
    for ask in (lambda tickets: tickets.find("ab" * 10), lambda tickets: opened(tickets, alert())):
        with pytest.raises(DeliveryError, match="no such project") as raised:
            ask(adapter(proxy, project="nix"))
        assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_CONFIGURED, False)


def test_the_rehearsal_names_project_and_subject_and_asks_nobody():
    firing = alert(test=True)

    line = silent().dry_run(delivery(firing, receiver="redmine"), firing)

    assert line == "Redmine issue in ops: GitHub: Disruption with some GitHub services"


@pytest.mark.parametrize(
    "changes",
    [{"url": "redmine.example.com"}, {"project": "my project"}, {"tracker_id": 0}, {"text_formatting": "html"}],
)
def test_settings_that_cannot_be_are_refused(changes):
    with pytest.raises(ValidationError):
        Config(**changes)


def test_numbers_are_fine_where_names_are():
    settings = Config(project=7, custom_field=3, tracker_id="2")

    assert (settings.project, settings.custom_field, settings.tracker_id) == ("7", "3", 2)


@given(
    st.text(st.sampled_from("{}[]|*_-+^~%@!<>&\"'`\\#:=()./?;, \n\tabZ019rwé#日"), max_size=80),
    st.sampled_from(["textile", "markdown", "common_mark"]),
)
def test_escaped_text_means_nothing_and_loses_nothing(text, formatting):
    escaped = markup.escape(text, formatting)

    assert html.unescape(escaped).replace("\u2060", "").split() == text.split()
    assert not re.search(r"""[{}\[\]|*@!<>"`^~\\]|&(?!#?[a-z0-9]+;)|(?<![A-Za-z0-9&])#""", escaped)


@pytest.mark.parametrize("formatting", ["textile", "markdown", "common_mark"])
def test_a_description_fits_into_the_column_of_mysql(formatting):
    labels = {f"label-{n}": "|" * 500 for n in range(100)}
    told = notice(alert(description="|" * 8000, labels=labels, annotations=labels), Verb.OPEN, NOW)

    text = markup.description(told, formatting, previous="", mark="poc-x")

    assert len(text.encode()) <= 60_000
    assert re.search(r"\d+ more labels and annotations", text)


def silent(**changes: Any) -> Adapter:
    """An adapter whose Redmine nobody needs to ask."""
    return Adapter("redmine", Config(url="http://127.0.0.1:9", project="ops", token=JANE_KEY, **changes))
