"""Warnings about the set-up that a person should act on: shown on the page while they last, logged at start."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import structlog

from service_event_checker.core.rules import is_unrouted
from service_event_checker.core.store import Query
from service_event_checker.engine import reloads, unowned
from service_event_checker.engine.reconcile import passes
from service_event_checker.engine.refusals import Refusal, Tries
from service_event_checker.engine.rule_hits import NEVER_FOR
from service_event_checker.engine.services import Services
from service_event_checker.render import own
from service_event_checker.render.names import platform_name
from service_event_checker.render.text import moment
from service_event_checker.sources.alertmanager.intake import unknown_severities
from service_event_checker.web.webhooks.destinations import is_unauthenticated

NAMED_MAX = 5  # alerts in a sentence
LOOKED_AT = 200  # open alerts, the latest; the page costs the same however many there are

_SENDER_REFUSED = {
    Refusal.WRONG_TOKEN: "{}'s token is wrong",
    Refusal.MISSING_TOKEN: "{} sends no token",
    Refusal.WRONG_SIGNATURE: "{}'s signature is wrong",
    Refusal.WRONG_ADDRESS: "{}: an unknown webhook address is called",
    Refusal.NOT_CONFIGURED: "{} is refused, because its secret is not set or it is off here",
}
_PAGE_REFUSED = {Refusal.WRONG_TOKEN: "Wrong tokens have been sent to the page or the API"}

log = structlog.get_logger()


def warnings(services: Services, now: datetime) -> tuple[str, ...]:
    """Return the standing warnings. Raises StoreError."""
    found = (*unauthenticated_webhooks(services), *_unknown_severities(services, now), *_not_reconciled(services))
    return (
        *_not_reloaded(services),
        *services.config.warnings,
        *_unrouted(services, now),
        *found,
        *_unowned(services),
        *_left_behind(services),
        *_templates(),
        *_refused(services, now),
        *_unused(services, now),
    )


def unauthenticated_webhooks(services: Services) -> list[str]:
    """Return one warning for each webhook that accepts requests without a token."""
    kinds = {part.name: part.kind for part in services.parts if part.section == "destination"}
    return [
        f"{platform_name(name)} webhook is not protected: anyone who knows the integration ID can change "
        f"alerts. Set WEBHOOK_TOKEN_{kinds[name].upper()} here and add it as a header in {platform_name(kinds[name])}"
        for name, destination in services.outbox.destinations.items()
        if is_unauthenticated(services, destination, kinds.get(name, ""))
    ]


def tell(services: Services) -> None:
    """Log the warnings that follow from the configuration alone."""
    for text in unauthenticated_webhooks(services):
        log.warning("webhook_unprotected", text=text)


def _refused(services: Services, now: datetime) -> list[str]:
    """Return who shows a wrong secret, or none where one is needed, in the last hour."""
    found: dict[tuple[str, Refusal], list[Tries]] = {}
    for tries in services.refusals.lately(now):
        known = _PAGE_REFUSED if not tries.sender else _SENDER_REFUSED
        if tries.reason in known:
            found.setdefault((tries.sender, tries.reason), []).append(tries)
    return [_refusal(sender, reason, tries) for (sender, reason), tries in found.items()]


def _refusal(sender: str, reason: Refusal, tries: list[Tries]) -> str:
    text = _SENDER_REFUSED[reason].format(platform_name(sender)) if sender else _PAGE_REFUSED[reason]
    number = sum(each.count for each in tries)
    peers = tries[0].peer if len(tries) == 1 else f"{len(tries)} addresses"
    since = moment(min(each.since for each in tries))
    return f"{text} since {since}, {number} {'try' if number == 1 else 'tries'} from {peers}"


def _unowned(services: Services) -> list[str]:
    """Return what waits for destinations that take nothing."""
    return [
        f"{each.receiver}: {each.waiting} deliveries are waiting, the oldest since {each.oldest_at:%m-%d %H:%M} UTC, "
        f"but {each.why}. They are not sent, and fail after 24 h. Turn it on or put it back, write "
        f'"{each.receiver}": {{"moved_to": "<new name>"}} under destinations, or drop them: '
        f"./outage failed --give-up {each.receiver}"
        for each in unowned.unowned(services.outbox)
    ]


def _not_reloaded(services: Services) -> list[str]:
    failed = reloads.failed_since(reloads.read(services.store), services.loaded_at)
    if failed is None:
        return []
    problems = "; ".join(failed.problems[:NAMED_MAX]) + ("; …" if len(failed.problems) > NAMED_MAX else "")
    return [
        f"{failed.file} was not reloaded at {moment(failed.at)}: {problems}. The configuration of "
        f"{moment(services.loaded_at)} goes on. Correct the file, then run ./outage config reload"
    ]


def _unrouted(services: Services, now: datetime) -> list[str]:
    """Return what is said of open alerts that no rule matches."""
    shown = services.store.page(Query(open=True, limit=LOOKED_AT)).alerts
    ids = [alert.internal_id for alert in shown if is_unrouted(alert, services.book, now)]
    if not ids:
        return []
    named = ", ".join(ids[:NAMED_MAX]) + (", …" if len(ids) > NAMED_MAX else "")
    count = "1 open alert matches" if len(ids) == 1 else f"{len(ids)} open alerts match"
    return [f"{count} no rule, so that nobody is told: {named}. Add a rule that matches, in config.json"]


def _unused(services: Services, now: datetime) -> list[str]:
    """Return the rules that have matched nothing for long: a slip in a matcher, or a sender that is gone."""
    return [
        f'rule "{name}": has matched no alert for {NEVER_FOR.days} days. Correct its matchers, or remove it. '
        f"./outage route shows what the rules do with an alert"
        for name in services.rule_hits.unused(now)
    ]


def _left_behind(services: Services) -> list[str]:
    """Warn of receivers that open alerts were sent to and that config.json no longer has: renamed or removed."""
    shown = services.store.page(Query(open=True, limit=LOOKED_AT)).alerts
    known = {*services.book.receivers, *services.config.moved}
    gone = Counter(name for alert in shown for name in alert.receivers if name not in known)
    return [
        f"{name}: {number} open {'alert was' if number == 1 else 'alerts were'} sent there, but config.json has no "
        "destination of this name. Add it again until they are over, so that their tickets and pages are closed"
        for name, number in sorted(gone.items())
    ]


def _templates() -> list[str]:
    """Return which templates of users failed when they were needed last."""
    return [
        f"{each.receiver}: the template {each.path} failed at {moment(each.at)}, so the built-in text was sent. "
        f"Line {each.why}"
        for each in own.failures()
    ]


def _not_reconciled(services: Services) -> list[str]:
    slot = services.store.slots().get(passes.SLOT)
    return [f"reconciliation: {failure}" for failure in slot.warnings] if slot else []


def _unknown_severities(services: Services, now: datetime) -> list[str]:
    words = unknown_severities(services, now)
    return [f'The severity "{word}" of an alert is not known and counts as warning' for word in words]
