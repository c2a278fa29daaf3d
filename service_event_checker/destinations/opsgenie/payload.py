"""What Opsgenie and JSM send of alerts, notes and requests, in answers and in webhooks, as far as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import AliasChoices, AliasPath, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import FINGERPRINT_MAX
from service_event_checker.core.vocabulary import Status
from service_event_checker.remote import values
from service_event_checker.remote.marks import tagged_key
from service_event_checker.remote.payload import OR_NONE, Payload, Text

_OVER = frozenset({"closed", "resolved"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((10**17, 1000), (10**14, 1), (10**11, 1 / 1000), (0, 1 / 1_000_000))  # from ns, µs, ms, s to µs


def moment(value: object) -> datetime | None:
    """Return a time written as ISO 8601 or as a number of seconds, ms, µs or ns since 1970; None if it is not one."""
    if isinstance(value, str):
        return values.moment(value)
    try:
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            return None
        factor = next(factor for least, factor in _UNITS if value >= least)
        microseconds = value // factor if factor == 1000 else value / factor  # whole numbers keep their nanoseconds
        return _EPOCH + timedelta(microseconds=int(microseconds))
    except (ValueError, OverflowError, StopIteration):
        return None


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


Moment = Annotated[datetime | None, BeforeValidator(moment)]
Texts = Annotated[list[str], BeforeValidator(_texts)]
Properties = Annotated[dict[str, Text], BeforeValidator(as_mapping)]
Flag = Annotated[bool | None, OR_NONE]


class _CamelCase(Payload):
    model_config = ConfigDict(alias_generator=to_camel)


def _reported(name: str, default: str | None = None) -> Any:
    """Return a field that stands in the alert's `report`, or in the alert itself."""
    return Field(default=default, validation_alias=AliasChoices(AliasPath("report", name), name))


class OpsAlert(_CamelCase):
    """An alert: as a webhook tells it (`alertId`, `username`, `note`), or as it is listed or read (`id`).

    JSM calls its own properties `extraProperties` where it lists them. `ack_time` and `close_time` are times, or the
    milliseconds since the alert was created.
    """

    id: str = Field(validation_alias=AliasChoices("alertId", "id"), min_length=1, max_length=FINGERPRINT_MAX)
    alias: Text = ""
    message: Text = ""
    description: Text = ""
    priority: Text = ""
    status: Text = ""
    acknowledged: Flag = None
    tags: Texts = []
    teams: Texts = []
    entity: Text = ""
    source: Text = ""
    owner: Text = ""
    username: Text = ""
    note: Text = ""
    details: Properties = {}
    extra_properties: Properties = {}
    created_at: Moment = None
    updated_at: Moment = None
    acknowledged_by: Text = _reported("acknowledgedBy", "")
    closed_by: Text = _reported("closedBy", "")
    ack_time: Any = _reported("ackTime")
    close_time: Any = _reported("closeTime")

    @property
    def remote_key(self) -> str:
        """The key of an alert that we made, "" for one that was born there."""
        return tagged_key(self.alias)

    @property
    def state(self) -> Status:
        if self.status in _OVER:
            return Status.RESOLVED
        return Status.ACKNOWLEDGED if self.acknowledged or self.status == "acked" else Status.FIRING

    @property
    def is_open(self) -> bool:
        return self.state is not Status.RESOLVED


class OpsNote(_CamelCase):
    note: Text = ""
    owner: Text = ""
    created_at: Moment = None


class Outcome(_CamelCase):
    """What became of a request; `is_success` is None while that is not known."""

    is_success: Flag = None
    status: Text = ""
    alert_id: Text = ""


class Undone(DeliveryError):
    """A request was taken and could not be carried out."""


def changed_alert(done: Outcome) -> str:
    """Return the id of the alert that a request was about. Raises Undone where it failed."""
    if not done.is_success:
        reason = Reason.NOT_FOUND if "not exist" in done.status.lower() else Reason.REFUSED
        raise Undone(reason, done.status[:300] or "no reason given", permanent=True)
    if not done.alert_id:
        raise DeliveryError(Reason.GARBAGE, "the outcome names no alert")
    return done.alert_id


def next_page(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters that ask for the next page; only these are taken of the address that is offered."""
    address = as_mapping(answer.get("paging") or answer.get("links")).get("next")
    try:
        return dict(parse_qsl(urlsplit(address).query)) if isinstance(address, str) else {}
    except ValueError:
        return {}
