"""The seven slash commands, as people spell them: the real pipeline, and a Slack and status pages on loopback."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from service_event_checker.core.model import Alert, Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity, Status
from service_event_checker.engine.services import Services
from service_event_checker.web.slack import event_list
from service_event_checker.web.slack.commands import COMMANDS
from service_event_checker.web.slack.replies import MAX_WORKERS
from tests.destinations.azure_devops.double import AzureDevOps
from tests.destinations.slack.double import Slack, _check_blocks
from tests.doubles.statuspages import StatusPages
from tests.factories import NOW, alert, event
from tests.web.conftest import MakeApp, beat
from tests.web.slack.caller import SECRET, SlackCaller, command_form, shown, signed
from tests.web.slack.conftest import config

ANSWER_SECONDS = 3.0  # docs.slack.dev/interactivity/implementing-slash-commands
Ingest = Callable[[Event], Alert]


@pytest.mark.parametrize("name", [spec.name for spec in COMMANDS.values()])
def test_each_command_is_known_however_it_is_spelled(name: str, people: SlackCaller) -> None:
    bare = name.removeprefix("/")
    words = "".join(f"_{char}" if char.isupper() else char for char in bare).strip("_")
    spellings = [bare, bare.lower(), bare.upper(), words, words.lower(), words.replace("_", "-").lower()]

    answers = [people.command(f"/{spelling}") for spelling in spellings]

    assert not any("Unknown command" in answer for answer in answers)


def test_an_unknown_command_is_answered_with_the_nearest_and_all_that_there_are(people: SlackCaller) -> None:
    answer = people.command("/listevent")

    assert "Did you mean `/ListEvents`?" in answer
    assert all(spec.name in answer for spec in COMMANDS.values())


@pytest.mark.parametrize("name", ["/ManualCheck", "/CreateTicket", "/ForceResolve"])
@pytest.mark.parametrize("text", ["", "   ", '""'])
def test_a_command_that_needs_more_says_what(name: str, text: str, people: SlackCaller) -> None:
    answer = people.command(name, text)

    assert f"`{name} {{" in answer
    assert "GitHub" in answer or "/ListEvents" in answer


def test_bot_status_tells_of_health_and_of_each_checker(
    people: SlackCaller, services: Services, ingest: Ingest
) -> None:
    ingest(event())
    assert "Unhealthy" in people.command("/botstatus")
    beat(services)
    services.poller.check_now("github")

    answer = people.command("/botstatus")

    assert "✅ *Healthy*" in answer
    (github,) = (line for line in answer.splitlines() if line.startswith("• GitHub"))
    assert all(
        word in github for word in ("ok", "last check 0 s ago", "last success 0 s ago", "next check in", "1 open")
    )
    assert "• Azure DevOps: not checked yet · last check never · last success never" in answer
    assert "• Office 365: off: O365_URL is not set" in answer
    assert "• tickets: on" in answer


def test_test_mode_is_turned_on_and_cleaned_up(people: SlackCaller, services: Services, devops: AzureDevOps) -> None:
    assert "Test mode is on until" in people.command("/TestModeOn")
    assert "🧪 Test mode is on" in people.command("/BotStatus")
    assert people.command("/ListEvents").count("*TEST*") == 2
    (github,) = services.store.open_alerts("github")
    assert "TEST" in people.command("/CreateTicket", github.internal_id)

    assert "2 test outages were cleaned up" in people.command("/Test-Mode-Off")

    assert services.store.open_alerts() == []
    services.outbox.drain("tickets")
    assert devops.items == {}


@pytest.mark.parametrize("spelled", ["github", "GitHub", "git hub", "“GITHUB”"])
def test_a_check_by_hand_reports_what_it_found(
    spelled: str, people: SlackCaller, pages: StatusPages, slack: Slack, services: Services
) -> None:
    pages.open_incident("github", "inc1", "Actions & <Pages> are slow", impact="major")
    url = slack.response_url()

    assert "Checking GitHub" in people.command("/manualcheck", spelled, response_url=url)

    answer = slack.followed(url)
    (alert,) = services.store.open_alerts("github")
    assert "1 open" in answer
    assert f"Actions &amp; &lt;Pages&gt; are slow · `{alert.internal_id}`" in answer
    assert not slack.refused


def test_a_check_by_hand_counts_planned_work_apart(people: SlackCaller, pages: StatusPages, slack: Slack) -> None:
    begins = datetime.now(UTC) + timedelta(hours=3, minutes=1)
    pages.schedule_maintenance("github", "m", "Storage move", begins, hours=2.0)
    url = slack.response_url()

    people.command("/manualcheck", "github", response_url=url)

    answer = slack.followed(url)
    assert "no open outage, 1 planned" in answer
    assert "Storage move · Planned " in answer
    assert ", in 3 h · not tracked" in answer


def test_a_check_by_hand_says_who_has_resolved_what_the_page_still_lists(
    people: SlackCaller, pages: StatusPages, slack: Slack, services: Services
) -> None:
    pages.open_incident("github", "inc1", "Actions are slow", impact="major")
    services.poller.check_now("github")
    (alert,) = services.store.open_alerts("github")
    people.command("/forceresolve", alert.internal_id)
    url = slack.response_url()

    people.command("/manualcheck", "github", response_url=url)

    assert f"Actions are slow · `{alert.internal_id}` is over. It ended at" in slack.followed(url)


def test_a_page_that_cannot_be_read_is_reported_as_unknown(
    people: SlackCaller, pages: StatusPages, slack: Slack
) -> None:
    pages.page("github")
    pages.broken["github"] = "500"
    url = slack.response_url()

    people.command("/manualcheck", "github", response_url=url)

    assert "could not be read" in slack.followed(url)


def test_a_page_that_hangs_delays_no_answer(people: SlackCaller, pages: StatusPages, slack: Slack) -> None:
    pages.broken["github"] = "hang"
    url = slack.response_url()

    began = time.monotonic()
    people.command("/manualcheck", "github", response_url=url)

    assert time.monotonic() - began < ANSWER_SECONDS
    assert "could not be read" in slack.followed(url)


def test_a_checker_that_runs_already_is_not_run_twice(people: SlackCaller, slack: Slack, services: Services) -> None:
    assert services.poller.take_due()
    url = slack.response_url()

    people.command("/manualcheck", "github", response_url=url)

    assert "is already being checked" in slack.followed(url)


@pytest.mark.parametrize(("text", "hint"), [("gitub", "Did you mean *GitHub*"), ("azure devop", "*Azure DevOps*")])
def test_a_platform_that_is_not_there_is_answered_with_the_nearest(text: str, hint: str, people: SlackCaller) -> None:
    assert hint in people.command("/manualcheck", text)


def test_a_platform_that_is_off_says_why(people: SlackCaller) -> None:
    assert "Office 365 is off: O365_URL is not set" in people.command("/manualcheck", "Office 365")


def test_a_ticket_is_made_by_any_spelling_of_the_id(
    people: SlackCaller, ingest: Ingest, services: Services, devops: AzureDevOps
) -> None:
    alert = ingest(event(source="azure_devops"))
    code = alert.internal_id.rpartition("-")[2]
    spellings = [
        alert.internal_id,
        alert.internal_id.lower(),
        code,
        code.lower(),
        f"`{alert.internal_id}`",
        f" {code} ",
    ]
    spellings += [f"azure devops {code}", f"azure-devops_{code}", code.replace("0", "O").replace("1", "l"), alert.key]
    spellings += [
        alert.internal_id.replace("-", dash) for dash in "\u2010\u2011\u2013\u2014\u2212"
    ]  # phones write them

    answers = [people.command("/create_ticket", spelled) for spelled in spellings]
    services.outbox.drain("tickets")

    assert "Creating a ticket for" in answers[0]
    assert all("was already requested by alice" in answer for answer in answers[1:])
    assert len(devops.items) == 1
    (ticket,) = devops.items.values()
    assert alert.internal_id in ticket.shown
    assert f"already has a ticket: <{devops.url}" in people.command("/createticket", code)


def test_eight_people_at_once_make_one_ticket(
    app: Flask, ingest: Ingest, services: Services, devops: AzureDevOps
) -> None:
    alert = ingest(event())

    def ask(name: str) -> str:
        return SlackCaller(app.test_client()).command("/createticket", alert.internal_id, user_name=name)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, [f"person{number}" for number in range(8)]))

    assert services.store.waiting("tickets") == 1
    assert sum("Creating a ticket for" in answer for answer in answers) == 1
    assert sum("was already requested by person" in answer for answer in answers) == 7
    while services.outbox.drain("tickets"):
        pass
    assert len(devops.items) == 1


def test_an_event_that_is_not_there_is_named_in_the_answer(people: SlackCaller) -> None:
    for name in ("/createticket", "/forceresolve"):
        assert "Unknown ID “GITHUB-00000”" in people.command(name, "GITHUB-00000")
        assert "“&lt;!channel&gt; x”" in people.command(name, "<!channel> x")


def test_no_ticket_system_says_what_to_set(make_app: MakeApp, pages: StatusPages) -> None:
    app = make_app(config(pages), SLACK_SIGNING_SECRET=SECRET)
    services: Services = app.extensions["services"]
    alert = services.pipeline.ingest([event()], datetime.now(UTC))[event().key]

    answer = SlackCaller(app.test_client()).command("/createticket", alert.internal_id)

    assert "ADO_ORG_URL" in answer
    assert services.store.waiting("tickets") == 0


def test_force_resolve_ends_the_event_in_the_name_of_who_asked(
    people: SlackCaller, ingest: Ingest, services: Services
) -> None:
    alert = ingest(event())

    first = people.command("/ForceResolve", alert.internal_id)
    again = people.command("/ForceResolve", alert.internal_id, user_name="bob")

    assert f"`{alert.internal_id}` is resolved" in first
    assert "is over" in again
    assert "resolved by alice" in again
    after = services.store.get([alert.key])[alert.key]
    assert (after.status, after.owner) == (Status.RESOLVED, "alice")


def test_no_ticket_and_no_end_is_made_for_an_episode_of_the_past(
    people: SlackCaller, ingest: Ingest, services: Services
) -> None:
    first = ingest(event())
    people.command("/forceresolve", first.internal_id)
    later = datetime.now(UTC) + timedelta(minutes=1)
    second = ingest(event(starts_at=later, at=later))
    assert second.episode == 2

    for name in ("/createticket", "/forceresolve"):
        answer = people.command(name, first.internal_id)
        assert f"`{first.internal_id}` is over" in answer
        assert second.internal_id in answer
    assert services.store.get([first.key])[first.key].open
    assert services.store.waiting("tickets") == 0


def test_a_quiet_world_is_listed_in_a_sentence(people: SlackCaller) -> None:
    assert "No alert is open" in people.command("/listevents")


def test_planned_work_is_listed_with_its_plan() -> None:
    begins = NOW + timedelta(hours=3)
    plan = {"started_at": begins, "starts_at": begins, "ends_at": begins + timedelta(hours=2)}

    text = event_list.row(alert(kind=Kind.MAINTENANCE, title="Move", **plan), NOW)

    assert text.endswith("maintenance: Move · Planned 06:00 to 08:00 UTC, in 3 h")


def test_events_are_listed_by_platform_the_worst_first(people: SlackCaller, ingest: Ingest) -> None:
    ingest(event(source="github", fingerprint="a", severity=Severity.WARNING, title="Slow"))
    ingest(event(source="slack", fingerprint="b", severity=Severity.CRITICAL, title="Down"))
    ingest(event(source="github", fingerprint="c", severity=Severity.ERROR, title="Failing"))

    answer = people.command("/listevents")

    assert "*3 open alerts* on 2 platforms" in answer
    assert [word for word in answer.split() if word in ("*Slack*", "Down", "*GitHub*", "Failing", "Slow")] == [
        "*Slack*",
        "Down",
        "*GitHub*",
        "Failing",
        "Slow",
    ]


@pytest.mark.parametrize(
    "title",
    [
        "Elevated error rates",
        "<!channel> & <@U1|x> " * 20,
        "コンポーネント障害" * 20,
        "🔴" * 200,
        "*_~`" * 60,
        "&" * 240,
    ],
)
@pytest.mark.parametrize("sources", [1, 8, 200])
def test_two_hundred_events_are_listed_within_slacks_limits(
    title: str, sources: int, people: SlackCaller, services: Services
) -> None:
    many = [event(source=f"s{number % sources}", fingerprint=f"f{number}", title=title) for number in range(200)]
    services.pipeline.ingest(many, datetime.now(UTC))

    answer = people.send("commands", command_form("/listevents")).json

    _check_blocks(answer["blocks"])
    assert len(answer["blocks"]) <= 50
    assert len(json.dumps(answer["blocks"])) < 12_000
    listed, text = shown(answer).count("`S"), shown(answer)
    assert listed >= 5
    assert f"…and {200 - listed} others: <https://outages.example.com|open the page to see all>" in text
    assert "<!" not in text
    assert "<@" not in text


@pytest.mark.parametrize(
    "hostile", ["<!channel>", "<https://evil.example|click>", "@here", "\u202egnp", "a\nb", "&lt;"]
)
def test_what_a_vendor_writes_stays_text(
    hostile: str, people: SlackCaller, ingest: Ingest, pages: StatusPages, slack: Slack
) -> None:
    ingest(event(title=hostile, severity=Severity.CRITICAL))
    pages.open_incident("devops", "inc1", f"{hostile} is down")
    url = slack.response_url()
    people.command("/manualcheck", "azure devops", response_url=url)

    for answer in (people.command("/listevents"), slack.followed(url)):
        assert hostile not in answer
        assert "<http" not in answer


def test_slack_hanging_for_a_minute_delays_no_answer(
    people: SlackCaller, slack: Slack, ingest: Ingest, services: Services
) -> None:
    alert = ingest(event())
    url = slack.response_url()
    slack.hang(60)

    for command, text in [
        ("/botstatus", ""),
        ("/manualcheck", "github"),
        ("/createticket", alert.internal_id),
        ("/listevents", ""),
        ("/forceresolve", alert.internal_id),
    ]:
        began = time.monotonic()
        people.command(command, text, response_url=url)
        assert time.monotonic() - began < ANSWER_SECONDS
    assert services.store.waiting("tickets") >= 1
    assert not services.store.get([alert.key])[alert.key].open


def test_a_store_that_hangs_delays_no_answer_and_the_rest_follows(
    people: SlackCaller, slack: Slack, ingest: Ingest, services: Services, tmp_path: Path
) -> None:
    alert, url = ingest(event()), slack.response_url()
    hog = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    hog.execute("BEGIN IMMEDIATE")

    began = time.monotonic()
    first = people.command("/forceresolve", alert.internal_id, response_url=url)
    took = time.monotonic() - began
    hog.execute("ROLLBACK")
    hog.close()

    assert took < ANSWER_SECONDS
    assert "The answer follows here" in first
    assert "is resolved" in slack.followed(url)
    assert not services.store.get([alert.key])[alert.key].open


def test_a_replay_to_another_process_while_the_store_hangs_is_not_done(
    people: SlackCaller,
    app: Flask,
    pages: StatusPages,
    environ: dict[str, str],
    make_app: MakeApp,
    slack: Slack,
    ingest: Ingest,
    services: Services,
    tmp_path: Path,
) -> None:
    alert, url = ingest(event()), slack.response_url()
    body = command_form("/createticket", alert.internal_id, response_url=url)
    headers, other = signed(body), make_app(config(pages), **environ).test_client()
    hog = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    hog.execute("BEGIN IMMEDIATE")

    with ThreadPoolExecutor(2) as threads:
        sent = [
            threads.submit(client.post, "/slack/commands", data=body, headers=headers)
            for client in (people.client, other)
        ]
    hog.execute("ROLLBACK")
    hog.close()

    assert ["The answer follows here" in shown(answer.result().json) for answer in sent] == [True, True]
    slack.followed(url, number=2)
    replies = [block["text"]["text"] for reply in slack.addresses[url].answers for block in reply["blocks"]]
    assert sorted("This request was already received." in reply for reply in replies) == [False, True]


def test_the_end_that_the_source_tells_is_no_end_by_the_person(people: SlackCaller, ingest: Ingest) -> None:
    alert = ingest(event())
    ingest(event(status=EventStatus.RESOLVED, at=datetime.now(UTC)))

    answer = people.command("/forceresolve", alert.internal_id)

    assert "is over. It ended at" in answer
    assert "resolved by" not in answer


def test_finished_work_makes_room_for_more(people: SlackCaller) -> None:
    answers = [people.command("/listevents") for _ in range(MAX_WORKERS + 4)]

    assert set(answers) == {"No alert is open. Status pages that cannot be read are not included; see `/BotStatus`."}


def test_the_first_ticket_system_that_is_on_gets_the_ticket(
    make_app: MakeApp, pages: StatusPages, environ: dict[str, str], services: Services, ingest: Ingest
) -> None:
    known = config(pages)
    off = {"kind": "azure_devops", "url": "env:OTHER_URL", "project": "env:OTHER_PROJECT"}
    known["destinations"] = {"elsewhere": off} | known["destinations"]
    alert = ingest(event())

    answer = SlackCaller(make_app(known, **environ).test_client()).command("/createticket", alert.internal_id)

    assert "Creating a ticket for" in answer
    assert services.store.waiting("tickets") == 1


def test_why_down_says_who_explains_a_services_trouble_and_lists_its_alerts(
    people: SlackCaller, ingest: Ingest
) -> None:
    words = {"description": "api.github.com: HTTP 503", "labels": {"service": "checkout"}}
    outage = ingest(event(source="github", fingerprint="o", title="API is down"))
    ours = ingest(event(source="alertmanager", fingerprint="a", kind=Kind.ALERT, title="Slow", **words))

    answer = people.command("/WhyDown", "checkout")

    assert answer.startswith("*checkout*: Likely GitHub: API is down")
    assert outage.internal_id in answer
    assert "api.github.com" in answer
    assert ours.internal_id in answer
    assert "No alert with this service is open" in people.command("/whydown", "cart")
    assert "`/WhyDown checkout`" in people.command("/WhyDown")
