"""Actions from Slack: request a run, approve or refuse one. A signed user ID says who it is. Returns mrkdwn."""

from __future__ import annotations

from datetime import datetime

from service_event_checker.core.actions import Identity, Run, State
from service_event_checker.core.model import Alert
from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.engine.actions import view
from service_event_checker.engine.actions.runs import NotAllowed, NotNow, title
from service_event_checker.engine.services import Services
from service_event_checker.render.text import line
from service_event_checker.web.slack.request import SlackUser

VIA = "slack"


def read_arguments(words: list[str]) -> dict[str, str] | None:
    """Return the parameters of words like `service_name=nginx`; None where a word is not like that."""
    pairs = [word.partition("=") for word in words]
    return {name: value for name, _, value in pairs} if all(sign for _, sign, _ in pairs) else None


def request(
    services: Services, alert: Alert, action: str, parameters: dict[str, str], user: SlackUser, now: datetime
) -> str:
    """Request a run. Raises StoreError and InvalidInput."""
    try:
        run = services.runs.request(alert, action, parameters, by=user.name, via=VIA, now=now)
    except NotNow as error:
        return escape_mrkdwn(error.message)
    services.wakes.set_all()
    shown = view.shown(services.runs, run)
    what = escape_mrkdwn(line(title(run.request), 200))
    if shown.state is State.WAITING:
        by = escape_mrkdwn(line(", ".join(shown.approvers), 200))
        return f"{what} waits for {shown.needed} approval(s) by {by}: `/Approve {run.request.id}`"
    more = f": {escape_mrkdwn(line(shown.output or shown.why, 500))}" if shown.state.final else ""
    return f"{what}: {shown.state}{more}. Its result will be added to the alert."


def answer(services: Services, id: str, user: SlackUser, now: datetime, *, approve: bool) -> str:
    """Approve or refuse a run in the person's name. Raises StoreError."""
    run = services.runs.records.find(id)
    if run is None:
        return f"There is no run `{escape_mrkdwn(line(id, 40))}`. It is named in the message of its alert."
    try:
        done = services.runs.answer(run, Identity("slack", user.user), user.name, approve=approve, now=now)
    except (NotAllowed, NotNow) as error:
        return escape_mrkdwn(str(error))
    services.wakes.set_all()
    return _answered(services, done, approve=approve)


def _answered(services: Services, run: Run, *, approve: bool) -> str:
    shown, what = view.shown(services.runs, run), escape_mrkdwn(line(title(run.request), 200))
    if not approve:
        return f"You have refused {what}."
    missing = " More approvals are needed." if shown.state is State.WAITING else " It starts now."
    return f"You have approved {what}.{missing}"
