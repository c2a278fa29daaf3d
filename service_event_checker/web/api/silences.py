"""/api/v1/silences: what is not announced for a while. What is done stands in `engine.silencing`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request
from werkzeug.http import quote_etag

from service_event_checker.config.silences import NewSilence
from service_event_checker.core.silences import Silence
from service_event_checker.engine import silencing
from service_event_checker.engine.silencing import SilenceChanged, UnknownSilence
from service_event_checker.render.silences import MatchedAlert, SilenceShape
from service_event_checker.web.api.lookup import refuse_unknown
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import json_body
from service_event_checker.web.security.caller import actor, caller

PREVIEWED_MAX = 100  # alerts that a preview names; it counts all

Answer = tuple[dict[str, Any], int, dict[str, str]]  # body, status, headers

blueprint = Blueprint("silences", __name__, url_prefix="/api/v1/silences")


@blueprint.get("")
def many() -> dict[str, Any]:
    """List the silences: those of config.json, then the stored ones, the latest end first; ended ones also."""
    refuse_unknown(request.args)
    now = _now()
    return {"silences": [_body(silence, now) for silence in silencing.listed(services())]}


@blueprint.get("/<id>")
def one(id: str) -> Answer:
    with _refusals():
        return _shown(silencing.find(services(), id))


@blueprint.post("")
def create() -> Answer:
    """Withhold what the matchers match until `ends_at`; the owner is the caller unless it is named."""
    wanted = NewSilence.model_validate(json_body(request))
    return _shown(silencing.create(services(), wanted, owner=caller().name, now=_now()), 201)


@blueprint.post("/preview")
def preview() -> dict[str, Any]:
    """Say which open alerts a silence would match. Changes nothing."""
    found = silencing.preview(services(), NewSilence.model_validate(json_body(request)))
    shown = [MatchedAlert.of(alert).model_dump(mode="json") for alert in found[:PREVIEWED_MAX]]
    return {"matches": shown, "count": len(found)}


@blueprint.put("/<id>")
def change(id: str) -> Answer:
    """Change a silence that is not over, for example its end; `starts_at` and `owner` stay where they are left out."""
    wanted = NewSilence.model_validate(json_body(request))
    with _refusals():
        known = silencing.find(services(), id)
        if request.if_match and _version(known) not in request.if_match:
            raise SilenceChanged(id)
        seen = known.revision if request.if_match else None
        return _shown(silencing.change(services(), id, wanted, actor=actor(), now=_now(), revision=seen))


@blueprint.delete("/<id>")
def end(id: str) -> Answer:
    """End a silence now. It stays in the list, with who ended it; what it withheld and still fires is announced."""
    with _refusals():
        return _shown(silencing.end(services(), id, actor=actor(), now=_now()))


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except UnknownSilence:
        raise Refused(404, "There is no silence with this id.") from None
    except SilenceChanged:
        raise Refused(412, "The silence has changed since you read it. Read it again.") from None


def _shown(silence: Silence, status: int = 200) -> Answer:
    return _body(silence, _now()), status, {"ETag": quote_etag(_version(silence))}


def _body(silence: Silence, now: datetime) -> dict[str, Any]:
    return SilenceShape.of(silence, now).model_dump(mode="json")


def _version(silence: Silence) -> str:
    return f"{silence.id}-{silence.revision}"


def _now() -> datetime:
    return datetime.now(UTC)
