"""`outage failed`: deliveries that failed for good, to be sent again or deleted."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table, when
from service_event_checker.core.model import Delivery
from service_event_checker.engine import acts, unowned
from service_event_checker.engine.acts import NotPossible, UnknownDelivery
from service_event_checker.render.shapes import DeliveryState, DeliverySummary
from service_event_checker.render.text import line

LISTED_MAX = 200
TITLE_MAX = 40
RETRIED_AT_ONCE = 10_000
ALL = "all"
_SCOPE = "act"
_NONE = "no failed deliveries"
_NEXT = "Next: --retry ID sends it again, --discard ID deletes it; --retry all sends every one"


@click.command()
@click.option(
    "--retry", metavar="ID|all", help="Send this one again, with the present state of its alert; all: every one."
)
@click.option("--discard", metavar="ID", help="Delete this one. It is not sent.")
@click.option(
    "--give-up", metavar="NAME", help="Stop waiting for a destination that is off or removed: its deliveries fail now."
)
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/deliveries?state=failed.")
@pass_here
def failed(here: Here, retry: str | None, discard: str | None, give_up: str | None, *, as_json: bool) -> None:
    """List failed deliveries, or retry them.

    The newest first, with the reason.
    """
    if len([one for one in (retry, discard, give_up) if one]) > 1:
        raise click.UsageError("use one of --retry, --discard and --give-up")
    if give_up:
        raise SystemExit(0 if _give_up(here, give_up) else 1)
    if retry:
        raise SystemExit(0 if _retry(here, retry) else 1)
    if discard:
        raise SystemExit(0 if _discard(here, discard) else 1)
    _list(here, as_json=as_json)


def _list(here: Here, *, as_json: bool) -> None:
    found = here.store.failed_deliveries(LISTED_MAX)
    alerts = here.store.get({one.key for one in found})
    shown = [DeliverySummary.in_state(one, alerts.get(one.key), DeliveryState.FAILED) for one in found]
    if as_json:
        print_json({"deliveries": [each.model_dump(mode="json") for each in shown]})
    elif not shown:
        click.echo(_NONE)
    else:
        now = datetime.now(UTC)
        rows = [
            (
                each.id,
                each.alert_id,
                each.receiver,
                each.verb.value,
                when(each.created_at, now),
                line(each.alert_title, TITLE_MAX),
                each.reason,
            )
            for each in shown
        ]
        click.echo(table(("ID", "ALERT", "RECEIVER", "VERB", "SINCE", "TITLE", "REASON"), rows))
        click.echo(_NEXT, err=True)


def _retry(here: Here, wanted: str) -> bool:
    """Send one, or all, again; say what became of each and return whether all were queued."""
    if wanted != ALL:
        return _retry_one(here, wanted)
    ids = [one.id for one in here.store.failed_deliveries(RETRIED_AT_ONCE)]
    if not ids:
        click.echo(_NONE)
    return all([_retry_one(here, id) for id in ids])  # a list: each of them is tried


def _retry_one(here: Here, id: str) -> bool:
    try:
        if not _by_the_app(here, "POST", id, f"/deliveries/{id}/retry"):
            acts.retry(here.ready, id, datetime.now(UTC))
    except (UnknownDelivery, NotPossible, click.ClickException) as error:
        click.echo(f"{id}: not queued. {_why(error)}", err=True)
        return False
    click.echo(f"{id}: queued again")
    return True


def _give_up(here: Here, receiver: str) -> bool:
    number = unowned.give_up(here.ready.outbox, receiver, datetime.now(UTC))
    count = "1 delivery" if number == 1 else f"{number} deliveries"
    none = "no delivery waits for a destination of this name that is off or removed"
    click.echo(f"{receiver}: {count} failed now" if number else f"{receiver}: {none}")
    return number > 0


def _discard(here: Here, id: str) -> bool:
    try:
        if not _by_the_app(here, "DELETE", id, f"/deliveries/{id}"):
            acts.discard(here.ready, id)
    except UnknownDelivery as error:
        click.echo(f"{id}: not deleted. {_why(error)}", err=True)
        return False
    click.echo(f"{id}: deleted")
    return True


def _by_the_app(here: Here, method: str, id: str, path: str) -> bool:
    """Have the running app do it. Raises UnknownDelivery before it is asked."""
    found = _find(here, id)
    if found is None:
        raise UnknownDelivery(id)
    alert = here.store.get([found.key]).get(found.key)
    return here.app.act(method, path, {}, alert=alert, scope=_SCOPE) is not None


def _find(here: Here, id: str) -> Delivery | None:
    key = id.partition(":")[0]
    return next((one for one in here.store.failed_deliveries(key=key) if one.id == id), None) if key else None


def _why(error: Exception) -> str:
    if isinstance(error, UnknownDelivery):
        return "There is no such failed delivery; ./outage failed lists them"
    return getattr(error, "message", str(error))
