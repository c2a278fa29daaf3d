"""What PagerDuty sends, in answers of the REST API and in webhooks, as far as it is read.

https://developer.pagerduty.com/api-reference
"""

from __future__ import annotations

from typing import Annotated

from service_event_checker.remote.payload import OR_NONE, Moment, Payload, Text
from service_event_checker.render.text import web_address

NAME_MAX = 200
TRIGGERED, ACKNOWLEDGED, RESOLVED = "triggered", "acknowledged", "resolved"


class Reference(Payload):
    """Who did something: a user, or a service, a bot, an integration (`type` tells). `summary` is the name."""

    id: str
    summary: Text = ""
    type: Text = ""

    @property
    def person(self) -> str:
        """The name, "" if it is not a user's."""
        return self.summary if self.type.removesuffix("_reference") == "user" else ""


Agent = Annotated[Reference | None, OR_NONE]


class Acknowledgement(Payload):
    acknowledger: Agent = None
    at: Moment = None


class _Target(Payload):
    id: Text = ""
    summary: Text = ""
    html_url: Text = ""


class ResolveReason(Payload):
    """Why an incident is resolved, where somebody did more than resolve it. https://developer.pagerduty.com/api-reference"""

    type: Text = ""
    incident: Annotated[_Target | None, OR_NONE] = None

    @property
    def merged(self) -> str:
        """Say into which incident it was merged, "" if it was not."""
        if not self.type.startswith("merge"):
            return ""
        target = self.incident or _Target()
        named = target.summary[:NAME_MAX] or target.id or "another incident"
        address = web_address(target.html_url)
        return f"merged into {named} at PagerDuty" + (f": {address}" if address else "")


Reason = Annotated[ResolveReason | None, OR_NONE]


class Incident(Payload):
    id: str
    status: str
    incident_key: Text = ""
    title: Text = ""
    urgency: Text = ""
    html_url: Text = ""
    created_at: Moment = None
    last_status_change_at: Moment = None
    last_status_change_by: Agent = None
    resolve_reason: Reason = None
    acknowledgements: list[Acknowledgement] = []


class Note(Payload):
    id: Text = ""
    content: Text = ""
    user: Agent = None
    created_at: Moment = None


class User(Payload):
    id: Text = ""
    name: Text = ""
    email: Text = ""


class Service(Payload):
    status: Text = ""


class DeliveryMethod(Payload):
    url: Text = ""
    temporarily_disabled: Annotated[bool | None, OR_NONE] = None


class Subscription(Payload):
    """A webhook subscription of the account."""

    delivery_method: DeliveryMethod = DeliveryMethod()
