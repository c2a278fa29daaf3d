"""What people do to an issue comes back by a webhook; what we did, and what is nobody's, does not.

Payloads as the double makes them, in the shape of https://developer.atlassian.com/cloud/jira/platform/webhooks/.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Verb
from service_event_checker.destinations.jira.adapter import Adapter, Config
from tests.destinations.deliver import deliver
from tests.destinations.jira.double import SECRET, Hook, Jira
from tests.factories import alert, delivery
from tests.strategies import REPEATABLE, json_values

SAMPLES = Path(os.environ.get("SAMPLES_DIR", "/nonexistent")) / "jira"
ACKNOWLEDGED, UNACKNOWLEDGED = EventStatus.ACKNOWLEDGED, EventStatus.UNACKNOWLEDGED
RESOLVED, NOTED = EventStatus.RESOLVED, EventStatus.NOTED
ALICE = {"accountId": "99:alice", "displayName": "Alice Archer"}


@pytest.fixture(params=["cloud", "server"])
def jira(request: pytest.FixtureRequest) -> Iterator[Jira]:
    """A Jira that holds one issue of ours, 10001."""
    with Jira(api=request.param) as running:
        deliver(adapter(running), delivery(alert(), receiver="jira"), alert(), None)
        yield running


def adapter(jira: Jira | None = None, **changes: Any) -> Adapter:
    known = {"url": jira.url, "email": jira.email, "token": jira.token, "api": jira.kind} if jira else {}
    settings = {"url": "http://127.0.0.1:1", "token": "t", "project": "OPS", "webhook_secret": SECRET, **known}
    return Adapter("jira", Config(**{**settings, "timeout": 5, **changes}))


def parsed(hook: Hook, destination: Adapter | None = None) -> list[Event]:
    headers, body = hook
    return (destination or adapter()).parse(headers, json.loads(body))


def moved(category: str = "indeterminate", **fields: Any) -> dict[str, Any]:
    status = {"name": "In Arbeit", "id": "3", "statusCategory": {"id": 4, "key": category}}
    item = {
        "field": "status",
        "fieldtype": "jira",
        "from": "1",
        "fromString": "Offen",
        "to": "3",
        "toString": "In Arbeit",
    }
    return {
        "timestamp": 1485797534721,
        "webhookEvent": "jira:issue_updated",
        "user": ALICE,
        "issue": {"id": "10001", "key": "OPS-1", "fields": {"status": status, **fields}},
        "changelog": {"id": "1", "items": [{"field": "assignee"}, item]},
    }


def commented(body: Any, **more: Any) -> dict[str, Any]:
    comment = {"id": "20001", "author": ALICE, "body": body, "created": "2017-01-30T18:32:14.716+0100", **more}
    issue = {"id": "10001", "key": "OPS-1", "fields": {"summary": "x"}}
    return {"timestamp": 1485797534721, "webhookEvent": "comment_created", "comment": comment, "issue": issue}


def said(body: Any) -> str:
    (event,) = adapter().parse({}, commented(body))
    return event.note


@pytest.mark.parametrize(
    ("status", "told"),
    [("In Progress", ACKNOWLEDGED), ("In Review", ACKNOWLEDGED), ("Done", RESOLVED), ("Won't Do", RESOLVED)],
)
def test_what_a_person_does_is_told_by_name_and_by_the_category_of_the_status(jira, status, told):
    before = datetime.now(UTC)

    (event,) = parsed(jira.person_moves("10001", status))

    assert (event.status, event.actor) == (told, "Alice Archer")
    assert (event.ref, event.via, event.intake) == (("jira", "10001"), "jira", "/hooks/jira")
    assert abs(event.at - before) < timedelta(minutes=1)
    assert event.at.utcoffset() == timedelta(0)


def test_back_to_the_beginning_takes_the_acknowledgement_back(jira):
    jira.person_moves("10001", "In Progress")

    (event,) = parsed(jira.person_moves("10001", "To Do"))

    assert event.status is UNACKNOWLEDGED


def test_a_status_of_no_known_category_and_other_changes_are_no_news():
    other = moved()
    other["changelog"]["items"] = [{"field": "priority", "toString": "High"}]

    assert adapter().parse({}, moved("undefined")) == []
    assert adapter().parse({}, other) == []


def test_a_comment_of_a_person_is_a_note_with_its_own_id_and_time(jira):
    hook = jira.person_comments("10001", "We are on it.\nETA 10 min")

    (event,) = parsed(hook)

    assert (event.status, event.note, event.actor) == (NOTED, "We are on it.\nETA 10 min", "Alice Archer")
    assert event.note_id == jira.issues["10001"].comments[-1]["id"]
    assert event.ref == ("jira", "10001")


def test_a_comments_time_is_that_of_its_last_change():
    payload = commented("x", updated="2017-01-30T19:00:00.000+0100")

    assert adapter().parse({}, payload)[0].at == datetime(2017, 1, 30, 18, 0, tzinfo=UTC)
    assert adapter().parse({}, commented("x"))[0].at == datetime(2017, 1, 30, 17, 32, 14, 716000, tzinfo=UTC)


def test_a_comment_as_a_document_is_read_as_text():
    mention = {"type": "mention", "attrs": {"id": "99:bob", "text": "@Bob"}}
    line = [{"type": "text", "text": "Ask "}, mention, {"type": "hardBreak"}, {"type": "text", "text": "now"}]
    card = {"type": "blockCard", "attrs": {"url": "https://example.com/x"}}
    document = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": line}, card]}

    assert said(document) == "Ask @Bob\nnow\nhttps://example.com/x"


def test_a_change_with_a_comment_is_two_events_the_comment_first():
    payload = {**moved("done", labels=["platform-outage-checker"]), "comment": commented("Fixed it")["comment"]}

    events = adapter().parse({}, payload)

    assert [(event.status, event.note) for event in events] == [(NOTED, "Fixed it"), (RESOLVED, "")]


def test_our_own_comments_do_not_come_back_whatever_their_length(jira):
    destination = adapter(jira)
    long = alert(description="word " * 5000)
    for verb in (Verb.UPDATE, Verb.NOTE, Verb.ACK):
        link = destination.find_open_for(long.key)
        deliver(destination, delivery(long, verb, receiver="jira", actor="bob", note="n " * 3000), long, link)

    hooks = [jira.comment_hook("10001", number) for number in range(3)]

    assert [parsed(hook) for hook in hooks] == [[], [], []]  # by the signature: this adapter has asked nobody


def test_a_person_who_answers_below_our_comment_is_heard():
    ours = "Note from bob: x\n\nPlatform Outage Checker 0123456789abcdef"

    assert adapter().parse({}, commented(ours)) == []
    assert "My answer" in said(ours + "\n\nMy answer")


def test_what_our_own_account_did_does_not_come_back(jira):
    jira.names_callers = False
    destination = adapter(jira)
    hook = jira.webhook("jira:issue_updated", jira.issues["10001"], who=jira.me, changelog=[{"field": "status"}])
    jira._add_comment(jira.issues["10001"], jira._as_body("by hand, with the same account"), jira.me)
    hooks = [hook, jira.comment_hook("10001")]

    before = [parsed(each, destination) for each in hooks]
    destination.preflight()
    after = [parsed(each, destination) for each in hooks]

    assert [len(events) for events in before] == [1, 1]
    assert after == [[], []]


def test_any_answer_of_jira_tells_whose_key_we_use(jira):
    destination = adapter(jira)
    hook = jira.webhook("jira:issue_updated", jira.issues["10001"], who=jira.me, changelog=[{"field": "status"}])

    destination.find_open_for(alert().key)

    assert parsed(hook, destination) == []


def test_issues_without_our_label_are_nobodys_business():
    comment = commented("x")
    comment["issue"]["fields"]["labels"] = []

    assert adapter().parse({}, moved("done", labels=["other"])) == []
    assert adapter().parse({}, comment) == []
    assert len(adapter().parse({}, moved("done", labels=["platform-outage-checker"]))) == 1


def test_a_comment_for_some_eyes_only_is_not_told_to_all():
    assert adapter().parse({}, commented("secret", visibility={"type": "role", "value": "Administrators"})) == []


@pytest.mark.parametrize("event", ["jira:issue_created", "comment_deleted", "sprint_started", ""])
def test_other_events_are_no_news(event):
    assert adapter().parse({}, {**moved("done"), "webhookEvent": event}) == []


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        ([], "body"),
        (None, "body"),
        ({}, "webhookEvent"),
        ({"webhookEvent": 7}, "webhookEvent"),
        ({"webhookEvent": "jira:issue_updated"}, "issue"),
        ({**moved(), "issue": {"key": "OPS-1"}}, "issue.id"),
        ({**moved(), "issue": {"id": 10001}}, "issue.id"),
        ({**moved(), "issue": {"id": "１２", "fields": {}}}, "issue.id"),
        ({**moved(), "issue": {"id": "1", "fields": []}}, "issue.fields"),
        ({**moved(), "issue": {"id": "1"}}, "issue.fields.status.statusCategory.key"),
        ({**moved(), "changelog": "x"}, "changelog"),
        ({**moved(), "changelog": {"items": {}}}, "changelog.items"),
        ({**moved(), "changelog": {"items": [None]}}, "changelog.items[0]"),
        ({**moved(), "user": "alice"}, "user"),
        ({**commented("x"), "comment": None}, "comment"),
        (commented("x", id=None), "comment.id"),
        (commented(7), "comment.body"),
        (commented("x", author="alice"), "comment.author"),
    ],
)
def test_what_is_no_webhook_of_jira_is_refused_by_its_place(payload, where):
    with pytest.raises(InvalidInput) as raised:
        adapter().parse({}, payload)

    assert raised.value.where == where
    assert raised.value.hint


@pytest.mark.parametrize("stamp", [None, -1, 10**30, True, "1485797534721", 1.5])
def test_a_time_that_is_none_is_left_out(stamp):
    assert adapter().parse({}, {**moved(), "timestamp": stamp})[0].at is None


@pytest.mark.parametrize("time", ["yesterday", "2017-13-45T00:00:00.000+0100", 7, None, "0001-01-01T00:00:00+2300"])
def test_a_comments_time_that_is_none_is_that_of_the_webhook(time):
    (event,) = adapter().parse({}, commented("x", created=time))

    assert event.at == datetime(2017, 1, 30, 17, 32, 14, 721000, tzinfo=UTC)


def test_endless_text_is_cut():
    assert len(said("word " * 2_000_000)) == 8000
    (event,) = adapter().parse({}, {**moved(), "user": {"displayName": "A" * 5_000_000}})
    assert len(event.actor) == 200


@REPEATABLE
@given(st.data())
def test_a_webhook_with_anything_in_any_place_is_read_or_refused(data):
    payload: Any = {**moved("done"), "comment": commented({"type": "doc", "content": [{"type": "text"}]})["comment"]}
    payload = json.loads(json.dumps(payload))  # shares nothing with the next example
    payload["webhookEvent"] = data.draw(st.sampled_from(["jira:issue_updated", "comment_created", "comment_updated"]))
    place = payload
    while True:
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[name], dict | list) or not place[name] or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = data.draw(json_values)

    taken_or_refused(payload)


def taken_or_refused(payload: Any) -> None:
    try:
        events = adapter().parse({}, payload)
    except InvalidInput:
        return
    for event in events:
        assert event.ref is not None
        assert event.ref[0] == "jira"
        assert event.status is not NOTED or event.note


def test_the_published_vector_is_authentic():
    """https://developer.atlassian.com/cloud/jira/platform/webhooks/#secure-admin-webhooks"""
    told = {"x-hub-signature": "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"}

    assert adapter(webhook_secret="It's a Secret to Everybody").verify_signature(told, b"Hello World!") is True


def test_a_signature_holds_for_this_body_and_no_other(jira):
    headers, body = jira.person_closes("10001")
    destination = adapter()

    assert destination.verify_signature({name.upper(): value for name, value in headers.items()}, body) is True
    for place in range(0, len(body), 7):
        flipped = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        assert destination.verify_signature(headers, flipped) is False


@pytest.mark.parametrize(
    "change",
    [
        lambda right: {},
        lambda right: {"X-Hub-Signature": ""},
        lambda right: {"X-Hub-Signature": right.removeprefix("sha256=")},
        lambda right: {"X-Hub-Signature": right.replace("sha256=", "sha1=")},
        lambda right: {"X-Hub-Signature": right[:-1]},
        lambda right: {"X-Hub-Signature": right[:-1] + "é"},
        lambda right: {"X-Hub-Signature": right[:-1] + "\ud800"},
        lambda right: {"X-Hub-Signature-256": right},
    ],
)
def test_any_other_signature_is_simply_wrong(change):
    headers, body = Jira().signed({"webhookEvent": "x"})

    assert adapter().verify_signature(change(headers["X-Hub-Signature"]), body) is False


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="SAMPLES_DIR names no folder with recorded payloads")
def test_recorded_webhooks_are_read():
    files = sorted(SAMPLES.glob("webhook-*.json"))
    assert files
    for file in files:
        payload = json.loads(file.read_text())
        payload["issue"]["fields"].pop("labels", None)  # as if it were ours

        (event,) = adapter().parse({}, payload)

        assert (event.status, event.ref) == (ACKNOWLEDGED, ("jira", "10000"))
        assert event.actor == "James Williams"


@pytest.mark.parametrize(("resolution", "not_fixed"), [("Duplicate", True), ("Done", False), (None, False)])
def test_an_issue_that_is_closed_as_a_duplicate_is_not_fixed(jira, resolution, not_fixed):
    (event,) = parsed(jira.person_closes("10001", resolution=resolution or ""))

    assert (event.status, event.not_fixed) == (RESOLVED, not_fixed)
    assert event.note == ("closed as Duplicate in Jira" if not_fixed else "")


def test_an_issue_that_was_deleted_is_over_there_and_not_fixed(jira):
    (event,) = parsed(jira.webhook("jira:issue_deleted", jira.issues["10001"], who=ALICE))

    assert (event.status, event.not_fixed, event.note) == (RESOLVED, True, "deleted in Jira")
    assert event.actor == "Alice Archer"


def test_an_issue_that_was_moved_is_noted_by_its_new_key(jira):
    item = {"field": "Key", "fromString": "OPS-1", "toString": "WEB-7"}
    hook = jira.webhook("jira:issue_updated", jira.issues["10001"], who=ALICE, changelog=[item])

    (event,) = parsed(hook)

    assert (event.status, event.note) == (NOTED, "moved in Jira, and is WEB-7 now")
