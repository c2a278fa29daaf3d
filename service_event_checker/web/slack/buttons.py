"""The buttons of our messages: what each does, and the reply. No state: the button's signed value says it all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from service_event_checker.core.model import Alert
from service_event_checker.destinations.slack.message import (
    ACKNOWLEDGE,
    AGREE,
    ANSWERS,
    APPROVE,
    CREATE_TICKET,
    DISAGREE,
    RESOLVE,
    SILENCE,
    SILENCES,
    action_id,
    read_button,
)
from service_event_checker.engine.services import Services
from service_event_checker.engine.verdicts import Vote
from service_event_checker.web.security.secret_key import secret_key
from service_event_checker.web.slack import actions, remediation
from service_event_checker.web.slack.message_update import MessageUpdate
from service_event_checker.web.slack.replies import Reply
from service_event_checker.web.slack.request import Press

_ACTS: dict[str, Callable[[Services, Alert, str, datetime], str]] = {
    CREATE_TICKET: actions.create_ticket,
    ACKNOWLEDGE: actions.acknowledge,
    RESOLVE: actions.resolve,
    AGREE: partial(actions.judge, word=Vote.CONFIRM),
    DISAGREE: partial(actions.judge, word=Vote.REJECT),
    **{choice: partial(actions.silence, lasts=lasts) for choice, (_, lasts) in SILENCES.items()},
}
_STALE = "This button cannot be verified: it was signed with another key or belongs to another app. Use the commands."


def is_ours(press: Press) -> bool:
    """Whether the button is one that this version knows."""
    return press.action in _ACTS or press.action == SILENCE or press.action in ANSWERS.values()


def run(services: Services, press: Press) -> Reply:
    """Do what a button asks. Raises StoreError, InvalidInput and Refused."""
    asked = read_button(press.value, secret_key(services))
    if asked is None or press.action != action_id(asked.action):
        return Reply(_STALE)
    alert = services.store.get([asked.key]).get(asked.key)
    if alert is None:
        return Reply("This alert no longer exists.")
    if alert.episode != asked.episode:
        also = f" It fired again as {actions.named(alert)}, which has its own message." if alert.open else ""
        return Reply(f"The alert of this message is over.{also}")
    if press.action in ANSWERS.values():
        word, _, run = asked.action.partition("_")
        return Reply(remediation.answer(services, run, press.user, datetime.now(UTC), approve=word == APPROVE))
    text = _ACTS[asked.action](services, alert, press.user.name, datetime.now(UTC))
    update = MessageUpdate(services=services, message=press.message, key=asked.key, episode=asked.episode)
    return Reply(text, update=update, in_message=_has_changed(services, alert, press.user.name))


def _has_changed(services: Services, before: Alert, actor: str) -> bool:
    """Whether the press changed the alert's status in the person's name; the message says so then."""
    after = services.store.get([before.key]).get(before.key, before)
    return after.status is not before.status and after.owner == actor
