"""Who may command us: workspaces, channels, people, and user groups that only Slack knows the members of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import Status
from service_event_checker.engine.services import Services
from service_event_checker.web.slack.permissions import (
    FRESH_SECONDS,
    STALE_SECONDS,
    Allowed,
    MembershipUnknown,
    SlackAccess,
)
from service_event_checker.web.slack.request import SlackUser
from tests.destinations.slack.double import Slack
from tests.doubles.statuspages import StatusPages
from tests.factories import event
from tests.web.conftest import MakeApp
from tests.web.slack.caller import SlackCaller
from tests.web.slack.conftest import config

Ingest = Callable[[Event], Alert]
ALICE = SlackUser(
    team="T0EXAMPLE1", channel="C0OUTAGES1", channel_name="outages", user="U0ALICE001", name="alice", response_url=""
)


@pytest.mark.parametrize(
    ("environ", "may"),
    [
        ({}, True),
        ({"SLACK_TEAM_IDS": "", "SLACK_ALLOWED_USERS": " ,; "}, True),
        ({"SLACK_TEAM_IDS": "T0OTHER, t0example1"}, True),
        ({"SLACK_TEAM_IDS": "T0OTHER"}, False),
        ({"SLACK_ALLOWED_CHANNELS": "C0OUTAGES1"}, True),
        ({"SLACK_ALLOWED_CHANNELS": "#outages"}, True),
        ({"SLACK_ALLOWED_CHANNELS": "#out C0"}, False),
        ({"SLACK_ALLOWED_USERS": "U0BOB;U0ALICE001"}, True),
        ({"SLACK_ALLOWED_USERS": "alice"}, False),
        ({"SLACK_TEAM_IDS": "T0OTHER", "SLACK_ALLOWED_USERS": "U0ALICE001"}, False),
        ({"SLACK_ALLOWED_USERS": "U0ALICE001", "SLACK_ALLOWED_GROUPS": "S0ONCALL"}, True),
    ],
)
def test_what_is_set_must_be_met_and_what_is_unset_allows_all(environ: dict[str, str], may: bool) -> None:
    assert (Allowed(environ, SlackAccess()).refusal(ALICE) == "") is may


def test_who_may_not_is_told_so_and_nothing_is_done(
    make_app: MakeApp, pages: StatusPages, environ: dict[str, str], services: Services, ingest: Ingest
) -> None:
    alert = ingest(event())
    people = SlackCaller(make_app(config(pages), **environ, SLACK_ALLOWED_USERS="U0BOB").test_client())

    answer = people.command("/forceresolve", alert.internal_id)

    assert "You are not allowed to use the commands: you are not in SLACK_ALLOWED_USERS" in answer
    assert services.store.get([alert.key])[alert.key].status is Status.FIRING


@pytest.mark.parametrize("named", ["S0ONCALL01", "@on-call"])
@pytest.mark.parametrize(("members", "after"), [(["U0ALICE001"], Status.RESOLVED), (["U0BOB"], Status.FIRING)])
def test_the_members_of_a_group_may_and_others_may_not(
    named: str,
    members: list[str],
    after: Status,
    make_app: MakeApp,
    pages: StatusPages,
    environ: dict[str, str],
    slack: Slack,
    services: Services,
    ingest: Ingest,
) -> None:
    slack.scopes.add("usergroups:read")
    slack.groups = {"S0ONCALL01": ("on-call", members), "S0OTHERS01": ("others", ["U0ALICE001"])}
    alert, url = ingest(event()), slack.response_url()
    people = SlackCaller(make_app(config(pages), **environ, SLACK_ALLOWED_GROUPS=named).test_client())

    first = people.command("/forceresolve", alert.internal_id, response_url=url)
    followed = slack.followed(url)
    again = people.command("/forceresolve", alert.internal_id, response_url=url)

    assert "Asking Slack for your permissions" in first
    assert services.store.get([alert.key])[alert.key].status is after
    if after is Status.RESOLVED:
        assert "is resolved" in followed
        assert "is over" in again
    else:
        assert "you are not in a group" in followed
        assert "you are not in a group" in again
    assert [request.path for request in slack.requests].count("/api/usergroups.list") == 1


def test_slack_is_asked_as_the_destination_asks_it(
    make_app: MakeApp, pages: StatusPages, environ: dict[str, str], slack: Slack, ingest: Ingest
) -> None:
    slack.scopes.add("usergroups:read")
    slack.groups = {"S0ONCALL01": ("on-call", ["U0ALICE001"])}
    alert, url = ingest(event()), slack.response_url()
    settings = config(pages)
    settings["destinations"]["slack"] |= {"token": "env:CHAT_TOKEN", "url": slack.api_url}
    elsewhere = {"CHAT_TOKEN": slack.token, "SLACK_BOT_TOKEN": "xoxb-other", "SLACK_API_URL": "http://127.0.0.1:9/api/"}
    people = SlackCaller(make_app(settings, **environ | elsewhere, SLACK_ALLOWED_GROUPS="on-call").test_client())

    people.command("/forceresolve", alert.internal_id, response_url=url)

    assert "is resolved" in slack.followed(url)


def test_where_slack_cannot_tell_nobody_may(
    make_app: MakeApp, pages: StatusPages, environ: dict[str, str], slack: Slack, services: Services, ingest: Ingest
) -> None:
    alert, url = ingest(event()), slack.response_url()  # the token lacks usergroups:read
    people = SlackCaller(make_app(config(pages), **environ, SLACK_ALLOWED_GROUPS="S0ONCALL01").test_client())

    people.command("/forceresolve", alert.internal_id, response_url=url)

    assert "Slack did not answer who is in" in slack.followed(url)
    assert services.store.get([alert.key])[alert.key].status is Status.FIRING


def test_members_are_remembered_but_not_for_ever(slack: Slack) -> None:
    slack.scopes.add("usergroups:read")
    slack.groups = {"S0ONCALL01": ("on-call", ["U0ALICE001"])}
    now = [0.0]
    allowed = Allowed({"SLACK_ALLOWED_GROUPS": "on-call"}, SlackAccess(slack.api_url, slack.token), lambda: now[0])

    with pytest.raises(MembershipUnknown):
        allowed.refusal(ALICE)
    assert allowed.refusal(ALICE, ask=True) == ""
    now[0] = FRESH_SECONDS - 1
    assert allowed.refusal(ALICE) == ""
    assert len(slack.requests) == 1
    now[0] = STALE_SECONDS
    with pytest.raises(MembershipUnknown):
        allowed.refusal(ALICE)
