"""What is special about Azure DevOps: processes and their states, the PAT, revisions, pauses."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from service_event_checker.config.models import secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Link
from service_event_checker.core.vocabulary import Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.destinations.azure_devops.adapter import Adapter, Config
from tests.destinations.azure_devops.double import BATCH_MAX, PAT, AzureDevOps
from tests.destinations.deliver import deliver
from tests.factories import NOW, alert, delivery


@pytest.fixture
def boards() -> Iterator[AzureDevOps]:
    with AzureDevOps() as running:
        yield running


def adapter(boards: AzureDevOps, **changes: Any) -> Adapter:
    settings = {"url": boards.org_url, "project": boards.project, "token": boards.pat, "timeout": 5}
    return Adapter("azure_devops", Config(**{**settings, **changes}))


def opened(boards: AzureDevOps, alert: Alert, link: Link | None = None, **changes: Any) -> Link:
    made = deliver(adapter(boards, **changes), delivery(alert, receiver="azure_devops"), alert, link)
    assert made
    return made


def closed(boards: AzureDevOps, alert: Alert, link: Link, **changes: Any) -> Link:
    over = resolved(alert)
    done = deliver(adapter(boards, **changes), delivery(over, Verb.CLOSE, receiver="azure_devops"), over, link)
    assert done
    return done


def resolved(alert: Alert) -> Alert:
    ended = {"ended_at": NOW + timedelta(minutes=42), "resolved_by": ResolvedBy.SOURCE}
    return replace(alert, status=Status.RESOLVED, revision=alert.revision + 1, **ended)


def test_a_work_item_says_what_a_person_needs(boards):
    outage = alert(severity=Severity.CRITICAL)
    link = opened(boards, outage, area_path="Outages\\Web", fields={"Custom.Team": "web", "System.Tags": "shop; web"})

    bug = boards.items[1]
    assert bug.type == "Bug"
    assert bug.fields["System.Title"] == "GitHub: Disruption with some GitHub services"
    assert bug.fields["Microsoft.VSTS.Common.Priority"] == 1
    assert bug.fields["System.AreaPath"] == "Outages\\Web"
    assert bug.fields["Custom.Team"] == "web"
    keys = {f"poc-{remote_key(outage.key, 1)}", f"poc-{outage.key}"}
    assert bug.tags == {"platform-outage-checker", *keys, "shop", "web"}
    assert bug.relations[0]["url"] == outage.url
    for text in ("GitHub", "Firing", outage.description, outage.internal_id, outage.url):
        assert text in bug.fields["Microsoft.VSTS.TCM.ReproSteps"]
    assert link.url == f"{boards.org_url}/Outages/_workitems/edit/1"


@pytest.mark.parametrize(
    ("process", "field"), [("agile", "Microsoft.VSTS.TCM.ReproSteps"), ("basic", "System.Description")]
)
def test_the_labels_and_annotations_of_an_alert_are_in_its_ticket(process, field):
    labels = {"alertname": "DiskFull", "namespace": "shop", "pod": "shop-1"}
    annotations = {"summary": "disk of shop-1", "runbook_url": "https://wiki.example/disk?a=1&b=2"}
    full = alert(
        source="alertmanager", kind=Kind.ALERT, labels=labels, annotations=annotations, url="https://prom.example/g"
    )
    with AzureDevOps(process=process) as boards:
        opened(boards, full)

    shown = boards.items[1].fields[field]
    for text in (
        *labels,
        *labels.values(),
        "disk of shop-1",
        "2026-11-20 03:00 UTC",
        '<a href="https://prom.example/g">',
    ):
        assert text in shown
    assert '<a href="https://wiki.example/disk?a=1&amp;b=2">' in shown


@pytest.mark.parametrize(
    ("process", "kind", "new", "done"),
    [
        ("agile", "Bug", "New", "Closed"),
        ("scrum", "Bug", "New", "Done"),
        ("cmmi", "Bug", "Proposed", "Closed"),
        ("basic", "Issue", "To Do", "Done"),
    ],
)
def test_every_stock_process_is_opened_closed_and_reopened_in_its_own_states(process, kind, new, done):
    with AzureDevOps(process=process) as boards:
        outage = alert()
        link = opened(boards, outage)
        states = [boards.items[1].state]
        link = closed(boards, outage, link)
        states.append(boards.items[1].state)
        opened(boards, replace(outage, episode=2, revision=3), link)
        states.append(boards.items[1].state)

    assert states == [new, done, new]
    assert (boards.items[1].type, len(boards.items)) == (kind, 1)
    assert "Opened again (episode 2)" in boards.items[1].comments[-1]
    assert boards.refused == []


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK, Verb.CLOSE])
def test_nothing_is_done_to_what_has_the_same_number_in_another_organization(boards, verb):
    elsewhere = replace(opened(boards, alert()), url="https://dev.azure.com/other/Outages/_workitems/edit/1")
    before = len(boards.requests)

    with pytest.raises(DeliveryError, match="belongs to another address: https://dev.azure.com/other/") as raised:
        deliver(adapter(boards), delivery(alert(revision=2), verb, receiver="azure_devops"), alert(), elsewhere)

    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_FOUND, True)
    assert len(boards.requests) == before


def test_what_was_closed_in_another_organization_gets_one_new_that_names_it(boards):
    opened(boards, alert(fingerprint="another"))
    address = "https://dev.azure.com/other/Outages/_workitems/edit/1"
    link = Link(
        key=alert().key, episode=2, receiver="azure_devops", remote_key=alert().key, external_id="1", url=address
    )
    again = alert(episode=2, revision=3)

    first, second = opened(boards, again, link), opened(boards, again, link)

    assert first == second
    assert (first.external_id, first.previous) == ("2", address)
    assert address in boards.items[2].fields["System.Description"]
    assert boards.items[1].comments == []


@pytest.mark.parametrize("known", [True, False])
def test_a_copy_that_a_person_made_is_nobodys_ticket_of_ours(boards, known):
    outage = alert()
    ours = adapter(boards)
    link = deliver(ours, delivery(outage, receiver="azure_devops"), outage, None)
    assert link
    ours = ours if known else adapter(boards)
    boards.person_copies(1)

    listed, found = ours.open_objects(), ours.find_open_for(outage.key)

    assert [each.external_id for each in listed] == ["1"]
    assert found
    assert found.external_id == "1"


def test_a_copy_of_what_is_over_is_not_taken_for_ours_when_we_know_who_we_are(boards):
    outage, ours = alert(), adapter(boards)
    deliver(ours, delivery(outage, receiver="azure_devops"), outage, None)
    boards.change(1, State="Closed")
    boards.person_copies(1)

    assert ours.open_objects() == []
    assert ours.find_open_for(outage.key) is None


def test_what_we_made_twice_ourselves_is_listed_twice(boards):
    opened(boards, alert())
    boards.person_copies(1, by=boards.we)

    assert [each.external_id for each in adapter(boards).open_objects()] == ["1", "2"]


def test_where_the_old_one_was_deleted_a_reopening_makes_one_new_that_names_it(boards):
    outage = alert()
    link = opened(boards, outage)
    del boards.items[1]
    again = replace(outage, episode=2, revision=3)

    first, second = opened(boards, again, link), opened(boards, again, link)

    assert first == second
    assert first.remote_key == remote_key(outage.key, 2)
    assert link.url in boards.items[2].fields["System.Description"]


def test_a_later_episode_names_the_work_item_of_the_one_before(boards):
    old = f"{boards.org_url}/Outages/_workitems/edit/77"
    key = remote_key(alert().key, 2)
    link = Link(key=alert().key, episode=2, receiver="azure_devops", remote_key=key, previous=old)

    opened(boards, alert(episode=2), link)

    assert f'<a href="{old}">' in boards.items[1].fields["System.Description"]
    assert boards.items[1].relations[0]["url"] == old
    assert boards.with_tag(f"poc-{key}")


def test_an_end_in_a_state_that_is_not_the_last_is_told_once(boards):
    outage = alert()
    link = opened(boards, outage)
    for _ in range(2):
        closed(boards, outage, link, close_state="Resolved")

    assert (boards.items[1].state, len(boards.items[1].comments)) == ("Resolved", 1)


def test_a_comment_is_found_again_behind_hundreds_of_updates(boards):
    outage = alert()
    link = opened(boards, outage)
    owed = delivery(outage, Verb.NOTE, receiver="azure_devops", note="once")
    deliver(adapter(boards), owed, outage, link)
    for number in range(150):
        boards.change(1, AssignedTo=f"person {number}")

    deliver(adapter(boards), owed, outage, link)

    assert len(boards.items[1].comments) == 1


@pytest.mark.parametrize("verb", [Verb.ACK, Verb.CLOSE])
def test_a_change_by_somebody_else_in_between_is_read_and_kept(boards, verb):
    outage = alert()
    link = opened(boards, outage)
    boards.changes_behind_our_back = 1

    deliver(adapter(boards), delivery(outage, verb, receiver="azure_devops"), outage, link)

    assert boards.items[1].fields["System.AssignedTo"].startswith("somebody")
    assert len(boards.items[1].comments) == 1


def test_somebody_who_changes_it_all_the_time_makes_us_come_back_later(boards):
    outage = alert()
    link = opened(boards, outage)
    boards.changes_behind_our_back = 100

    with pytest.raises(DeliveryError) as raised:
        closed(boards, outage, link)

    assert (raised.value.permanent, raised.value.reason.ambiguous) == (False, False)
    assert boards.changes_behind_our_back > 90


@pytest.mark.parametrize("answer", [203, 302, 401])
def test_every_way_to_answer_a_wrong_pat_is_unauthorized(boards, answer):
    boards.sign_in = answer

    with pytest.raises(DeliveryError) as raised:
        opened(boards, alert(), token="expired")

    assert (raised.value.reason, raised.value.permanent) == (Reason.UNAUTHORIZED, False)
    assert "PAT" in str(raised.value)


def test_a_pause_asked_for_on_a_good_answer_is_kept_without_losing_the_answer(boards):
    boards.pause = "20"
    polite = adapter(boards)
    outage = alert()

    link = deliver(polite, delivery(outage, receiver="azure_devops"), outage, None)
    calls = len(boards.requests)
    with pytest.raises(DeliveryError) as raised:
        polite.raise_if_paused()

    assert link
    assert raised.value.reason is Reason.RATE_LIMITED
    assert 19 < (raised.value.retry_after or 0) <= 20
    assert len(boards.requests) == calls


def test_several_with_one_key_give_the_oldest(boards):
    outage = alert()
    opened(boards, outage)
    opened(boards, outage)

    found = adapter(boards).find(remote_key(outage.key, 1))

    assert found
    assert found.external_id == "1"


def test_a_work_item_that_does_not_show_yet_is_not_found(boards):
    now = [100.0]
    boards.clock, boards.search_lag = lambda: now[0], 5.0
    outage = alert()
    opened(boards, outage)

    assert adapter(boards).find(remote_key(outage.key, 1)) is None
    now[0] += 5
    assert adapter(boards).find(remote_key(outage.key, 1))


def test_what_is_open_is_listed_whole_and_what_is_over_is_not(boards):
    for number in range(205):
        opened(boards, alert(fingerprint=str(number)))
    boards.change(3, State="Closed")
    boards.change(4, Tags="platform-outage-checker; somebody's")
    boards.change(5, State="Active")
    boards.change(6, State="Resolved")

    listed = adapter(boards).open_objects()

    assert len(listed) == 202
    assert {remote.external_id for remote in listed} == {str(id) for id in range(1, 206)} - {"3", "4", "6"}
    assert listed[0].remote_key == remote_key(alert(fingerprint="0").key, 1)
    assert listed[0].status is Status.FIRING
    assert listed[0].created_at
    assert [(each.external_id, each.actor) for each in listed if each.status is Status.ACKNOWLEDGED] == [
        ("5", "Outage Checker")
    ]
    assert boards.refused == []


@pytest.mark.parametrize("episode", [1, 2, 977])
def test_of_two_keys_the_one_of_the_episode_is_listed(boards, episode):
    outage = alert(episode=episode)
    opened(boards, outage)

    assert [each.remote_key for each in adapter(boards).open_objects()] == [remote_key(outage.key, episode)]


def test_what_is_deleted_while_it_is_listed_harms_no_other(boards):
    for number in range(3):
        opened(boards, alert(fingerprint=str(number)))
    listing = adapter(boards)
    boards.deleted_after_query = 2

    assert [each.external_id for each in listing.open_objects()] == ["1", "3"]


def test_the_open_one_is_found_behind_hundreds_that_are_over(boards):
    outage = alert()
    opened(boards, outage)
    first = boards.items[1]
    for number in range(2, BATCH_MAX + 2):
        boards.items[number] = replace(first, id=number, fields={**first.fields})
    for number in range(1, BATCH_MAX + 1):
        boards.change(number, State="Closed")

    found = adapter(boards).find_open_for(outage.key)

    assert found
    assert found.external_id == str(BATCH_MAX + 1)


@pytest.mark.parametrize("process", ["agile", "scrum", "cmmi", "basic"])
def test_what_is_over_is_not_adopted_whatever_its_process_calls_it(process):
    outage = alert()
    with AzureDevOps(process=process) as boards:
        link = opened(boards, outage)
        was_open = adapter(boards).find_open_for(outage.key)
        closed(boards, outage, link)
        is_open = adapter(boards).find_open_for(outage.key)

    assert was_open
    assert (was_open.external_id, is_open) == ("1", None)


@pytest.mark.parametrize(
    ("state", "status", "actor"),
    [("New", Status.FIRING, ""), ("Active", Status.ACKNOWLEDGED, "Outage Checker"), ("Resolved", Status.RESOLVED, "")],
)
def test_a_look_tells_how_it_stands(boards, state, status, actor):
    outage = alert()
    opened(boards, outage)
    boards.change(1, State=state)

    seen = adapter(boards).get_remote("1")

    assert seen
    assert (seen.status, seen.actor, seen.remote_key) == (status, actor, remote_key(outage.key, 1))
    assert seen.at


def test_a_type_that_begins_active_is_not_taken_into_work_by_being_made(boards):
    opened(boards, alert(), work_item_type="Issue")
    opened(boards, alert(fingerprint="another"))
    boards.change(2, State="Active")

    listed = adapter(boards).open_objects()

    assert [(boards.items[int(each.external_id)].type, each.status) for each in listed] == [
        ("Issue", Status.FIRING),
        ("Bug", Status.ACKNOWLEDGED),
    ]
    assert boards.items[1].state == "Active"


def test_a_project_that_was_renamed_is_not_a_work_item_that_is_gone(boards):
    with pytest.raises(DeliveryError):
        adapter(boards, project="Renamed").get_remote("1")


def test_what_was_made_twice_is_closed_once_and_names_the_one_that_goes_on(boards):
    outage = alert()
    opened(boards, outage)
    opened(boards, outage)
    destination = adapter(boards)
    kept, duplicate = destination.open_objects()

    for _ in range(2):
        destination.close_duplicate(duplicate, kept)

    assert (boards.items[1].state, boards.items[2].state) == ("New", "Closed")
    assert boards.items[1].comments == []
    assert [f'<a href="{kept.url}">' in comment for comment in boards.items[2].comments] == [True]


def test_the_address_of_the_other_one_is_no_markup(boards):
    outage = alert()
    opened(boards, outage)
    destination = adapter(boards)
    (kept,) = destination.open_objects()

    destination.close_duplicate(kept, replace(kept, url='https://x.example/"><script>'))

    assert "<script" not in boards.items[1].comments[0]


def test_a_duplicate_that_is_gone_needs_no_retirement(boards):
    outage = alert()
    opened(boards, outage)
    destination = adapter(boards)
    kept = destination.open_objects()[0]

    destination.close_duplicate(replace(kept, external_id="4711"), kept)

    assert boards.items[1].state == "New"


def test_a_delivery_of_many_slow_calls_ends_in_time(boards):
    outage = alert()
    link = opened(boards, outage)
    boards.changes_behind_our_back, boards.slowness = 100, 0.6
    asked = len(boards.requests)

    with pytest.raises(DeliveryError) as raised:
        deliver(adapter(boards, timeout=1.0), delivery(outage, Verb.ACK, receiver="azure_devops"), outage, link)

    assert raised.value.reason is Reason.TIMEOUT
    assert len(boards.requests) - asked <= 4


def test_a_slow_delivery_of_no_more_calls_than_it_needs_is_paid(boards):
    outage = alert()
    link = opened(boards, outage)
    boards.slowness = 0.6

    deliver(adapter(boards, timeout=1.0), delivery(outage, Verb.ACK, receiver="azure_devops"), outage, link)

    assert len(boards.items[1].comments) == 1


@pytest.mark.parametrize(
    ("process", "changes", "warned"),
    [
        ("agile", {}, []),
        ("basic", {}, []),
        ("agile", {"close_state": "Done"}, ["no state 'Done' in Outages: name one of New, Active, Resolved, Closed"]),
        ("agile", {"work_item_type": "Outage"}, ["Outages has no work item type Outage"]),
    ],
)
def test_a_state_or_a_type_that_is_not_there_is_told_at_the_start(process, changes, warned):
    with AzureDevOps(process=process) as boards:
        told = adapter(boards, **changes).preflight()

    assert [text[: len(start)] for text, start in zip(told, warned, strict=True)] == warned


def test_nothing_open_is_an_empty_list(boards):
    assert adapter(boards).open_objects() == []


def test_a_refused_field_is_permanent_and_told_in_azure_devops_own_words(boards):
    with pytest.raises(DeliveryError) as raised:
        opened(boards, alert(), fields={"Custom.Unknown": "x"})

    assert raised.value.permanent
    assert "TF51535: Cannot find field Custom.Unknown" in str(raised.value)


def test_a_project_that_does_not_exist_is_permanent(boards):
    with pytest.raises(DeliveryError) as raised:
        opened(boards, alert(), project="Nowhere")

    assert (raised.value.reason, raised.value.permanent) == (Reason.NOT_FOUND, True)
    assert "TF200016" in str(raised.value)


@pytest.mark.parametrize("plain", [PAT, f":{PAT}", ":x-1", "a" * 52])
def test_a_pat_in_base64_is_understood_with_and_without_its_colon(plain):
    config = Config(token=base64.b64encode(plain.encode()).decode() + "\n")

    assert secret(config.token) == plain.removeprefix(":")


@pytest.mark.parametrize("pat", [PAT, "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst", "plainpat", "x" * 84])
def test_a_pat_that_is_not_in_base64_is_taken_as_it_stands(pat):
    assert secret(Config(token=pat).token) == pat


def test_no_token_is_no_token():
    assert (Config().token, Config(token="").token) == (None, None)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("contoso", "https://dev.azure.com/contoso"),
        ("https://dev.azure.com/contoso/", "https://dev.azure.com/contoso"),
        ("http://127.0.0.1:1/tfs/DefaultCollection", "http://127.0.0.1:1/tfs/DefaultCollection"),
    ],
)
def test_an_organization_is_an_address_or_a_name(given, address):
    assert Config(url=given).url == address


def test_an_organization_that_is_neither_is_refused():
    with pytest.raises(ValidationError):
        Config(url="dev.azure.com/contoso")


def test_a_user_who_may_not_create_tags_makes_a_work_item_without_them_that_says_so(boards):
    boards.may_create_tags = False

    link = opened(boards, alert())

    item = boards.items[int(link.external_id)]
    assert item.tags == set()
    assert "Create tag definition" in item.shown
    assert boards.refused == []


def test_a_rule_of_the_process_is_met_by_the_fields_that_are_set_at_the_close(boards):
    boards.rule = "Custom.RootCause"
    outage = alert()
    link = opened(boards, outage)

    closed(boards, outage, link, close_fields={"Custom.RootCause": "vendor"})

    item = boards.items[int(link.external_id)]
    assert (item.state, item.fields["Custom.RootCause"]) == ("Closed", "vendor")
    assert boards.refused == []


def test_a_close_that_was_refused_tells_the_end_once_when_it_is_sent_again(boards):
    boards.rule = "Custom.RootCause"
    outage = alert()
    link = opened(boards, outage)
    with pytest.raises(DeliveryError, match="TF401320"):
        closed(boards, outage, link)

    closed(boards, outage, link, close_fields={"Custom.RootCause": "vendor"})

    item = boards.items[int(link.external_id)]
    assert item.state == "Closed"
    (said,) = item.comments
    assert "Resolved after" in said
    assert "TF401320" in said


@pytest.mark.parametrize("name", ["System.State", "System.History", "System.Tags"])
def test_what_we_set_ourselves_at_the_close_is_not_a_close_field(name):
    with pytest.raises(ValidationError, match=name):
        Config(close_fields={name: "x"})
