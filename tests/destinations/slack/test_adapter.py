"""What is special about Slack: one living message, its scopes, its errors, its look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Link
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind, ResolvedBy, Severity, Status, Verb
from service_event_checker.destinations.slack.adapter import Adapter, Config
from service_event_checker.destinations.slack.message import Pressed, content, read_button
from tests.destinations.slack.double import Slack
from tests.doubles.base import Answer, Fault, Request
from tests.factories import NOW, alert, delivery, event, receiver
from tests.process import World
from tests.sink import Clock
from tests.stores.memory import MemoryStore

BUTTON_KEY = b"a key that nobody else knows"


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack() as running:
        yield running


def adapter(slack: Slack, **changes: Any) -> Adapter:
    made = Adapter("slack", Config(**{"token": slack.token, "url": slack.api_url, "timeout": 5, **changes}))
    made.button_key = lambda: BUTTON_KEY
    made.ticket_receivers = frozenset({"azure_devops"})
    return made


def opened(slack: Slack, alert: Alert, **changes: Any) -> Link:
    link = adapter(slack, **changes).deliver(delivery(alert), alert, None)
    assert link
    return link


def resolved(alert: Alert, by: ResolvedBy = ResolvedBy.SOURCE) -> Alert:
    return replace(alert, status=Status.RESOLVED, ended_at=NOW + timedelta(minutes=42), resolved_by=by, revision=2)


def fields(message: Any) -> list[str]:
    return [field["text"] for field in message.blocks[1]["fields"]]


def buttons(message: Any) -> dict[str, str]:
    rows = [block["elements"] for block in message.blocks if block["type"] == "actions"]
    return {button["action_id"]: button["value"] for button in (rows[0] if rows else []) if button["type"] == "button"}


def test_the_first_message_says_what_where_how_bad_and_since_when(slack):
    outage = alert(severity=Severity.CRITICAL, affects_us=Affects.UNKNOWN, labels={"component": "Actions\nAPI"})
    opened(slack, outage)

    (message,) = slack.roots()
    assert message.blocks[0]["text"]["text"] == "🔴 Critical · GitHub: Disruption with some GitHub services"
    assert "*Affected:* Actions, API" in fields(message)
    assert "*Affects us:* unknown" in fields(message)
    assert f"*Internal ID:* {outage.internal_id}" in fields(message)
    assert message.text.endswith(f"({outage.internal_id})")
    assert "<https://www.githubstatus.com/incidents/8zc63m64hy36|Open GitHub status page>" in message.shown
    assert set(buttons(message)) == {"create_ticket", "acknowledge", "resolve"}
    assert all(read_button(value, BUTTON_KEY) for value in buttons(message).values())


def test_a_button_says_what_it_asks_for_and_nobody_else_can_make_one(slack):
    outage = alert(episode=3)
    opened(slack, outage)
    value = buttons(slack.roots()[0])["resolve"]

    assert read_button(value, BUTTON_KEY) == Pressed(key=outage.key, episode=3, action="resolve")
    assert read_button(value, b"another key") is None
    assert read_button(value, b"") is None
    assert read_button(value.replace(":3:", ":4:"), BUTTON_KEY) is None
    assert read_button(value.replace("resolve", "acknowledge"), BUTTON_KEY) is None


def test_ending_it_for_everybody_is_asked_back_and_nothing_else_is(slack):
    opened(slack, alert())

    (row,) = (block for block in slack.roots()[0].blocks if block["type"] == "actions")
    assert ["confirm" in element for element in row["elements"]] == [False, False, True, True]


def test_a_silence_is_chosen_by_its_length_and_its_matchers_are_shown_first(slack):
    opened(slack, alert(title="x" * 400))

    (row,) = (block for block in slack.roots()[0].blocks if block["type"] == "actions")
    menu = row["elements"][-1]
    chosen = [read_button(option["value"], BUTTON_KEY) for option in menu["options"]]
    assert [each and each.action for each in chosen] == ["silence_30m", "silence_2h", "silence_1d"]
    assert menu["confirm"]["text"]["text"].startswith(
        'New alerts that match are not announced: source="github", title='
    )


def test_without_a_key_there_are_no_buttons(slack):
    made = adapter(slack)
    made.button_key = bytes
    made.deliver(delivery(alert()), alert(), None)

    assert buttons(slack.roots()[0]) == {}


def test_a_test_alert_carries_the_word(slack):
    opened(slack, alert(test=True))

    assert "[TEST]" in slack.roots()[0].text
    assert "[TEST]" in slack.roots()[0].blocks[0]["text"]["text"]


def test_an_acknowledgement_edits_the_message_and_names_who(slack):
    link = opened(slack, alert())
    taken = alert(status=Status.ACKNOWLEDGED, owner="alice")

    adapter(slack).deliver(delivery(taken, Verb.ACK, actor="alice"), taken, link)

    (message,) = slack.roots()
    assert message.edited == 1
    assert "👀 Acknowledged by alice" in message.shown
    assert "*Acknowledged by:* alice" in fields(message)
    assert "acknowledge" not in buttons(message)


def test_a_known_ticket_is_linked_and_its_button_is_gone(slack):
    link = opened(slack, alert())
    ticketed = alert(links={"azure_devops": "https://dev.azure.com/example/Outages/_workitems/edit/123"})

    adapter(slack).deliver(delivery(ticketed, Verb.UPDATE), ticketed, link)

    (message,) = slack.roots()
    assert "*Ticket:* <https://dev.azure.com/example/Outages/_workitems/edit/123|Azure DevOps 123>" in fields(message)
    assert set(buttons(message)) == {"acknowledge", "resolve"}


def test_an_incident_of_a_pager_leaves_the_ticket_button(slack):
    opened(slack, alert(links={"night_watch": "https://example.pagerduty.com/incidents/Q1"}))

    assert "create_ticket" in buttons(slack.roots()[0])


def test_the_end_turns_the_message_green_and_is_told_in_its_thread(slack):
    outage = alert()
    link = opened(slack, outage)

    adapter(slack).deliver(delivery(resolved(outage), Verb.CLOSE), resolved(outage), link)

    (message,) = slack.roots()
    (reply,) = slack.replies(message.ts)
    assert message.attachments[0]["color"] == "#12b76a"
    assert message.blocks[0]["text"]["text"].startswith("✅ Resolved · GitHub")
    assert "Resolved after 42 min" in reply.text
    assert buttons(message) == {}
    assert not reply.broadcast


def test_a_note_that_people_are_to_notice_is_a_reply_as_well_once(slack):
    outage = alert()
    link = opened(slack, outage)
    note = delivery(outage, Verb.NOTE, note="Escalated: nobody has acknowledged it for 10m.", loud=True)

    for each in (note, note, replace(note, revision=9), replace(note, loud=False, revision=10)):
        adapter(slack).deliver(each, outage, link)

    (message,) = slack.roots()
    assert [reply.text for reply in slack.replies(message.ts)] == [f"🔔 {note.note}"] * 2


@pytest.mark.parametrize(("how", "replies", "broadcast"), [("channel", 1, [True]), ("edit", 0, [])])
def test_the_end_is_told_as_configured(slack, how, replies, broadcast):
    outage = alert()
    link = opened(slack, outage)

    for _ in range(2):
        end = delivery(resolved(outage), Verb.CLOSE)
        adapter(slack, announce_end=how).deliver(end, resolved(outage), link)

    told = slack.replies(slack.roots()[0].ts)
    assert len(told) == replies
    assert [reply.broadcast for reply in told] == broadcast


def test_a_message_is_found_behind_hundreds_of_others(slack):
    outage = alert()
    link = opened(slack, outage)
    for number in range(450):
        slack.messages.append(replace(slack.messages[0], ts=f"{slack.messages[0].ts}{number}", metadata=None))

    found = adapter(slack).find(remote_key(outage.key, 1))

    assert found
    assert found.external_id == link.external_id


def test_a_message_that_does_not_show_yet_is_not_found(slack):
    now = [100.0]
    slack.clock, slack.search_lag = lambda: now[0], 3.0
    outage = alert()
    opened(slack, outage)

    assert adapter(slack).find(remote_key(outage.key, 1)) is None
    now[0] += 3
    assert adapter(slack).find(remote_key(outage.key, 1))


def test_without_the_scope_to_look_it_posts_all_the_same_and_warns(slack):
    slack.scopes = {"chat:write"}
    outage = alert()

    assert adapter(slack).find(remote_key(outage.key, 1)) is None
    link = opened(slack, outage)
    adapter(slack).deliver(delivery(resolved(outage), Verb.CLOSE), resolved(outage), link)

    assert len(slack.roots()) == 1
    assert len(slack.replies(slack.roots()[0].ts)) == 1
    assert [line.split(",")[0] for line in adapter(slack).preflight()] == [
        "slack: the token lacks channels:history",
        "slack: the token lacks channels:read",
    ]


def test_a_message_has_an_address_once_slack_was_asked_for_the_workspace(slack):
    asked, outage = adapter(slack), alert()
    asked.preflight()

    link = asked.deliver(delivery(outage), outage, None)

    channel, _, ts = link.external_id.partition(":")
    assert link.url == f"https://example.slack.com/archives/{channel}/p{ts.replace('.', '')}"
    assert asked.find(link.remote_key).url == link.url
    assert opened(slack, replace(outage, key="0" * 20)).url == ""


def test_a_private_channel_s_scopes_do_as_well(slack):
    slack.scopes = {"chat:write", "groups:history", "groups:read"}

    assert adapter(slack).preflight() == []


def test_without_groups_read_a_public_channel_is_found(slack):
    slack.scopes -= {"groups:read"}
    outage = alert()
    opened(slack, outage)

    assert adapter(slack).find(remote_key(outage.key, 1))


def test_a_channel_given_by_id_is_not_looked_up(slack):
    outage = alert()
    opened(slack, outage, channel="C0GENERAL1")

    assert adapter(slack, channel="C0GENERAL1").find(remote_key(outage.key, 1))
    assert not any(request.path.endswith("conversations.list") for request in slack.requests)


def test_the_posts_of_one_second_are_refused_with_a_pause(slack):
    slack.enforce_rate = True
    opened(slack, alert())

    with pytest.raises(DeliveryError) as raised:
        opened(slack, alert(fingerprint="other"))

    assert (raised.value.reason, raised.value.retry_after) == (Reason.RATE_LIMITED, 1.0)


@pytest.mark.parametrize(
    ("code", "reason", "permanent", "says"),
    [
        ("channel_not_found", Reason.REFUSED, False, "invite"),
        ("not_in_channel", Reason.REFUSED, False, "/invite"),
        ("is_archived", Reason.REFUSED, False, "unarchive"),
        ("missing_scope", Reason.FORBIDDEN, False, "add the scope"),
        ("token_revoked", Reason.UNAUTHORIZED, False, "token_revoked"),
        ("msg_too_long", Reason.REFUSED, True, "msg_too_long"),
        ("invalid_blocks", Reason.REFUSED, True, "invalid_blocks"),
        ("message_not_found", Reason.NOT_FOUND, True, "message_not_found"),
        ("internal_error", Reason.SERVER_ERROR, False, "internal_error"),
        ("ratelimited", Reason.RATE_LIMITED, False, "ratelimited"),
        ("Something <b>else</b>", Reason.GARBAGE, False, "cannot be read"),
    ],
)
def test_every_error_of_slack_says_whether_to_try_again_and_what_to_do(code, reason, permanent, says):
    with Refusing(code) as refusing, pytest.raises(DeliveryError) as raised:
        opened(refusing, alert())

    assert (raised.value.reason, raised.value.permanent) == (reason, permanent)
    assert says in str(raised.value)


def test_an_edit_that_a_workspace_forbids_does_not_keep_the_end_back(slack):
    outage = alert()
    link = opened(slack, outage)
    slack.handle = lambda request, well=slack.handle: (
        Answer.json({"ok": False, "error": "edit_window_closed"}) if "update" in request.path else well(request)
    )

    adapter(slack).deliver(delivery(resolved(outage), Verb.CLOSE), resolved(outage), link)

    assert len(slack.replies(slack.roots()[0].ts)) == 1


@pytest.mark.parametrize("body", [b"[1]", b'"ok"', b'{"ok": true}', b"null", b""])
def test_a_good_answer_that_names_no_message_is_unreadable(slack, body):
    slack.handle = lambda request: Answer(200, body, {"Content-Type": "application/json"})

    with pytest.raises(DeliveryError) as raised:
        opened(slack, alert())

    assert raised.value.reason is Reason.GARBAGE


def test_a_token_that_cannot_be_asked_about_is_a_warning_not_an_error(slack):
    slack.script.append(Fault.ERROR)

    assert "could not be asked" in adapter(slack).preflight()[0]


def test_an_alert_of_our_own_shows_its_labels(slack):
    opened(slack, alert(source="alertmanager", kind=Kind.ALERT, labels={"pod": "shop-1", "namespace": "prod"}))

    assert "namespace: prod · pod: shop-1" in slack.roots()[0].shown


def test_at_everyone_and_link_markup_of_a_vendor_do_not_ring(slack):
    opened(slack, alert(title="@channel down", description="@here <!here> <https://evil.example|login>"))

    shown = json.dumps(slack.roots()[0].shown)
    assert "@here" not in shown
    assert "@channel" not in shown
    assert "&lt;!here&gt;" in shown


class Refusing(Slack):
    """A Slack that answers every call with one error."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code

    def handle(self, request: Request) -> Answer:
        return Answer.json({"ok": False, "error": self.code})


def test_the_end_of_an_outage_whose_message_was_deleted_is_told_in_a_new_message(slack):
    book = Rulebook((Rule("all", (), ("slack",)),), (), {"slack": receiver()})
    world = World(MemoryStore(), {"slack": adapter(slack)}, book, Clock())
    world.see(event())
    world.settle_down()
    slack.person_deletes(world.store.links([event().key])[event().key][0].external_id)

    world.see(event(status=EventStatus.RESOLVED))
    world.settle_down()

    (message,) = slack.roots()
    assert "Resolved" in message.shown
    assert world.store.failed_deliveries() == []


def test_a_message_of_planned_work_shows_its_plan_in_the_readers_own_zone() -> None:
    begins = NOW + timedelta(hours=3)
    work = alert(kind=Kind.MAINTENANCE, started_at=begins, starts_at=begins, ends_at=begins + timedelta(hours=2))

    shown = json.dumps(content(work, delivery(work), button_key=b"", ticket_receivers=frozenset()))

    assert f"*Planned:* <!date^{int(begins.timestamp())}^" in shown
    assert f"to <!date^{int(begins.timestamp()) + 7200}^" in shown
    assert "Firing" not in shown


def test_addresses_that_are_too_long_for_one_block_do_not_cost_the_message(slack):
    long = "/graph?g0.expr=" + "a" * 1500
    links = {"runbook_url": f"https://runbook.example{long}", "dashboard_url": f"https://dashboard.example{long}"}

    opened(slack, alert(url=f"https://prometheus.example{long}", annotations=links))

    (message,) = slack.roots()
    assert "https://prometheus.example" in message.shown
