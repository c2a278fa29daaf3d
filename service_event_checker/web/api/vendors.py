"""GET /api/v1/vendors and /api/v1/vendors/{name}: what the watched vendors' outages cost, and how late they posted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel

from service_event_checker.engine import vendor_records
from service_event_checker.engine.vendor_records import DAYS_DEFAULT, DAYS_MAX
from service_event_checker.render.vendor_record import VendorRecordShape, VendorSummary, as_csv
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused, invalid

_CSV, _JSON = "text/csv", "application/json"

blueprint = Blueprint("vendors", __name__, url_prefix="/api/v1/vendors")


class VendorRecords(BaseModel):
    """The checkers of the configuration, in their order."""

    vendors: list[VendorSummary]


@blueprint.get("")
def many() -> dict[str, Any]:
    days = _days({"days"})
    found = vendor_records.of_all(services().store, _names(), days, datetime.now(UTC))
    return VendorRecords(vendors=[VendorSummary.of(each) for each in found]).model_dump(mode="json")


@blueprint.get("/<name>")
def one(name: str) -> dict[str, Any] | Response:
    days, wanted = _days({"days", "format"}), request.args.get("format", "")
    if wanted not in ("", "csv", "json"):
        raise invalid("format", "is not known. Known are csv and json")
    if name not in _names():
        raise Refused(404, f"There is no such checker. There are: {', '.join(_names())}.")
    found = vendor_records.of_vendor(services().store, name, days, datetime.now(UTC))
    accepted = request.accept_mimetypes.best_match([_JSON, _CSV], default=_JSON)
    if wanted == "csv" or (not wanted and accepted == _CSV):
        return Response(as_csv(found), mimetype=_CSV, headers={"Vary": "Accept"})
    return VendorRecordShape.of(found).model_dump(mode="json")


def _names() -> list[str]:
    return [entry.name for entry in services().config.checkers]


def _days(known: set[str]) -> int:
    for name in request.args:
        if name not in known:
            raise invalid(name, f"is not a known parameter. Known is {', '.join(sorted(known))}")
    text = request.args.get("days", str(DAYS_DEFAULT))
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= DAYS_MAX):
        raise invalid("days", f"is not a number from 1 to {DAYS_MAX}")
    return int(text)
