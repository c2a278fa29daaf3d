"""What is special about Jira: two APIs, workflows, a search that lags, screens, strangers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Link, Remote
from service_event_checker.core.ports import DryRunnable, Findable, FindableByAlert, Inbound, Preflight, Reconcilable
from service_event_checker.core.vocabulary import ResolvedBy, Severity, Status, Verb
from service_event_checker.destinations.jira.adapter import Adapter, Config
from service_event_checker.destinations.jira.recent import REMEMBERED
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from tests.destinations.deliver import deliver
from tests.destinations.jira.double import Jira
from tests.doubles.base import Answer, Fault
from tests.factories import NOW, alert, delivery


@pytest.fixture(params=["cloud", "server"])
def jira(request: pytest.FixtureRequest) -> Iterator[Jira]:
    with Jira(api=request.param) as running:
        yield running


@pytest.fixture
def cloud() -> Iterator[Jira]:
    with Jira() as running:
        yield running


def adapter(jira: Jira, **changes: Any) -> Adapter:
    settings = {"url": jira.url, "project": jira.project, "email": jira.email, "token": jira.token, "api": jira.kind}
    return Adapter("jira", Config(**{**settings, "timeout": 5, **changes}))


def opened(jira: Jira, alert: Alert, link: Link | None = None, **changes: Any) -> Link:
    made = deliver(adapter(jira, **changes), delivery(alert, receiver="jira"), alert, link)
    assert made
    return made


def closed(jira: Jira, alert: Alert, link: Link, **changes: Any) -> Link:
    over = resolved(alert)
    done = deliver(adapter(jira, **changes), delivery(over, Verb.CLOSE, receiver="jira"), over, link)
    assert done
    return done


def resolved(alert: Alert) -> Alert:
    ended = {"ended_at": NOW + timedelta(minutes=42), "resolved_by": ResolvedBy.SOURCE}
    return replace(alert, status=Status.RESOLVED, revision=alert.revision + 1, **ended)


def told(destination: Adapter, alert: Alert, verb: Verb, link: Link, **changes: Any) -> None:
    deliver(destination, delivery(alert, verb, receiver="jira", **changes), alert, link)


def another(number: int) -> Alert:
    return alert(fingerprint=f"incident-{number}")


def only(jira: Jira) -> Any:
    (issue,) = jira.issues.values()
    return issue


def refusal(act: Any, *args: Any, **changes: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        act(*args, **changes)
    return raised.value


def test_it_can_be_searched_reconciled_adopted_from_rehearsed_and_talks_back(cloud):
    for port in (Findable, FindableByAlert, Reconcilable, Inbound, DryRunnable, Preflight):
        assert isinstance(adapter(cloud), port)


def test_an_issue_says_what_a_person_needs(jira):
    outage = alert(severity=Severity.CRITICAL)
    link = opened(jira, outage, labels=["team-web"], fields={"customfield_10010": {"value": "web"}})

    issue = only(jira)
    assert issue.fields["summary"] == "GitHub: Disruption with some GitHub services"
    assert (issue.fields["issuetype"], issue.fields["priority"]) == ({"name": "Bug"}, {"name": "Highest"})
    assert issue.fields["customfield_10010"] == {"value": "web"}
    keys = {f"poc-{remote_key(outage.key, 1)}", f"poc-alert-{outage.key}"}
    assert set(issue.labels) == {"platform-outage-checker", "team-web", *keys}
    for text in ("GitHub", "Firing", outage.description, outage.internal_id, f">{outage.url}</a>"):
        assert text in issue.shown
    assert (link.external_id, link.url) == ("10001", f"{jira.url}/browse/OPS-1")
    assert jira.refused == []


@pytest.mark.parametrize(
    ("changes", "api"),
    [
        ({"url": "https://example.atlassian.net/"}, "cloud"),
        ({"url": "https://example.jira.com"}, "cloud"),
        ({"url": "https://api.atlassian.com/ex/jira/11111111-2222-3333-4444-555555555555"}, "cloud"),
        ({"url": "https://jira.example.com/jira"}, "server"),
        ({"url": "https://jira.example.com", "api": "cloud"}, "cloud"),
        ({"url": "https://atlassian.net.evil.example"}, "server"),
    ],
)
def test_the_host_says_which_api_it_is_unless_the_file_does(changes, api):
    assert Config(**changes).which_api() == api


def test_a_cloud_without_an_email_address_is_off_and_a_server_is_not():
    assert "JIRA_EMAIL" in Config(url="https://example.atlassian.net", token="t", project="OPS").lacks()
    assert Config(url="https://example.atlassian.net", token="t", project="OPS", email="a@example.com").lacks() == ""
    assert Config(url="https://jira.example.com", token="t", project="OPS").lacks() == ""
    assert Config(url="https://api.atlassian.com/ex/jira/1", token="t", project="OPS").lacks() == ""


def test_a_server_takes_a_password_too():
    with Jira(api="server") as jira:
        jira.email = "outagebot"  # a user's name

        opened(jira, alert())

    assert jira.requests[-1].headers["Authorization"].startswith("Basic ")


def test_people_open_an_issue_at_the_site_where_the_api_is_asked_elsewhere(jira):
    made = opened(jira, alert(), site="https://example.atlassian.net/")

    assert made.url == "https://example.atlassian.net/browse/OPS-1"
    assert adapter(jira, site="https://example.atlassian.net").get_remote("10001").url == made.url


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "jira.example.com"},
        {"site": "javascript:alert(1)"},
        {"project": 'OPS" OR project = "HR'},
        {"project": "Operations team"},
        {"labels": ["two words"]},
        {"fields": {"labels": ["mine"]}},
        {"api": "v3"},
    ],
)
def test_settings_that_cannot_work_are_refused_at_start(wrong):
    with pytest.raises(ValidationError):
        Config(**wrong)


def test_a_project_without_bugs_gets_tasks_and_is_asked_once(jira):
    jira.types = ["Epic", "Task"]
    destination = adapter(jira)

    for number in range(2):
        deliver(destination, delivery(another(number), receiver="jira"), another(number), None)

    assert [issue.fields["issuetype"]["name"] for issue in jira.issues.values()] == ["Task", "Task"]
    assert sum("createmeta" in request.path for request in jira.requests) == 1


def test_several_issues_at_once_all_become_tasks_where_there_are_no_bugs(jira):
    jira.types = ["Epic", "Task"]
    destination = adapter(jira, timeout=10)

    with ThreadPoolExecutor(8) as threads:
        outages = [another(number) for number in range(8)]
        list(threads.map(lambda each: deliver(destination, delivery(each, receiver="jira"), each, None), outages))

    assert [issue.fields["issuetype"]["name"] for issue in jira.issues.values()] == ["Task"] * 8


@pytest.mark.parametrize(("types", "wanted"), [(["Epic", "Story"], "Bug"), (["Bug", "Task"], "Outage")])
def test_an_issue_type_that_is_not_there_is_refused_by_the_names_that_are(jira, types, wanted):
    jira.types = types

    error = refusal(opened, jira, alert(), issue_type=wanted)

    assert (error.reason, error.permanent) == (Reason.REFUSED, True)
    assert all(name in str(error) for name in (wanted, *types))
    assert "Sub-task" not in str(error)


def test_where_the_priority_is_unknown_the_issue_is_made_without_and_others_keep_theirs(jira):
    jira.priorities = ["High", "Low"]
    destination = adapter(jira)
    severities = [Severity.WARNING, Severity.ERROR, Severity.WARNING]

    for number, severity in enumerate(severities):
        outage = replace(another(number), severity=severity)
        deliver(destination, delivery(outage, receiver="jira"), outage, None)

    assert [issue.fields.get("priority") for issue in jira.issues.values()] == [None, {"name": "High"}, None]
    assert sum(r.method == "POST" and r.path.endswith("/issue") for r in jira.requests) == 4


def test_without_labels_on_the_screen_nothing_is_made_for_nobody_would_find_it(jira):
    jira.screen.discard("labels")

    error = refusal(opened, jira, alert())

    assert error.permanent
    assert "Put the field Labels on the create screen" in str(error)
    assert jira.issues == {}


def test_a_field_that_this_project_demands_is_named_and_can_be_given(jira):
    jira.required = {"customfield_10010"}

    error = refusal(opened, jira, alert())
    opened(jira, alert(), fields={"customfield_10010": "web"})

    assert error.permanent
    assert "customfield_10010 is required" in str(error)
    assert len(jira.issues) == 1


@pytest.mark.parametrize("status", ["To Do", "In Progress", "In Review"])
def test_it_is_closed_by_the_way_that_leads_to_done_from_where_it_stands(jira, status):
    outage = alert()
    link = opened(jira, outage)
    jira.person_moves("10001", status)

    done = closed(jira, outage, link)

    assert (only(jira).status, done.closed) == ("Done", True)
    assert "Resolved after 42 min" in only(jira).said[-1]
    assert jira.refused == []


@pytest.mark.parametrize("name", ["reject", "Won't Do"])
def test_the_transition_to_close_by_can_be_named_by_itself_or_its_status(jira, name):
    link = opened(jira, alert())

    closed(jira, alert(), link, close_transition=name)

    assert only(jira).status == "Won't Do"


def test_a_named_transition_that_is_not_offered_is_refused_by_those_that_are(jira):
    link = opened(jira, alert())

    error = refusal(closed, jira, alert(), link, close_transition="Resolve")

    assert error.permanent
    assert "no transition Resolve, but Close, Reject" in str(error)


def test_a_workflow_with_no_way_to_done_is_told_in_words_and_the_end_is_said_once(jira):
    jira.workflow["To Do"] = [("11", "Start", "In Progress")]
    link = opened(jira, alert())

    errors = [refusal(closed, jira, alert(), link) for _ in range(2)]

    assert all(error.permanent for error in errors)
    assert "for OPS-1 in To Do no transition leads to a status of the category Done" in str(errors[0])
    assert len(only(jira).said) == 1


@pytest.mark.parametrize(("configured", "given"), [("", "Done"), ("Duplicate", "Duplicate")])
def test_a_resolution_that_the_screen_demands_is_given(jira, configured, given):
    jira.demands_resolution = True
    link = opened(jira, alert())

    closed(jira, alert(), link, resolution=configured)

    assert only(jira).fields["resolution"] == {"name": given}


@pytest.mark.parametrize(("default", "status"), [(False, "Won't Do"), (True, "Done")])
def test_of_two_ways_to_done_that_which_asks_for_less_is_taken(jira, default, status):
    field = {"required": True, "hasDefaultValue": default, "name": "Cause", "key": "customfield_10010"}
    jira.screens = {"21": {"customfield_10010": field}}
    link = opened(jira, alert())

    closed(jira, alert(), link)

    assert only(jira).status == status


def test_a_resolution_is_not_given_where_no_screen_asks(jira):
    link = opened(jira, alert())

    closed(jira, alert(), link, resolution="Duplicate")

    assert (only(jira).status, jira.refused) == ("Done", [])


def test_a_resolution_that_jira_does_not_know_is_a_permanent_refusal_in_its_words(jira):
    jira.demands_resolution = True
    link = opened(jira, alert())

    error = refusal(closed, jira, alert(), link, resolution="Solved")

    assert error.permanent
    assert "transition Close of OPS-1" in str(error)
    assert "Resolution is required" in str(error)


def test_a_workflow_that_brings_it_elsewhere_after_all_is_no_success(jira):
    jira.post_function = "In Review"
    link = opened(jira, alert())

    error = refusal(closed, jira, alert(), link)

    assert error.permanent
    assert "OPS-1 is in In Review after the transition Close" in str(error)


def test_a_person_who_closes_it_in_the_same_moment_is_no_trouble(jira):
    jira.meanwhile = "Won't Do"
    link = opened(jira, alert())

    closed(jira, alert(), link)

    assert only(jira).status == "Won't Do"


def test_an_issue_that_somebody_is_changing_is_tried_again(jira):
    jira.busy = 1
    link = opened(jira, alert())

    error = refusal(closed, jira, alert(), link)
    closed(jira, alert(), link)

    assert (error.reason, error.permanent) == (Reason.REFUSED, False)
    assert (only(jira).status, len(only(jira).said)) == ("Done", 1)


@pytest.mark.parametrize("ended", ["Done", "Won't Do"])
def test_a_later_episode_opens_it_again_and_says_so_once(jira, ended):
    outage = alert()
    link = opened(jira, outage)
    jira.person_moves("10001", ended)
    again = replace(outage, episode=2, revision=3)

    links = [opened(jira, again, replace(link, closed=True)) for _ in range(2)]

    assert [(each.external_id, each.closed) for each in links] == [("10001", False)] * 2
    assert only(jira).status == "To Do"
    assert [text.count("Opened again (episode 2)") for text in only(jira).said] == [1]


def test_it_is_opened_again_to_the_first_beginning_that_the_workflow_offers(jira):
    link = opened(jira, alert())
    jira.person_closes("10001")
    jira.workflow["Done"] = [("72", "Resume", "In Progress"), ("73", "Reopen", "To Do"), ("74", "Put off", "Backlog")]

    opened(jira, alert(episode=2, revision=3), link)

    assert only(jira).status == "To Do"


def test_a_later_episode_is_told_also_where_somebody_has_opened_it_again_already(jira):
    link = opened(jira, alert())
    jira.person_moves("10001", "In Progress")

    opened(jira, alert(episode=2, revision=3), link)

    assert only(jira).status == "In Progress"
    assert "Opened again (episode 2)" in only(jira).said[0]


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE])
def test_nothing_is_done_to_what_has_the_same_id_at_another_site(jira, verb):
    elsewhere = replace(opened(jira, alert()), url="https://other.example/browse/OPS-1")
    before = len(jira.requests)

    with pytest.raises(DeliveryError, match="belongs to another address: https://other.example/") as raised:
        told(adapter(jira), alert(revision=2), verb, elsewhere)

    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_FOUND, True)
    assert len(jira.requests) == before


def test_what_was_closed_at_another_site_gets_one_new_issue_that_names_it(jira):
    stranger = opened(jira, alert(fingerprint="another"))
    elsewhere = replace(
        stranger, key=alert().key, remote_key=remote_key(alert().key, 1), url="https://other.example/browse/OPS-1"
    )
    again = alert(episode=2, revision=3)

    first, second = opened(jira, again, elsewhere), opened(jira, again, elsewhere)

    assert first.external_id == second.external_id != stranger.external_id
    assert first.previous == "https://other.example/browse/OPS-1"
    assert jira.issues[stranger.external_id].said == []


def test_an_issue_is_known_by_the_site_and_by_where_the_api_is_asked(jira):
    link = opened(jira, alert())
    shown = replace(link, url="https://acme.example/browse/OPS-1")

    for each in (link, shown):
        told(adapter(jira, site="https://acme.example"), alert(revision=2), Verb.NOTE, each, note="a word")

    assert len(only(jira).said) == 1


@pytest.mark.parametrize("known", [True, False])
def test_a_clone_that_a_person_made_is_no_issue_of_ours(jira, known):
    jira.names_callers = known
    outage = alert()
    link = opened(jira, outage)
    jira.person_clones(link.external_id)

    listed, found = adapter(jira).open_objects(), adapter(jira).find_open_for(outage.key)

    assert [each.external_id for each in listed] == [link.external_id]
    assert found
    assert found.external_id == link.external_id


def test_a_clone_of_what_is_over_is_not_taken_for_ours(jira):
    outage = alert()
    link = opened(jira, outage)
    jira.person_closes(link.external_id)
    jira.person_clones(link.external_id)

    assert adapter(jira).open_objects() == []
    assert adapter(jira).find_open_for(outage.key) is None


def test_where_reopening_is_refused_one_new_issue_names_the_old(jira):
    outage = alert()
    link = opened(jira, outage)
    jira.person_closes("10001")
    jira.workflow["Done"] = []
    again = replace(outage, episode=2, revision=3)

    links = [opened(jira, again, link) for _ in range(2)]

    assert [each.external_id for each in links] == ["10002", "10002"]
    assert links[0].remote_key == remote_key(outage.key, 2)
    assert "Previous ticket:" in jira.issues["10002"].shown
    assert f"{jira.url}/browse/OPS-1" in jira.issues["10002"].shown
    assert only_labels(jira, "10002") == {f"poc-{remote_key(outage.key, 2)}", f"poc-alert-{outage.key}"}


def only_labels(jira: Jira, id: str) -> set[str]:
    return set(jira.issues[id].labels) - {"platform-outage-checker"}


def test_a_comment_is_told_once_also_behind_a_hundred_others(jira):
    destination = adapter(jira)
    link = opened(jira, alert())
    told(destination, alert(), Verb.NOTE, link, actor="alice", note="looking into it")
    for number in range(150):
        jira.person_comments("10001", f"me too {number}")

    told(destination, alert(), Verb.NOTE, link, actor="alice", note="looking into it")

    assert sum("looking into it" in text for text in only(jira).said) == 1


def test_of_very_many_comments_the_newest_are_looked_at(jira):
    destination = adapter(jira)
    link = opened(jira, alert())
    for number in range(1000):
        jira.person_comments("10001", f"me too {number}")

    for _ in range(2):
        told(destination, alert(), Verb.NOTE, link, actor="alice", note="looking into it")

    assert len(only(jira).comments) == 1001


def test_what_this_process_made_is_found_before_the_search_shows_it(cloud):
    cloud.search_lag = 3600
    destination = adapter(cloud)
    outage = alert()
    link = deliver(destination, delivery(outage, receiver="jira"), outage, None)

    assert destination.find(remote_key(outage.key, 1)).external_id == link.external_id
    assert destination.find_open_for(outage.key).external_id == link.external_id
    assert [each.external_id for each in destination.open_objects()] == [link.external_id]
    assert adapter(cloud).find(remote_key(outage.key, 1)) is None  # another process has to wait


def test_another_process_finds_it_when_the_search_has_caught_up(cloud):
    now = [1000.0]
    cloud.clock, cloud.search_lag = (lambda: now[0]), 30
    outage = alert()
    opened(cloud, outage)

    before = adapter(cloud).find(remote_key(outage.key, 1))
    now[0] += 31
    after = adapter(cloud).find(remote_key(outage.key, 1))

    assert (before, after.external_id) == (None, "10001")


def test_what_this_process_made_and_somebody_deleted_is_not_found(cloud):
    destination = adapter(cloud)
    deliver(destination, delivery(alert(), receiver="jira"), alert(), None)
    cloud.issues.clear()

    assert destination.find(remote_key(alert().key, 1)) is None


def test_only_so_many_issues_are_remembered_and_fewer_are_asked_for_by_id(cloud):
    cloud.search_lag = 3600
    destination = adapter(cloud)
    for number in range(REMEMBERED + 1):
        deliver(destination, delivery(another(number), receiver="jira"), another(number), None)

    found = [destination.find(remote_key(another(number).key, 1)) is not None for number in (0, 1, REMEMBERED)]

    assert found == [False, True, True]
    assert len(destination.open_objects()) == 50
    assert cloud.refused == []


def test_a_search_is_believed_by_the_label_that_comes_back(jira):
    opened(jira, alert())
    only(jira).fields["labels"] = [label.upper() for label in only(jira).labels]
    only(jira).history[-1][1]["labels"] = only(jira).labels

    assert adapter(jira).find(remote_key(alert().key, 1)) is None
    assert adapter(jira).find_open_for(alert().key) is None
    assert adapter(jira).open_objects() == []


def test_what_is_over_or_not_ours_by_now_is_not_listed_however_old_the_index(cloud):
    for number in range(3):
        opened(cloud, another(number))
    cloud.search_lag, cloud.shows_now = 3600, True
    for issue in cloud.issues.values():
        issue.history[0] = (issue.history[0][0] - 7200, issue.history[0][1])
    cloud.person_closes("10001")
    cloud.issues["10002"].fields["labels"] = [f"poc-{remote_key(another(1).key, 1)}"]

    assert [each.external_id for each in adapter(cloud).open_objects()] == ["10003"]
    assert adapter(cloud).find_open_for(another(0).key) is None


def test_all_open_issues_are_listed_over_many_pages_with_what_people_did(jira):
    jira.page = 2
    for number in range(7):
        opened(jira, another(number))
    jira.person_closes("10001")
    jira.person_moves("10002", "In Review")
    started = datetime.now(UTC)

    listed = adapter(jira).open_objects()

    assert [each.external_id for each in listed] == [str(10000 + number) for number in range(2, 8)]
    assert [each.status for each in listed] == [Status.ACKNOWLEDGED] + [Status.FIRING] * 5
    assert listed[0].remote_key == remote_key(another(1).key, 1)
    assert listed[0].url == f"{jira.url}/browse/OPS-2"
    assert abs(listed[0].created_at - started) < timedelta(minutes=1)
    assert abs(listed[0].at - started) < timedelta(minutes=1)
    assert jira.refused == []


def test_a_list_that_breaks_off_is_no_list(jira):
    jira.page = 1
    for number in range(3):
        opened(jira, another(number))
    destination = adapter(jira)
    jira.script.extend([None, None])
    jira.script.append(next(fault for fault in jira.FAULTS if fault.value == "500"))

    assert refusal(destination.open_objects).reason is Reason.SERVER_ERROR


def test_a_search_that_never_ends_is_given_up(jira):
    page = {"issues": [], "nextPageToken": "again", "isLast": False, "total": 10**9}
    jira.odd = {
        "/search/jql": Answer.json(page),
        "/search": Answer.json({**page, "issues": [{"id": "1", "key": "A-1"}]}),
    }

    assert refusal(adapter(jira).open_objects).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("value", [{"issues": None, "total": 0}, {"issues": {}}, [], {"issues": [{"key": "OPS-1"}]}])
def test_a_list_that_is_none_is_not_an_empty_one(jira, value):
    jira.odd = {"/search/jql": Answer.json(value), "/search": Answer.json(value)}

    error = refusal(adapter(jira).open_objects)

    assert (error.reason, error.permanent) == (Reason.GARBAGE, False)


@pytest.mark.parametrize("value", [{"issues": [], "total": "0"}, {"issues": [], "total": 3}])
def test_a_list_of_a_server_that_does_not_hold_its_total_is_none(value):
    with Jira(api="server") as jira:
        jira.odd = {"/search": Answer.json(value)}

        assert refusal(adapter(jira).open_objects).reason is Reason.GARBAGE


@pytest.mark.parametrize("value", [[], {}, {"id": 10001, "key": "OPS-1"}])
def test_an_issue_that_is_none_is_not_gone(jira, value):
    jira.odd = {"/10001": Answer.json(value)}

    error = refusal(adapter(jira).get_remote, "10001")

    assert (error.reason, error.permanent) == (Reason.GARBAGE, False)


def test_a_single_sign_on_in_front_of_it_is_no_answer(jira):
    jira.odd = {"/issue": Answer(302, b"", {"Location": "https://login.example.com/"})}

    error = refusal(opened, jira, alert())

    assert (error.reason, error.permanent) == (Reason.UNAUTHORIZED, False)


def test_a_refusal_without_words_is_told_by_its_number(jira):
    jira.odd = {"/issue": Answer(422, b"<html>", {"Content-Type": "text/html"})}

    error = refusal(opened, jira, alert())

    assert error.permanent
    assert "HTTP 422" in str(error)


@pytest.mark.parametrize(
    ("status", "seen"),
    [("To Do", Status.FIRING), ("In Progress", Status.ACKNOWLEDGED), ("Won't Do", Status.RESOLVED)],
)
def test_one_issue_is_seen_as_it_is_now(jira, status, seen):
    opened(jira, alert())
    jira.person_moves("10001", status)

    remote = adapter(jira).get_remote("10001")

    assert (remote.status, remote.remote_key) == (seen, remote_key(alert().key, 1))


def test_an_issue_that_was_deleted_is_gone_for_good(jira):
    assert adapter(jira).get_remote("4711") is None


def test_a_duplicate_is_closed_with_a_comment_that_names_the_other_once(jira):
    opened(jira, alert())
    opened(jira, alert())
    destination = adapter(jira)
    kept, duplicate = (destination.get_remote(id) for id in ("10001", "10002"))

    for _ in range(2):
        destination.close_duplicate(duplicate, kept)

    assert [jira.issues[id].status for id in ("10001", "10002")] == ["To Do", "Done"]
    (said,) = jira.issues["10002"].said
    assert f"{jira.url}/browse/OPS-1" in said
    assert jira.refused == []


def test_to_a_revoked_key_nothing_is_gone_and_nothing_is_refused(cloud):
    """Cloud takes a caller with a revoked API token for a stranger: 404, 400 and empty lists in place of 401."""
    link = opened(cloud, alert())
    cloud.strangers, cloud.token = True, "another one"
    stranger = adapter(cloud, token="revoked")
    duplicate = Remote(external_id="10001", remote_key="ab", status=Status.FIRING)

    errors = [
        refusal(deliver, stranger, delivery(another(1), receiver="jira"), another(1), None),
        refusal(told, stranger, alert(), Verb.NOTE, link),
        refusal(stranger.get_remote, "10001"),
        refusal(stranger.open_objects),
        refusal(stranger.close_duplicate, duplicate, duplicate),
    ]

    assert [(error.reason, error.permanent) for error in errors] == [(Reason.UNAUTHORIZED, False)] * 5


def test_a_search_that_says_that_it_does_not_know_us_finds_nothing_out(cloud):
    opened(cloud, alert())
    cloud.strangers = cloud.tells_strangers = True

    error = refusal(adapter(cloud, token="revoked").find, remote_key(alert().key, 1))

    assert (error.reason, error.permanent) == (Reason.UNAUTHORIZED, False)


def test_a_refusal_that_says_that_it_does_not_know_us_is_not_asked_about(cloud):
    link = opened(cloud, alert())
    cloud.strangers = cloud.tells_strangers = True
    cloud.requests.clear()

    error = refusal(told, adapter(cloud, token="revoked"), alert(), Verb.NOTE, link)

    assert (error.reason, error.permanent) == (Reason.UNAUTHORIZED, False)
    assert not any(request.path.endswith("/myself") for request in cloud.requests)


def test_a_limit_is_called_by_its_name(jira):
    jira.limits = {"RateLimit-Reason": "jira-burst-based"}
    jira.script.append(Fault.RATE_LIMIT)

    error = refusal(opened, jira, alert())

    assert (error.reason, error.retry_after) == (Reason.RATE_LIMITED, 1)
    assert "jira-burst-based" in str(error)


@pytest.mark.parametrize("silent", [True, False])
def test_a_captcha_after_failed_logins_is_called_by_its_name(silent):
    with Jira(api="server") as jira:
        jira.email, jira.captcha, jira.silent_captcha = "outagebot", True, silent

        error = refusal(opened, jira, alert())

    assert (error.reason, error.permanent) == (Reason.UNAUTHORIZED, False)
    assert "CAPTCHA" in str(error)


def test_a_project_that_is_not_there_is_a_permanent_refusal(jira):
    error = refusal(opened, jira, alert(), project="NONE")

    assert error.permanent
    assert "valid project is required" in str(error)


def test_a_dry_run_says_what_would_be_made(jira):
    line = adapter(jira).dry_run(delivery(alert(), receiver="jira"), alert())

    assert line == "Bug in OPS: GitHub: Disruption with some GitHub services"
    assert jira.requests == []


def test_a_project_that_fits_needs_no_warning(jira):
    assert adapter(jira).preflight() == []


def test_what_a_person_should_mend_is_told_beforehand(jira):
    jira.screen.discard("labels")
    jira.required = {"customfield_10010"}
    jira.priorities = ["High", "Low"]

    warnings = adapter(jira).preflight()

    assert len(warnings) == 3
    assert "Labels is not on the create screen of Bug in OPS" in warnings[0]
    assert "(customfield_10010) is required" in warnings[1]
    assert "has no Highest, Medium (it has High, Low)" in warnings[2]
    assert adapter(jira, issue_type="Outage").preflight() == [
        "OPS has no issue type Outage. It has: Bug, Story, Task. Set `issue_type`"
    ]


def test_a_wrong_key_is_told_at_start(jira):
    assert refusal(adapter(jira, token="wrong").preflight).reason is Reason.UNAUTHORIZED


def test_what_came_from_a_vendor_is_no_markup_in_an_issue(jira):
    hostile = "{color:red}x{color} [click|https://evil.example] !https://evil.example/x.png! *bold*\nh1. Big\n# one"
    outage = alert(title=hostile, description=hostile, labels={"component": hostile}, owner=hostile)
    link = opened(jira, outage)
    told(adapter(jira), outage, Verb.NOTE, link, actor=hostile, note=hostile)

    shown = only(jira).shown
    for active in ("<macro", "<img", "<b>x", "<h1>", "<li>", "<b>bold", "href='https://evil", 'href="https://evil'):
        assert active not in shown
    assert "{color:red}x{color} [click|https://evil.example] !https://evil.example/x.png! *bold*" in shown
    assert jira.refused == []


def test_the_secrets_are_in_no_error_and_no_representation(jira):
    destination = adapter(jira, webhook_secret="canary-hook")
    jira.echo_credentials = True
    pair = base64.b64encode(f"{jira.email}:{jira.token}".encode()).decode()

    error = refusal(opened, jira, alert(), project="NONE")

    for text in (str(error), repr(error), repr(destination.config), json.dumps(vars(error), default=str)):
        assert jira.token not in text
        assert pair not in text
        assert "canary-hook" not in text


def test_the_double_refuses_what_jira_would(jira):
    """The other API's form of a text, spaces in labels, long or broken summaries, unknown fields, unbounded queries."""
    pair = f"Basic {base64.b64encode(f'{jira.email}:{jira.token}'.encode()).decode()}"
    http = Http(jira.url, headers={"Authorization": pair if jira.email else f"Bearer {jira.token}"})
    root = f"rest/api/{3 if jira.cloud else 2}"
    document = {"type": "doc", "version": 1, "content": []}
    good = {"project": {"key": "OPS"}, "issuetype": {"name": "Bug"}, "summary": "x"}
    good["description"] = document if jira.cloud else "x"
    wrong: list[dict[str, Any]] = [
        {"description": "x" if jira.cloud else document},
        {"labels": ["two words"]},
        {"summary": "x" * 256},
        {"summary": "two\nlines"},
        {"severity": "high"},
    ]
    asked = [("issue", {"fields": {**good, **one}}) for one in wrong]
    asked.append(("search/jql" if jira.cloud else "search", {"jql": "ORDER BY created ASC"}))
    asked.append(("search" if jira.cloud else "search/jql", {"jql": 'project = "OPS"'}))

    for path, body in asked:
        with pytest.raises(HttpError):
            http.send("POST", f"{root}/{path}", json=body)

    assert (len(jira.refused), jira.issues) == (7, {})


def test_a_field_that_a_validator_demands_without_a_screen_is_set_before_the_transition(jira):
    jira.validator = "customfield_10010"
    outage = alert()
    link = opened(jira, outage)

    closed(jira, outage, link, close_fields={"customfield_10010": {"value": "vendor"}})

    assert (only(jira).status, only(jira).fields["customfield_10010"]) == ("Done", {"value": "vendor"})
    assert jira.refused == []


def test_a_field_of_the_transitions_screen_is_given_with_the_transition(jira):
    field = {"required": True, "name": "Root cause", "hasDefaultValue": False, "schema": {}}
    jira.screens = {"21": {"customfield_10010": field}}
    outage = alert()
    link = opened(jira, outage)

    closed(jira, outage, link, close_transition="Close", close_fields={"customfield_10010": "vendor"})

    assert (only(jira).status, only(jira).fields["customfield_10010"]) == ("Done", "vendor")
    assert not any(request.method == "PUT" for request in jira.requests)


@pytest.mark.parametrize("name", ["resolution", "status", "summary", "labels"])
def test_what_has_a_key_of_its_own_is_not_a_close_field(name):
    with pytest.raises(ValidationError, match=name):
        Config(close_fields={name: "x"})
