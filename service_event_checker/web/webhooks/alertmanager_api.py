"""/api/v2: as much of Alertmanager's API as its senders and amtool need. A full one is not meant to be here.

POST /alerts answers when all is durable; never 429, and 503 where the sender is to try again.
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from service_event_checker.core import matchers
from service_event_checker.core.errors import InvalidInput, StoreError
from service_event_checker.sources.alertmanager import api
from service_event_checker.sources.alertmanager.intake import take_posted
from service_event_checker.sources.alertmanager.webhook import SOURCE
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused, invalid
from service_event_checker.web.request_body import json_body
from service_event_checker.web.webhooks.alertmanager import BODY_MAX, answer
from service_event_checker.web.webhooks.refusal import put_aside

FILTERS_MAX = 20
VERSION = "0.0.0"  # we are none of its versions; amtool warns that its own is another, and goes on

blueprint = Blueprint("alertmanager_api", __name__, url_prefix="/api/v2")


@blueprint.post("/alerts")
def post() -> dict[str, Any]:
    try:
        with put_aside(SOURCE):
            return answer(take_posted(services(), json_body(request, limit=BODY_MAX), datetime.now(UTC)))
    except (StoreError, Refused) as error:
        if not isinstance(error, Refused) or error.status >= 500:
            services().expiry.interrupt()
        raise


@blueprint.get("/alerts", provide_automatic_options=False)  # POST's are this address' options
def alerts() -> ResponseReturnValue:
    """List the open alerts; `filter`s are matchers and must all match. Silenced ones are listed as active."""
    wanted = [matcher for text in _filters() for matcher in _parsed(text)]
    shown = [
        api.listed(alert)
        for alert in services().store.open_alerts(SOURCE)
        if all(matcher.matches(alert.labels) for matcher in wanted)
    ]
    return jsonify(shown if request.args.get("active", "true") != "false" else [])


@blueprint.get("/status")
def status() -> dict[str, Any]:
    """Say that this is alive, for Grafana's test of a data source."""
    names = ("version", "revision", "branch", "buildUser", "buildDate", "goVersion")
    return {
        "cluster": {"status": "disabled", "peers": []},
        "versionInfo": dict.fromkeys(names, "") | {"version": VERSION},
        "config": {"original": ""},
        "uptime": _STARTED_AT.isoformat(),
    }


_STARTED_AT = datetime.now(UTC)


def _filters() -> list[str]:
    found = request.args.getlist("filter")
    if len(found) > FILTERS_MAX:
        raise invalid("filter", f"is given more than {FILTERS_MAX} times")
    return found


def _parsed(text: str) -> tuple[matchers.Matcher, ...]:
    try:
        found = matchers.parse(text, "filter")
    except InvalidInput as error:
        raise invalid("filter", str(error)) from None
    if any(each.pattern and matchers.is_costly(each.value) for each in found):
        raise invalid("filter", "repeats a group, or repeats too often")
    return found
