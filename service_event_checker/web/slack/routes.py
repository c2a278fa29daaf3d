"""POST /slack/commands and /slack/interactions: from Slack's request to an answer within its three seconds.

Who may is decided in signature.py and permissions.py, what is done in commands.py and buttons.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Flask, current_app, g, request

from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.engine.services import Services
from service_event_checker.web.errors import Refused
from service_event_checker.web.security.auth import Caller
from service_event_checker.web.security.secret_key import sign_buttons
from service_event_checker.web.slack import buttons
from service_event_checker.web.slack import commands as slack_commands
from service_event_checker.web.slack.commands import CommandContext
from service_event_checker.web.slack.permissions import Allowed, MembershipUnknown, slack_access
from service_event_checker.web.slack.replies import BackgroundReplies, DeferredReply, Reply, Work
from service_event_checker.web.slack.request import SlackUser, read_command, read_form, read_payload, read_press
from service_event_checker.web.slack.signature import SLACK, Confirmation, Signatures

blueprint = Blueprint("slack", __name__, url_prefix="/slack")


@dataclass(frozen=True, slots=True)
class SlackApp:
    """All that the two routes need; one for each process."""

    context: CommandContext
    signatures: Signatures
    allowed: Allowed
    background: BackgroundReplies


def install(app: Flask, services: Services) -> None:
    """Prepare both routes and sign the buttons of this process' messages. Asks nobody."""
    environ, access = services.settings.variables, slack_access(services.config.destinations)
    app.extensions["slack"] = SlackApp(
        context=CommandContext(services, app.extensions["engine"], app.extensions["store_probe"]),
        signatures=Signatures(environ, lambda: services.store.holding),
        allowed=Allowed(environ, access),
        background=BackgroundReplies(access.api_url),
    )
    sign_buttons(services)


def renew(app: Flask, services: Services) -> None:
    """Have the routes work with other services, after a reload of the configuration."""
    before, access = _installed(app), slack_access(services.config.destinations)
    app.extensions["slack"] = replace(
        before,
        context=replace(before.context, services=services),
        allowed=Allowed(services.settings.variables, access),
        background=before.background.renewed(access.api_url),
    )
    sign_buttons(services)


def admit() -> Caller:
    """Let Slack's own requests in. Raises Refused."""
    g.confirmation = _slack_app().signatures.admit(request)
    return SLACK


@blueprint.post("/commands")
def commands() -> Any:
    form = read_form(request.get_data())
    if form.get("ssl_check"):
        return ""  # Slack looks at our certificate: docs.slack.dev/interactivity/implementing-slash-commands
    command, here = read_command(form), _slack_app()
    reply = here.background.answer(
        _confirmed(lambda: _if_allowed(here, command.user, lambda: slack_commands.run(here.context, command))),
        command.user.response_url,
    )
    _confirmation().refuse_if_known()
    return reply.as_json()


@blueprint.post("/interactions")
def interactions() -> Any:
    """Do what a button asks, then answer with an empty 200: Slack shows only what goes to the response_url."""
    press, here = read_press(read_payload(read_form(request.get_data()))), _slack_app()
    if press is None or not buttons.is_ours(press):
        return ""
    begun = here.background.do(
        _confirmed(lambda: _if_allowed(here, press.user, lambda: buttons.run(here.context.services, press))),
        press.user.response_url,
    )
    if not begun:
        raise Refused(503, "Too many requests at once. Nothing was done; press again.")
    _confirmation().refuse_if_known()
    return ""


def _confirmed(work: Work) -> Work:
    """Return the work so that it begins when the store says that the request is not a replay."""
    confirmation = _confirmation()

    def begin() -> Reply | DeferredReply:
        confirmation.wait()
        return work()

    return begin


def _confirmation() -> Confirmation:
    found: Confirmation = g.confirmation
    return found


def _if_allowed(here: SlackApp, user: SlackUser, work: Callable[[], Reply | DeferredReply]) -> Reply | DeferredReply:
    try:
        why_not = here.allowed.refusal(user)
    except MembershipUnknown:
        first = Reply("Asking Slack for your permissions. The answer follows here.")
        return DeferredReply(first, lambda: _after_asking(here, user, work))
    return Reply(escape_mrkdwn(why_not)) if why_not else work()


def _after_asking(here: SlackApp, user: SlackUser, work: Callable[[], Reply | DeferredReply]) -> Reply | DeferredReply:
    why_not = here.allowed.refusal(user, ask=True)
    return Reply(escape_mrkdwn(why_not)) if why_not else work()


def _slack_app() -> SlackApp:
    return _installed(current_app)


def _installed(app: Flask) -> SlackApp:
    found: SlackApp = app.extensions["slack"]
    return found
