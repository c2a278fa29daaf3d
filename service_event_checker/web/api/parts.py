"""/api/v1/checkers and /api/v1/destinations: how each is, checking a status page and trying a destination."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request
from pydantic import AwareDatetime, BaseModel

from service_event_checker import logs
from service_event_checker.core.model import Event
from service_event_checker.core.store import Query
from service_event_checker.core.vocabulary import Affects, EventStatus, Kind, Severity
from service_event_checker.engine import parts, probing
from service_event_checker.engine.parts import CheckerState, PollState, ReceiverState
from service_event_checker.engine.probing import Report, Result
from service_event_checker.web.api.schemas import DestinationTest
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import has_body, json_body

COUNTED_MAX = 500  # open outages, the latest

blueprint = Blueprint("parts", __name__, url_prefix="/api/v1")


class CheckerShape(BaseModel):
    """One checker. `why`: the reason where it is off or unknown. `tracked`: open outages of it."""

    name: str
    kind: str
    state: PollState
    why: str
    unknown_since: AwareDatetime | None
    last_run_at: AwareDatetime | None
    last_success_at: AwareDatetime | None
    next_run_at: AwareDatetime | None
    tracked: int
    warnings: list[str]


class DestinationShape(BaseModel):
    """One destination. `health` is ok, failing or off; `why` the last error or the reason."""

    name: str
    kind: str
    health: str
    why: str
    waiting: int
    failed: int


class TrialShape(BaseModel):
    """What a test of a destination found. `ok`: nothing is known to be wrong; `result` says whether it was tried.

    `proven` works, `wrong` should be corrected, `unproven` shows only when something is sent. `why`, `remedy`: if
    nothing can be delivered, or it was not tried.
    """

    name: str
    kind: str
    ok: bool
    result: Result
    proven: list[str]
    wrong: list[str]
    unproven: list[str]
    why: str
    remedy: str


class FoundEvent(BaseModel):
    """What a status page shows."""

    fingerprint: str
    kind: Kind
    status: EventStatus
    severity: Severity
    title: str
    affects_us: Affects
    url: str


@blueprint.get("/checkers")
def checkers() -> dict[str, Any]:
    vendors = frozenset({Kind.OUTAGE, Kind.MAINTENANCE})
    tracked = services().store.page(Query(open=True, kinds=vendors, limit=COUNTED_MAX)).alerts
    found = parts.checkers(services(), tracked, datetime.now(UTC))
    return {"checkers": [_checker(each).model_dump(mode="json") for each in found]}


@blueprint.post("/checkers/<name>/check")
def check(name: str) -> dict[str, Any]:
    """Check a status page now and track what it shows; 409 while a check of it runs, 502 if it cannot be read."""
    poller = services().poller
    if name not in poller.watches:
        known = ", ".join(poller.watches) or "no checker"
        raise Refused(404, f"There is no such checker that is on. On: {known}.")
    checked = poller.check_now(name)
    if checked.busy:
        raise Refused(409, f"{name} is being checked at the moment. Try again in a few seconds.")
    if checked.snapshot is None:
        raise Refused(502, f"The status page cannot be read: {logs.masked(str(checked.error))}")
    shown = [_event(event).model_dump(mode="json") for event in checked.snapshot.events]
    return {
        "checker": name,
        "complete": checked.snapshot.complete,
        "events": shown,
        "warnings": list(checked.snapshot.warnings),
    }


@blueprint.get("/destinations")
def destinations() -> dict[str, Any]:
    return {"destinations": [_destination(each).model_dump() for each in parts.receivers(services())]}


@blueprint.post("/destinations/<name>/test")
def test(name: str) -> dict[str, Any]:
    """Try a destination: 200 with what was found, whatever it is; 409 if it is off."""
    part = next((each for each in services().parts if each.section == "destination" and each.name == name), None)
    if part is None:
        known = ", ".join(each.name for each in services().parts if each.section == "destination") or "none"
        raise Refused(404, f"There is no such destination. There are: {known}.")
    if not part.on:
        raise Refused(409, f"{name} is off: {part.state}.")
    wanted = DestinationTest.model_validate(json_body(request)) if has_body(request) else DestinationTest()
    timeout = services().book.receivers[name].deadline
    destination = services().outbox.destinations[name]
    if wanted.send:
        found = probing.send(destination, name, timeout, datetime.now(UTC))
    else:
        found = probing.probe(destination, timeout)
    return _trial(name, part.kind, found).model_dump(mode="json")


def _checker(found: CheckerState) -> CheckerShape:
    return CheckerShape(
        name=found.name,
        kind=found.kind,
        state=found.reading,
        why=found.why,
        unknown_since=found.unknown_since,
        last_run_at=found.last_run_at,
        last_success_at=found.last_success_at,
        next_run_at=found.next_run_at,
        tracked=found.tracked,
        warnings=[logs.masked(warning) for warning in found.warnings],
    )


def _destination(found: ReceiverState) -> DestinationShape:
    failing = found.state.startswith("failing: ")
    health = "off" if not found.on else "failing" if failing else "ok"
    why = "" if health == "ok" and found.state == "on" else found.state.removeprefix("failing: ")
    return DestinationShape(
        name=found.name, kind=found.kind, health=health, why=why, waiting=found.waiting, failed=found.dead
    )


def _trial(name: str, kind: str, found: Report) -> TrialShape:
    return TrialShape(
        name=name,
        kind=kind,
        ok=found.ok,
        result=found.result,
        proven=list(map(logs.masked, found.proven)),
        wrong=list(map(logs.masked, found.wrong)),
        unproven=list(found.unproven),
        why=logs.masked(found.why),
        remedy=found.remedy,
    )


def _event(event: Event) -> FoundEvent:
    return FoundEvent(**{name: getattr(event, name) for name in FoundEvent.model_fields})
