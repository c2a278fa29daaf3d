"""POST /api/v1/alerts/acts: one act on many alerts, by their IDs or by a filter. `engine.bulk` does it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Blueprint, request

from service_event_checker import logs
from service_event_checker.engine import bulk, search
from service_event_checker.engine.bulk import Act, Item, OverLimit, Wanted
from service_event_checker.web.api.schemas import BulkAct, BulkAnswer, BulkResult
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import json_body
from service_event_checker.web.security.caller import actor

INTAKE = "api"

log = structlog.get_logger()
blueprint = Blueprint("bulk", __name__, url_prefix="/api/v1/alerts/acts")


@blueprint.post("")
def act() -> dict[str, Any]:
    """Acknowledge, unacknowledge, resolve, note or ticket many alerts; with `preview`, say which and do nothing.

    A filter names open alerts that the act would change. More than `limit` are refused (422), and nothing is done.
    """
    asked = BulkAct.model_validate(json_body(request))
    wanted = Wanted(act=asked.act, note=asked.note, receiver=asked.receiver)
    store = services().store
    items = bulk.named(store, asked.ids, wanted.act) if asked.ids else _matching(asked.filter, wanted.act)
    if asked.preview:
        return _answer(asked, bulk.count(items), items[: asked.limit])
    now = datetime.now(UTC)
    try:
        done = bulk.do(services(), wanted, items, limit=asked.limit, actor=actor(), intake=INTAKE, now=now)
    except OverLimit as error:
        raise Refused(422, str(error), details={"count": error.count, "limit": error.limit}) from None
    changed = sum(item.result is bulk.Result.DONE for item in done)
    log.info("bulk_act", act=asked.act, actor=actor(), named=len(done), changed=changed)
    return _answer(asked, changed, done)


def _matching(texts: list[str], wanted: Act) -> list[Item]:
    return bulk.matching(services().store, search.read_filters(texts), wanted)


def _answer(asked: BulkAct, count: int, items: list[Item]) -> dict[str, Any]:
    return BulkAnswer(
        act=asked.act, preview=asked.preview, count=count, limit=asked.limit, results=list(map(_result, items))
    ).model_dump(mode="json")


def _result(item: Item) -> BulkResult:
    alert = item.alert
    return BulkResult(
        id=alert.internal_id if alert else item.name,
        title=alert.title if alert else "",
        status=alert.status if alert else None,
        result=item.result,
        why=logs.masked(item.why),
    )
