"""The slash commands: what each does and what it replies. Requests and answers are handled in routes.py."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from service_event_checker import logs
from service_event_checker.core.errors import StoreError
from service_event_checker.core.model import Alert, Snapshot
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind
from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.engine import verdicts
from service_event_checker.engine.polling import Watch
from service_event_checker.engine.schedule import Engine
from service_event_checker.engine.services import Services
from service_event_checker.render.labels import alert_title
from service_event_checker.render.names import platform_name
from service_event_checker.render.plan import outlook
from service_event_checker.render.text import duration, line, moment, web_address
from service_event_checker.render.texts import MARKS
from service_event_checker.web.api.lookup import find_alert
from service_event_checker.web.errors import Refused
from service_event_checker.web.slack import actions, event_list, remediation
from service_event_checker.web.slack.replies import DeferredReply, Reply
from service_event_checker.web.slack.request import Command
from service_event_checker.web.status import overview
from service_event_checker.web.status.probes import StoreProbe, troubles

FOUND_SHOWN = 10
WHY_MAX = 5  # reasons, and alerts
WARNINGS_SHOWN = 3
_QUOTES = "\"'`´‘’“”«»<>[](){}#.,;:!? "  # what people paste along with a name
_BETWEEN = r"[\s_\u2010-\u2015\u2212-]+"  # phones and word processors write dashes of their own


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What the commands work with."""

    services: Services
    engine: Engine
    probe: StoreProbe


@dataclass(frozen=True, slots=True)
class Spec:
    """A command as people write it, what follows it, what it does, and the function that does it."""

    name: str
    argument: str
    does: str
    run: Callable[[CommandContext, Command], Reply | DeferredReply]

    @property
    def usage(self) -> str:
        return f"`{self.name} {self.argument}`" if self.argument else f"`{self.name}`"


def run(context: CommandContext, command: Command) -> Reply | DeferredReply:
    """Do what a command asks. Raises StoreError, InvalidInput and Refused."""
    spec = COMMANDS.get(command.name)
    if spec is None:
        near = difflib.get_close_matches(command.name, COMMANDS, n=1)
        hint = f" Did you mean `{COMMANDS[near[0]].name}`?" if near else ""
        return Reply(f"Unknown command.{hint}\n{_usage()}")
    if spec.argument and not command.text.strip(_QUOTES):
        return Reply(f"{spec.usage} {spec.does}. Name one: {_which(context, spec)}")
    return spec.run(context, command)


def bot_status(context: CommandContext, command: Command) -> Reply:
    now = datetime.now(UTC)
    wrong = troubles(context.probe, context.engine, now)
    rows = ["✅ *Healthy*"] if not wrong else ["❌ *Unhealthy*"]
    rows += [f"• {name}: {escape_mrkdwn(line(logs.masked(why), 300))}" for name, why in wrong.items()]
    try:
        seen = overview.read(context.services, now)
        until = context.services.test_mode.until(now)
    except StoreError:
        return Reply("\n".join(rows))  # the row "store" above says so
    rows += [f"🧪 Test mode is on until {moment(until)}"] if until else []
    rows += ["", "*Checkers*", *(_checker(checker, now) for checker in seen.checkers)]
    rows += ["", "*Destinations*", *(_receiver(receiver) for receiver in seen.receivers)]
    return Reply("\n".join(rows))


def test_mode_on(context: CommandContext, command: Command) -> Reply:
    until = context.services.test_mode.turn_on(command.user.name, datetime.now(UTC))
    return Reply(
        f"🧪 Test mode is on until {moment(until)}. Each checker has a test outage, marked TEST, that passes through "
        "all steps. No real ticket is created and nobody is paged. `/TestModeOff` cleans up."
    )


def test_mode_off(context: CommandContext, command: Command) -> Reply:
    ended = context.services.test_mode.turn_off(command.user.name, datetime.now(UTC))
    outages = "1 test outage was" if ended == 1 else f"{ended} test outages were"
    return Reply(f"Test mode is off. {outages} cleaned up.")


def manual_check(context: CommandContext, command: Command) -> Reply | DeferredReply:
    """Answer at once if the platform cannot be checked, else check in the background."""
    name = _checker_named(context.services, command.text)
    if name is None:
        return Reply(f"Unknown platform “{_quoted(command.text)}”. {_nearest(context.services, command.text)}")
    if name not in context.services.poller.watches:
        why = next((part.state for part in context.services.parts if part.name == name), "")
        return Reply(f"{platform_name(name)} is off: {escape_mrkdwn(line(why, 300))}.")
    return DeferredReply(Reply(f"Checking {_platform(name)}. The result follows here."), lambda: check(context, name))


def check(context: CommandContext, name: str) -> Reply:
    """Poll one source now and say what it shows. Raises StoreError."""
    services, platform = context.services, _platform(name)
    found = services.poller.check_now(name)
    if found.busy:
        return Reply(f"{platform} is already being checked. `/ListEvents` shows the result.")
    if found.error is not None:
        detail = f" ({found.error.detail})" if found.error.detail else ""
        why = escape_mrkdwn(line(logs.masked(f"{found.error.reason}{detail}"), 300))
        return Reply(
            f"❔ The status page of {platform} could not be read: {why}. Its state is unknown; open outages stay open."
        )
    if found.snapshot is None:
        return Reply(f"{platform} has been checked.")
    return Reply("\n".join(_findings(services, name, found.snapshot)))


def create_ticket(context: CommandContext, command: Command) -> Reply:
    return _act(context, command, actions.create_ticket)


def force_resolve(context: CommandContext, command: Command) -> Reply:
    return _act(context, command, actions.resolve)


def list_events(context: CommandContext, command: Command) -> Reply:
    now = datetime.now(UTC)
    seen = overview.read(context.services, now)
    page = web_address(context.services.settings.public_url)
    return event_list.listed(seen.open_alerts, now, more=seen.more_open, page_url=page)


def why_down(context: CommandContext, command: Command) -> Reply:
    """Say whether a service's trouble is a vendor's, with the reasons and the alerts that are open for it."""
    service = command.text.strip(_QUOTES + " ")
    found = verdicts.trouble(context.services, {"service": service}, datetime.now(UTC))
    rows = [f"*{escape_mrkdwn(line(service, 100))}*: {escape_mrkdwn(line(found.verdict.sentence, 500))}"]
    rows += [f"• {escape_mrkdwn(line(reason, 300))}" for reason in found.verdict.reasons[:WHY_MAX]]
    rows += [_open_alert(alert) for alert in found.alerts[:WHY_MAX]]
    return Reply("\n".join(rows if found.alerts else [*rows, "No alert with this service is open."]))


def _open_alert(alert: Alert) -> str:
    return f"`{alert.internal_id}` {escape_mrkdwn(line(alert_title(alert), 200))}"


def act(context: CommandContext, command: Command) -> Reply:
    """Request a run of an action, like `/Act GITHUB-7F3KQ restart_service service_name=nginx`."""
    id, *rest = command.text.split()
    alert = _alert_named(context.services, id)
    parameters = remediation.read_arguments(rest[1:])
    if alert is None:
        return Reply(f"Unknown ID “{_quoted(id)}”. `/ListEvents` shows all alerts with their IDs.")
    if not rest or parameters is None:
        known = ", ".join(f"`{escape_mrkdwn(name)}`" for name in context.services.runs.policies) or "none"
        example = f"`/Act {alert.internal_id} restart_service service_name=nginx`"
        return Reply(f"Write it like {example}. Configured actions: {known}.")
    return Reply(remediation.request(context.services, alert, rest[0], parameters, command.user, datetime.now(UTC)))


def approve(context: CommandContext, command: Command) -> Reply:
    return _answer(context, command, approve=True)


def refuse(context: CommandContext, command: Command) -> Reply:
    return _answer(context, command, approve=False)


ID = "{Internal ID}"
SERVICE = "{service}"
RUN = "{Run ID}"
ACTION = "{Internal ID} {action} {parameter=value}"
COMMANDS: Mapping[str, Spec] = {
    spec.name.lower().removeprefix("/"): spec
    for spec in (
        Spec("/BotStatus", "", "shows the health of this app and its checkers", bot_status),
        Spec("/TestModeOn", "", "sends a test outage, marked TEST, through all steps", test_mode_on),
        Spec("/TestModeOff", "", "ends test mode and cleans up", test_mode_off),
        Spec("/ManualCheck", "{Platform}", "checks a platform now", manual_check),
        Spec("/CreateTicket", ID, "creates a ticket for an alert", create_ticket),
        Spec("/ForceResolve", ID, "resolves an alert", force_resolve),
        Spec("/WhyDown", SERVICE, "says whether a service's trouble is a vendor's or ours", why_down),
        Spec("/ListEvents", "", "lists all open alerts", list_events),
        Spec("/Act", ACTION, "runs a configured action for an alert", act),
        Spec("/Approve", RUN, "approves a run of an action", approve),
        Spec("/Refuse", RUN, "refuses a run of an action", refuse),
    )
}


def _act(context: CommandContext, command: Command, act: Callable[[Services, Alert, str, datetime], str]) -> Reply:
    alert = _alert_named(context.services, command.text)
    if alert is None:
        return Reply(f"Unknown ID “{_quoted(command.text)}”. `/ListEvents` shows all alerts with their IDs.")
    newest = context.services.store.get([alert.key]).get(alert.key, alert)
    if newest.episode != alert.episode:
        also = f" It fired again as {actions.named(newest)}." if newest.open else ""
        return Reply(actions.over(alert) + also)
    return Reply(act(context.services, newest, command.user.name, datetime.now(UTC)))


def _answer(context: CommandContext, command: Command, *, approve: bool) -> Reply:
    id = command.text.strip(_QUOTES).lower()
    return Reply(remediation.answer(context.services, id, command.user, datetime.now(UTC), approve=approve))


def _alert_named(services: Services, text: str) -> Alert | None:
    """Return the alert that a person means: quotes do not matter, nor `_` for `-`, O for 0, I and L for 1."""
    name = text.strip(_QUOTES)
    head, dash, code = re.sub(_BETWEEN, "-", name.upper()).rpartition("-")
    spelled = head.replace("-", "_") + dash + code.translate(str.maketrans("OIL", "011"))
    for wanted in dict.fromkeys((name, spelled)):
        try:
            return find_alert(services.store, wanted)
        except Refused as refused:
            if refused.status != 404:
                raise
    return None


def _checker_named(services: Services, text: str) -> str | None:
    wanted = _flat(text)
    for name in _checkers(services):
        if wanted in (_flat(name), _flat(platform_name(name))):
            return name
    return None


def _nearest(services: Services, text: str) -> str:
    names = {_flat(platform_name(name)): platform_name(name) for name in _checkers(services)}
    names |= {_flat(name): platform_name(name) for name in _checkers(services)}
    near = difflib.get_close_matches(_flat(text), names, n=1, cutoff=0.5)
    hint = f"Did you mean *{escape_mrkdwn(names[near[0]])}*? " if near else ""
    return f"{hint}Known platforms: {_known(services)}."


def _which(context: CommandContext, spec: Spec) -> str:
    if spec.argument == ID:
        how = "in upper or lower case; the part before the dash may be left out"
        return f"`{spec.name} GITHUB-7F3KQ`, {how}. `/ListEvents` shows the IDs."
    if spec.argument == SERVICE:
        return f"`{spec.name} checkout`, as the label `service` of its alerts says."
    if spec.argument == RUN:
        waiting = [run.request.id for run in context.services.runs.records.open()]
        return ", ".join(f"`{id}`" for id in waiting[:WARNINGS_SHOWN]) + "." if waiting else "none waits."
    if spec.argument == ACTION:
        return "`/Act GITHUB-7F3KQ restart_service service_name=nginx`. `/ListEvents` shows the IDs."
    return f"{_known(context.services)}."


def _usage() -> str:
    return "\n".join(f"• {spec.usage} {spec.does}" for spec in COMMANDS.values())


def _known(services: Services) -> str:
    return ", ".join(_platform(name) for name in _checkers(services)) or "none: config.json has no checkers"


def _checkers(services: Services) -> list[str]:
    return [part.name for part in services.parts if part.section == "checker"]


def _findings(services: Services, name: str, snapshot: Snapshot) -> list[str]:
    """List what a snapshot holds: open outages, worst first, with the internal ID where tracked."""
    watch: Watch = services.poller.watches[name]
    events = sorted(
        (one for one in snapshot.events if one.status is EventStatus.FIRING), key=lambda one: one.severity.rank
    )
    tracked = services.store.get({one.key for one in events})
    planned = sum(one.kind is Kind.MAINTENANCE for one in events)
    count = f"{len(events) - planned} open" if len(events) > planned else "no open outage"
    count += f", {planned} planned" if planned else ""
    rows = [
        f"*{_platform(name)}*: {count}" + (f", {len(snapshot.events) - len(events)} over" if snapshot.events else "")
    ]
    now = datetime.now(UTC)
    for one in events[:FOUND_SHOWN]:
        ours = _standing(tracked.get(one.key), watch.affects(one))
        ours = f"{outlook(one.starts_at, one.ends_at, now)} · {ours}" if one.kind is Kind.MAINTENANCE else ours
        rows.append(f"{MARKS[one.severity]} {escape_mrkdwn(line(one.title, 120)) or '(no title)'} · {ours}")
    rows += [f"…and {len(events) - FOUND_SHOWN} more"] if len(events) > FOUND_SHOWN else []
    return rows + [f"⚠️ {escape_mrkdwn(line(text, 200))}" for text in snapshot.warnings[:WARNINGS_SHOWN]]


def _standing(alert: Alert | None, affects: Affects) -> str:
    """Return the state here of an event that the source lists as open."""
    if alert is None:
        return f"not tracked, affects us: {affects}"
    return actions.named(alert) if alert.open else actions.over(alert)


def _checker(checker: overview.CheckerState, now: datetime) -> str:
    facts = [checker.reading.value + (f": {escape_mrkdwn(line(checker.why, 150))}" if checker.why else "")]
    if checker.reading is overview.PollState.OFF:
        return f"• {_platform(checker.name)}: {facts[0]}"
    facts.append(f"last check {_ago(checker.last_run_at, now)}")
    facts.append(f"last success {_ago(checker.last_success_at, now)}")
    if checker.next_run_at:
        wait = checker.next_run_at - now
        facts.append(f"next check in {duration(wait)}" if wait.total_seconds() > 0 else "next check now")
    facts.append(f"{checker.tracked} open")
    return f"• {_platform(checker.name)}: " + " · ".join(facts)


def _receiver(receiver: overview.ReceiverState) -> str:
    facts = [("" if receiver.on else "off: ") + escape_mrkdwn(line(receiver.state, 150))]
    facts += [f"{receiver.waiting} waiting"] if receiver.waiting else []
    facts += [f"{receiver.dead} failed"] if receiver.dead else []
    return f"• {_platform(receiver.name)}: " + " · ".join(facts)


def _ago(at: datetime | None, now: datetime) -> str:
    return f"{duration(now - at)} ago" if at else "never"


def _platform(name: str) -> str:
    return escape_mrkdwn(platform_name(name))


def _quoted(text: str) -> str:
    return escape_mrkdwn(line(text, 60))


def _flat(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()
